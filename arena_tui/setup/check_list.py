"""A list of checks, problems first, as set-up and doctor show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from arena_tui.advice import phrase
from arena_tui.safe_text import clip, one_line
from arena_tui.theme import inks
from arena_tui.widgets.dialogs import DetailsScreen
from arena_tui.widgets.virtual_list import VirtualList

if TYPE_CHECKING:
    from engine.diagnosis import Check

_ORDER = {"problem": 0, "note": 1, "ok": 2}


class CheckList(VirtualList["Check"]):
    """The checks of `engine.diagnosis`. Enter opens one in full."""

    def __init__(self) -> None:
        super().__init__(self._check_line, header=self._header_line, follow_top=True, id="checks")
        self._is_running = True
        self.title = ""

    def show(self, checks: Sequence[Check], *, is_running: bool) -> None:
        """Show the checks so far, and in the header whether there are more to come."""
        count = sum(check.status == "problem" for check in checks)
        words = f"{count} problem{'' if count == 1 else 's'}" if count else "a run has everything it needs"
        self.title = "checks: running ..." if is_running else f"checks: {words}"
        self.set_rows(sorted(checks, key=lambda check: _ORDER[check.status]))
        self.repaint()

    def details(self, check: Check) -> DetailsScreen:
        """Return the dialog with one check in full."""
        facts = [("status", check.status), ("found", phrase(check.text))]
        return DetailsScreen(check.subject, [*facts, *([("to do", phrase(check.hint))] if check.hint else [])])

    def _header_line(self, width: int) -> Text:
        return Text(clip(self.title, width))

    def _check_line(self, check: Check, width: int) -> Text:
        ink = inks(self.app)
        mark, style = {
            "ok": ("ok      ", ink.good),
            "note": ("note    ", ink.warning),
            "problem": ("PROBLEM ", ink.bad),
        }[check.status]
        hint = f" ({phrase(check.hint)})" if check.hint and check.status == "problem" else ""
        text = one_line(f"{check.subject}: {phrase(check.text)}{hint}")
        return Text.assemble((mark, style), clip(text, max(1, width - len(mark))))
