"""The log of notable events and failures, the newest first; each opens to its details."""

from __future__ import annotations

import time

from rich.text import Text

from arena_tui.live.run_watch import LogEntry
from arena_tui.safe_text import brief
from arena_tui.theme import inks
from arena_tui.widgets.virtual_list import VirtualList

_MARKS = {"info": "·", "warning": "!", "error": "✗"}


class LogList(VirtualList[LogEntry]):
    """Entries of a `RunWatch`."""

    def __init__(self) -> None:
        super().__init__(
            self._entry_line,
            key=lambda entry: entry.number,
            header=lambda width: Text("log"),
            empty="nothing to tell yet",
            follow_top=True,
            id="log",
        )

    def _entry_line(self, entry: LogEntry, width: int) -> Text:
        ink = inks(self.app)
        style = {"info": ink.muted, "warning": ink.warning, "error": ink.bad}[entry.level]
        at = time.strftime("%H:%M:%S", time.localtime(entry.at))
        times = f"{entry.count}x " if entry.count > 1 else ""
        room = max(1, width - len(at) - 3 - len(times))
        return Text.assemble((at, ink.muted), " ", (_MARKS[entry.level], style), " ", times, brief(entry.text, room))
