"""One line for each GPU of this machine, and no line where there is none."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from arena_tui.safe_text import clip, one_line
from arena_tui.theme import inks
from arena_tui.widgets.bars import bar
from engine.serving.gpus import Gpu

_BAR, _SHORT_BAR = 12, 8
_WIDE, _NARROW = 96, 72  # columns: from the one on with names, below the other without bars
_MOST = 8


class GpuLines(Widget):
    """Use and memory, with bars."""

    DEFAULT_CSS = """
    GpuLines { height: 0; padding: 0 2; background: $background; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._gpus: tuple[Gpu, ...] = ()

    def show(self, gpus: tuple[Gpu, ...]) -> None:
        if gpus != self._gpus:
            if len(gpus) != len(self._gpus):
                self.styles.height = min(len(gpus), _MOST)
            self._gpus = gpus
            self.refresh()

    def render_line(self, y: int) -> Strip:
        if y >= len(self._gpus):
            return Strip.blank(self.size.width, self.rich_style)
        gpu, ink, width = self._gpus[y], inks(self.app), self.size.width
        used = _share(gpu.used, gpu.total)
        name = f" {clip(one_line(gpu.name), 22)}" if width >= _WIDE else ""
        columns = _BAR if width >= _WIDE else _SHORT_BAR if width >= _NARROW else 0
        gap = " " * (3 if width >= _NARROW else 2)
        segments = [Segment(f"GPU {gpu.index}{name}  ", ink.muted)]
        for title, share, told in (("", _share(gpu.load, 100.0), _busy(gpu)), ("memory ", used, _memory(gpu))):
            segments.append(Segment(title))
            if columns:
                segments += [*bar(share or 0.0, columns, ink).render(self.app.console, end=""), Segment(" ")]
            segments.append(Segment(told + gap))
        if gpu.watts is not None and gpu.celsius is not None:
            segments.append(Segment(f"{gpu.watts:.0f} W  {gpu.celsius:.0f} °C", ink.muted))
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _busy(gpu: Gpu) -> str:
    return "busy -" if gpu.load is None else f"busy {gpu.load:.0f}%"


def _memory(gpu: Gpu) -> str:
    return "-" if gpu.used is None or gpu.total is None else f"{gpu.used / 1024:.1f} of {gpu.total / 1024:.0f} GiB"
