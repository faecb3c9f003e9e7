"""The log of a server that a run started: its last part, followed while it grows."""

from __future__ import annotations

import asyncio
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.keys import bind, closing
from arena_tui.safe_text import one_line, printable
from arena_tui.setup.pick_screen import Option, PickScreen
from arena_tui.theme import inks
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import show_notice
from arena_tui.widgets.virtual_list import VirtualList

if TYPE_CHECKING:
    from textual.app import App

_LARGEST_TAIL = 1 << 20  # bytes from the end of a log
_LOOK_SECONDS = 1.0
_ALARMS = (" ERROR ", "Error:", "Traceback", "CRITICAL", "OutOfMemory", "out of memory")


class _Row(NamedTuple):
    """A line of the log, or a part of one that is wider than the screen."""

    number: int
    text: str
    is_alarm: bool


def open_logs(app: App[Any], folder: Path, model: str = "") -> None:
    """Open the log of `model`'s server if there is one; of several logs, have the user pick."""
    from engine.bench.names import file_stem

    try:
        logs = sorted(folder.glob("*.log"), key=lambda path: -path.stat().st_mtime)
    except OSError:
        logs = []
    named = [log for log in logs if model and log.stem.startswith(file_stem(model))]
    logs = named or logs
    if not logs:
        show_notice(app, f"no logs in {folder}: a run has not started any server")
    elif len(logs) == 1:
        app.push_screen(LogScreen(logs[0]))
    else:
        by_name = {log.name: log for log in logs}
        options = [Option(log.name, _about(log)) for log in logs]

        def open_one(names: tuple[str, ...] | None) -> None:
            if names:
                app.push_screen(LogScreen(by_name[names[0]]))

        app.push_screen(PickScreen("Server logs", options), open_one)


def _about(log: Path) -> str:
    found = log.stat()
    changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.st_mtime))
    return f"{changed}, {max(1, found.st_size >> 10)} kB"


class LogScreen(ModalScreen[None]):
    """Shows the end of a log, wrapped. It follows the file as long as the cursor is on the last line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("again", title="Read again", show=False),
        *closing("logs"),
    ]

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log
        self._read: tuple[int, int] = (0, 0)
        self._text = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog full"):
            yield Static(Text(one_line(str(self._log)), style="bold"))
            yield VirtualList[_Row](self._line, key=lambda row: row.number, empty="empty", id="lines")
        yield KeyBar()

    def on_mount(self) -> None:
        self.set_interval(_LOOK_SECONDS, self.action_again)
        self.call_after_refresh(self.action_again)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def action_again(self) -> None:
        self.run_worker(self._look(), exclusive=True, exit_on_error=False)

    async def _look(self) -> None:
        try:
            found = self._log.stat()
            if (found.st_mtime_ns, found.st_size) == self._read:
                return
            text = await asyncio.to_thread(_tail, self._log)
        except OSError as error:
            text = f"{self._log}: {error.strerror}"
        else:
            self._read = found.st_mtime_ns, found.st_size
        self._text = text
        self._show()

    def _show(self) -> None:
        lines = self.query_one("#lines", VirtualList)
        width = max(20, lines.size.width - 4)
        was_at_end = lines.cursor >= len(lines.rows) - 1
        rows: list[_Row] = []
        for line in self._text.splitlines():
            plain = printable(line).expandtabs(4)
            is_alarm = any(word in plain for word in _ALARMS)
            for part in textwrap.wrap(plain, width, drop_whitespace=False, replace_whitespace=False) or [""]:
                rows.append(_Row(len(rows), part, is_alarm))
        lines.set_rows(rows)
        if was_at_end:
            lines.move_to(len(rows) - 1)

    def _line(self, row: _Row, width: int) -> Text:
        return Text(one_line(row.text)[:width], inks(self.app).bad if row.is_alarm else "")


def _tail(log: Path) -> str:
    """Return the last part of a log, from the beginning of a line."""
    from engine.opening import open_regular

    with open_regular(log) as stream:
        size = stream.seek(0, 2)
        start = max(0, size - _LARGEST_TAIL)
        stream.seek(start)
        data = stream.read(_LARGEST_TAIL)
    return (data.partition(b"\n")[2] if start else data).decode("utf-8", "replace")
