"""The viewer: one judgment with question, answers and both games; keys go to the next and previous ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from arena_tui.judgments.about import about_lines
from arena_tui.judgments.finding import FindingScreen, FindLine
from arena_tui.judgments.judgment_page import (
    Layout,
    PageCache,
    PairPage,
    judgment_page,
    problem_page,
    prompt_page,
)
from arena_tui.judgments.page import Page, ReadingPane
from arena_tui.keys import bind
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import TextLines
from engine.errors import ArenaError
from engine.review.library import OpenedPair
from engine.review.listing import Listed

_Key = tuple[Listed, bool]  # a judgment, and whether its prompt is shown


class ViewerScreen(FindingScreen):
    """Shows `rows[index]`; calls `moved` whenever another row is shown."""

    MODE = "judgments"
    HELP = (
        "One judgment. The baseline is A in game 1 and B in game 2. Texts are shown as written; m renders their "
        "Markdown. Tab jumps from part to part."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("close", "back", title="List", tooltip="Back to the list, or from prompt to judgment"),
        bind("next_item", "step(1)"),
        bind("previous_item", "step(-1)", title="Prev", tooltip="Previous"),
        bind("markdown"),
        bind("prompt"),
        bind("reasoning", "thinking"),
        bind("copy", tooltip="Copy a part to the clipboard"),
        *FindingScreen.FINDING,
    ]

    def __init__(
        self,
        session: ArenaSession,
        rows: Sequence[Listed],
        index: int,
        moved: Callable[[Listed], object],
        found: re.Pattern[str] | None = None,
    ) -> None:
        """`found` finds the words of the search that listed the rows."""
        super().__init__(session)
        self.rows = rows
        self.index = index
        self.shows_prompt = False
        self._moved = moved
        self._found = found
        self._hits = ""  # which hit of how many
        self._is_rendered = False
        self._thinking = False
        self._pair_page: PairPage | None = None
        self._cache: PageCache[_Key] = PageCache(lambda key: self.session.library.open(key[0]), _lay_out)

    @property
    def row(self) -> Listed:
        return self.rows[self.index]

    def compose_body(self) -> ComposeResult:
        yield TextLines(id="about")
        yield ReadingPane()
        yield FindLine()

    def on_mount(self) -> None:
        self.query_one(ReadingPane).focus()
        self.find(self._found)
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
        self._moved(self.row)
        self._show_about()
        self._show()

    def action_markdown(self) -> None:
        self._is_rendered = not self._is_rendered
        self._show(keep_place=True)

    def action_prompt(self) -> None:
        self.shows_prompt = not self.shows_prompt
        self._show()

    def action_thinking(self) -> None:
        self._thinking = not self._thinking
        self._show(keep_place=True)

    def action_copy(self) -> None:
        from arena_tui.judgments.copying import CopyScreen, parts_of

        if self._pair_page is not None:
            self.app.push_screen(CopyScreen(parts_of(self._pair_page.opened)))

    def action_back(self) -> None:
        """Clear a search typed here, else go from the prompt to the judgment, else back to the list."""
        if self.query_one(FindLine).is_open or self.query_one(ReadingPane).pattern is not self._found:
            self.clear_find()
            self.find(self._found)
        elif self.shows_prompt:
            self.action_prompt()
        else:
            self.dismiss()

    def show_hits(self, words: str) -> None:
        self._hits = words
        self._show_about()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.find_typed(event.value)

    def on_input_submitted(self) -> None:
        self.find_submitted()

    def _layout(self) -> Layout:
        rendered = inks(self.app) if self._is_rendered else None
        return Layout(self.query_one(ReadingPane).page_width, self._thinking, rendered)

    def _show(self, *, keep_place: bool = False) -> None:
        """Show the page, at once if it is cached; then load its neighbours."""
        key, layout = (self.row, self.shows_prompt), self._layout()
        page = self._cache.ready(key, layout)
        if page is not None:
            self._show_page(page, keep_place)
        self.attempt(self._load(key, layout, keep_place, shown=page is not None), group="page")

    async def _load(self, key: _Key, layout: Layout, keep_place: bool, *, shown: bool) -> None:
        if not shown:
            try:
                self._show_page(await self._cache.load(key, layout), keep_place)
            except ArenaError as error:
                self._pair_page = None
                self.query_one(ReadingPane).set_page(problem_page(error, layout.width))
        for index in (self.index + 1, self.index - 1):
            if 0 <= index < len(self.rows):
                await self._cache.load((self.rows[index], key[1]), layout)

    def _show_page(self, page: PairPage, keep_place: bool) -> None:
        is_first, self._pair_page = self._pair_page is None, page
        pane = self.query_one(ReadingPane)
        pane.set_page(page.page, keep_place=keep_place)
        if pane.hits and (is_first or not keep_place):
            self.action_go_to_hit(1)

    def _show_about(self) -> None:
        place = f"{self.index + 1:,} of {len(self.rows):,}" + (f"   {self._hits}" if self._hits else "")
        people = self.session.library.marks.human.get(self.row.pair, ())
        self.query_one("#about", TextLines).show(*about_lines(self.row, place, people, inks(self.app)))


def _lay_out(key: _Key, opened: OpenedPair, layout: Layout) -> Page:
    return prompt_page(opened, layout) if key[1] else judgment_page(opened, layout)
