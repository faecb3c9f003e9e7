"""Search within the text that a screen shows: a line to type words into, and keys that go from hit to hit."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import Input

from arena_tui.judgments.page import ReadingPane
from arena_tui.keys import bind
from arena_tui.safe_text import one_line
from arena_tui.widgets.lines import LineInput
from arena_tui.widgets.screens import ArenaScreen


class FindLine(LineInput):
    """The line that words to find are typed into."""

    def __init__(self) -> None:
        super().__init__(placeholder="words to find in this text; Enter goes to the first, Escape clears", id="find")


class FindingScreen(ArenaScreen):
    """A screen with a `FindLine` and a `ReadingPane`."""

    FINDING: ClassVar[list[BindingType]] = [
        bind("search", "find", title="Find", tooltip="Find words in this text"),
        bind("next_hit", "go_to_hit(1)", show=False),
        bind("previous_hit", "go_to_hit(-1)", show=False),
    ]

    def find(self, pattern: re.Pattern[str] | None) -> None:
        """Mark the words of a search made elsewhere."""
        self.query_one(ReadingPane).find(pattern)

    def action_find(self) -> None:
        self.query_one(FindLine).open()

    def action_go_to_hit(self, step: int) -> None:
        pane = self.query_one(ReadingPane)
        if pane.pattern is None:
            self.action_find()
        elif pane.go_to_hit(step):
            self.show_hits(f"hit {(pane.hit or 0) + 1:,} of {len(pane.hits):,}")
        else:
            self.report("no hits in this text")

    def show_hits(self, words: str) -> None:
        """Show which hit of how many the text is at."""

    def clear_find(self) -> None:
        """Remove the marks and the line."""
        line = self.query_one(FindLine)
        with self.prevent(Input.Changed):
            line.value = ""
        line.close()
        pane = self.query_one(ReadingPane)
        pane.find(None)
        pane.focus()
        self.show_hits("")

    def find_typed(self, text: str) -> None:
        """Mark the words that are typed."""
        from engine.review.search import hit_pattern

        words = text.split()
        pane = self.query_one(ReadingPane)
        pane.find(hit_pattern(words) if words else None)
        count = len(pane.hits)
        self.show_hits(f'{count:,} {"hit" if count == 1 else "hits"} of "{one_line(text.strip())}"' if words else "")

    def find_submitted(self) -> None:
        """Go to the first hit."""
        self.query_one(FindLine).close()
        pane = self.query_one(ReadingPane)
        pane.focus()
        if pane.pattern is not None:
            self.action_go_to_hit(1)
