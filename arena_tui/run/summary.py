"""The two lines above the tables (the answer, and what is done or to do), and a line for each GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from arena_tui.keys import KEYS
from arena_tui.output.clock import clock
from arena_tui.output.progress import start_words
from arena_tui.safe_text import clip, one_line, printable
from arena_tui.session.arena_session import ArenaSession
from arena_tui.session.run_watch import busy_servers
from arena_tui.theme import Inks, inks
from arena_tui.widgets.answer_text import answer_text
from arena_tui.widgets.columns import bar, short_number
from arena_tui.widgets.virtual_list import segments
from engine.serving.gpus import Gpu
from engine.work.progress import RunState

if TYPE_CHECKING:
    from engine.work.duration import Duration
    from engine.work.plan import Plan


class RunSummary(Widget):
    """Two lines of text, painted only when they change."""

    DEFAULT_CSS = """
    RunSummary { height: 2; padding: 0 1; background: $background; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: tuple[Text, Text] = Text(), Text()

    def show(self, first: Text, second: Text) -> None:
        for y, (line, before) in enumerate(zip((first, second), self._lines, strict=True)):
            if line != before:
                self.refresh(Region(0, y, self.size.width, 1))
        self._lines = first, second

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line = self._lines[y].copy() if y < len(self._lines) else Text()
        line.truncate(width, overflow="ellipsis")
        return Strip(segments(line, self.app.console)).adjust_cell_length(width).apply_style(self.rich_style)


def summary(session: ArenaSession, state: RunState, width: int, ink: Inks) -> tuple[Text, Text]:
    """Return the answer of a session so far, and what it does or what to do next."""
    if session.status == "opening" or (session.plan is None and session.run is None):
        return Text("reading the config and the bench ..."), Text()
    first = answer_text(session, width, ink)
    if session.status == "following":
        return first, _following(session, ink)
    if session.status in ("running", "paused", "stopping"):
        return first, _doing(session, state, ink)
    if session.run is not None or state.phase != "planning":
        return first, _what_next(session, state, ink)
    return first, _planned(session.plan, ink)


def _planned(plan: Plan | None, ink: Inks) -> Text:
    tasks = (*plan.answers, *plan.judgments) if plan else ()
    if not tasks:
        return Text("nothing to do: the config names no model to answer or to judge")
    calls = plan.calls if plan else 0
    if not calls:
        return _keys("s", "start anyway", "2", "leaderboard")
    prompt, output = sum(t.prompt_tokens for t in tasks), sum(t.max_completion_tokens for t in tasks)
    return Text.assemble(
        f"about {short_number(prompt)} prompt and at most {short_number(output)} output tokens   ",
        _keys("s", "start", "Enter", "details"),
    )


def about(duration: Duration) -> str:
    """Describe a duration and what its estimate rests on."""
    return f"about {clock(max(1.0, duration.seconds))} {duration.basis}"


def _doing(session: ArenaSession, state: RunState, ink: Inks) -> Text:
    counts = f"{state.in_flight} in flight"
    retries = sum(endpoint.retries for endpoint in state.endpoints.values())
    line = Text.assemble((counts, ink.muted), (f" · {retries} retried" if retries else "", ink.muted))
    if session.status == "paused":
        line.append(" · no new calls; p resumes", ink.warning)
    elif session.status == "stopping":
        line.append(f" · waiting for calls in flight; {KEYS['stop'].keys} again aborts them", ink.warning)
    elif session.retries_failed:
        line.append(" · failed records are retried at the end", ink.muted)
    for name, server in busy_servers(state):
        line.append(f" · {one_line(name)}: {start_words(server, session.now())}", ink.accent)
    return line


def _following(session: ArenaSession, ink: Inks) -> Text:
    who = session.writer.title if session.writer else ""
    control = "K takes control; " if session.remote is not None else ""
    return Text(f"Read-only: {control}{printable(who)}", ink.warning)


def _what_next(session: ArenaSession, state: RunState, ink: Inks) -> Text:
    if state.failed:
        return _keys(KEYS["again"].keys, "retry failed", "Enter", "on a log line: details", "2", "leaderboard")
    if state.phase == "interrupted":
        return _keys("s", "resume", "2", "leaderboard")
    return _keys("2", "leaderboard", "3", "judgments", "s", "plan again")


def _keys(*pairs: str) -> Text:
    line = Text()
    for key, does in zip(pairs[::2], pairs[1::2], strict=True):
        line.append("   " if line.plain else "").append(key, Style(bold=True)).append(f" {does}")
    return line


_GPU_BAR, _SHORT_GPU_BAR = 12, 8
_WIDE, _NARROW = 96, 72  # columns: with names from the first on, without bars below the second
_MOST = 8


class GpuLines(Widget):
    """Load and memory of each GPU, with bars."""

    DEFAULT_CSS = """
    GpuLines { height: 0; padding: 0 2; background: $background; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._gpus: tuple[Gpu, ...] = ()

    @property
    def lines(self) -> int:
        return min(len(self._gpus), _MOST)

    def show(self, gpus: tuple[Gpu, ...]) -> None:
        if gpus != self._gpus:
            self._gpus = gpus
            self.styles.height = self.lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        if y >= len(self._gpus):
            return Strip.blank(self.size.width, self.rich_style)
        gpu, ink, width = self._gpus[y], inks(self.app), self.size.width
        used = _share(gpu.used, gpu.total)
        name = f" {clip(one_line(gpu.name), 22)}" if width >= _WIDE else ""
        columns = _GPU_BAR if width >= _WIDE else _SHORT_GPU_BAR if width >= _NARROW else 0
        gap = " " * (3 if width >= _NARROW else 2)
        segments = [Segment(f"GPU {gpu.index}{name}  ", ink.muted)]
        for title, share, text in (("", _share(gpu.load, 100.0), _busy(gpu)), ("memory ", used, _memory(gpu))):
            segments.append(Segment(title))
            if columns:
                segments += [*bar(share or 0.0, columns, ink).render(self.app.console, end=""), Segment(" ")]
            segments.append(Segment(text + gap))
        if gpu.watts is not None and gpu.celsius is not None:
            segments.append(Segment(f"{gpu.watts:.0f} W  {gpu.celsius:.0f} °C", ink.muted))
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _busy(gpu: Gpu) -> str:
    return "busy -" if gpu.load is None else f"busy {gpu.load:.0f}%"


def _memory(gpu: Gpu) -> str:
    return "-" if gpu.used is None or gpu.total is None else f"{gpu.used / 1024:.1f} of {gpu.total / 1024:.0f} GiB"
