"""One question with the answers of two models beside the baseline's; a key marks the words in which they differ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from arena_tui.judgments.finding import FindingScreen, FindLine
from arena_tui.judgments.judgment_page import Layout, contrast_page, problem_page
from arena_tui.judgments.page import Page, ReadingPane
from arena_tui.keys import bind, leaving
from arena_tui.safe_text import one_line
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import TextLines
from engine.errors import ArenaError
from engine.review.contrast import Contrast


class ContrastViewer(FindingScreen):
    """Shows `rows[index]`; calls `moved` with the index whenever another row is shown."""

    MODE = "leaderboard"
    HELP = (
        "One question with the answers of two models and of the baseline, and what the judge wrote on each. All three "
        "stand side by side from 114 columns on, the two models from 76. D marks the words of one model's answer that "
        "the other's does not have. In game 1 the baseline is A, in game 2 the model is."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        leaving("List", "back"),
        bind("next_item", "step(1)"),
        bind("previous_item", "step(-1)", title="Prev"),
        bind("words", tooltip="Mark the words in which the two answers differ, or not"),
        bind("markdown"),
        bind("reasoning"),
        bind("copy", tooltip="Copy the verdict, an answer, ..."),
        *FindingScreen.FINDING,
    ]

    def __init__(
        self, session: ArenaSession, rows: Sequence[Contrast], index: int, moved: Callable[[int], object]
    ) -> None:
        super().__init__(session)
        self.rows = rows
        self.index = index
        self._moved = moved
        self._words = False
        self._is_rendered = False
        self._thinking = False
        self._hits = ""

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="about")
        yield ReadingPane()
        yield FindLine()

    def on_mount(self) -> None:
        self.query_one(ReadingPane).focus()
        self._show_about()

    def on_reading_pane_width_changed(self) -> None:
        self._show(keep_place=True)

    def action_step(self, step: int) -> None:
        index = self.index + step
        if not 0 <= index < len(self.rows):
            self.report("last of the list" if step > 0 else "first of the list")
            return
        self.index = index
        self._hits = ""
        self._moved(index)
        self._show_about()
        self._show()

    def action_words(self) -> None:
        self._words = not self._words
        self._show_about()
        self._show(keep_place=True)

    def action_markdown(self) -> None:
        self._is_rendered = not self._is_rendered
        self._show(keep_place=True)

    def action_reasoning(self) -> None:
        self._thinking = not self._thinking
        self._show(keep_place=True)

    def action_copy(self) -> None:
        self.attempt(self._copy(self.rows[self.index]), group="copy")

    async def _copy(self, row: Contrast) -> None:
        from arena_tui.judgments.copying import CopyPart, CopyScreen, parts_of

        library = self.session.library
        opened = [await asyncio.to_thread(library.open, entry) for entry in (row.a, row.b) if entry is not None]
        parts = []
        for letter, each in zip("AB", opened, strict=False):
            parts += [CopyPart(f"{letter}: {part.name}", part.text) for part in parts_of(each)]
        self.app.push_screen(CopyScreen(parts))

    def action_back(self) -> None:
        if self.query_one(FindLine).is_open or self.query_one(ReadingPane).pattern is not None:
            self.clear_find()
        else:
            self.dismiss()

    def show_hits(self, words: str) -> None:
        self._hits = words
        self._show_about()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.find_typed(event.value)

    def on_input_submitted(self) -> None:
        self.find_submitted()

    def _show(self, *, keep_place: bool = False) -> None:
        self.attempt(self._load(self.rows[self.index], keep_place), group="page")

    async def _load(self, row: Contrast, keep_place: bool) -> None:
        pane = self.query_one(ReadingPane)
        layout = Layout(pane.page_width, self._thinking, inks(self.app) if self._is_rendered else None)
        try:
            page = await asyncio.to_thread(self._lay_out, row, layout)
        except ArenaError as error:
            pane.set_page(problem_page(error, layout.width))
            return
        pane.set_page(page, keep_place=keep_place)
        if self._words:
            pane.mark_differences(await asyncio.to_thread(page.differences))

    def _lay_out(self, row: Contrast, layout: Layout) -> Page:
        library = self.session.library
        return contrast_page(library.open(row.a), library.open(row.b) if row.b is not None else None, layout)

    def _show_about(self) -> None:
        row, ink = self.rows[self.index], inks(self.app)
        other = row.b.row.model if row.b is not None else row.a.baseline
        first = Text.assemble(
            (one_line(row.a.row.model), ink.strong),
            (" and ", ink.muted),
            (one_line(other), ink.strong),
            (f"   {self.index + 1:,} of {len(self.rows):,}", ink.muted),
            (f"   {one_line(row.a.category)}" if row.a.category else "", ink.muted),
            (f"   {self._hits}" if self._hits else "", ink.warning),
        )
        style = ink.good if row.margin > 0 else ink.bad if row.margin < 0 else ink.muted
        second = Text.assemble((f"margin {row.margin:+.0f}", ink.strong + style))
        second.append(f"   A {row.points_a:.0f}, B {row.points_b:.0f} percent of the games won", ink.muted)
        if row.is_flip:
            second.append("   FLIP", ink.warning)
        if self._words:
            second.append("   differing words underlined", ink.accent)
        self.query_one("#about", TextLines).show(first, second)
