"""The text of the judgment under the cursor, beside the list."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.worker import Worker

from arena_tui.judgments.about import about_lines
from arena_tui.judgments.judgment_page import Layout, PageCache, judgment_page, problem_page
from arena_tui.judgments.page import Page, ReadingPane
from arena_tui.keys import bind
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import TextLines
from engine.errors import ArenaError
from engine.review.library import OpenedPair
from engine.review.listing import Listed

_PAUSE_SECONDS = 0.05  # before a text is read: a held key passes many


class PreviewPane(ReadingPane, inherit_bindings=False):
    """A reading pane in which Tab goes back to the list instead of to the next part."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "scroll_rows(-1)", title="Scroll up", show=False),
        bind("down", "scroll_rows(1)", title="Scroll down", show=False),
        bind("page_up", "scroll_page(-1)", show=False),
        bind("page_down", "scroll_page(1)", show=False),
        bind("first", "scroll_rows(-1000000)", title="Top", show=False),
        bind("last", "scroll_rows(1000000)", title="Bottom", show=False),
    ]


class JudgmentPreview(Vertical):
    """Shows one judgment, read and laid out in a thread once the cursor rests on it. Hidden on narrow terminals."""

    DEFAULT_CSS = """
    JudgmentPreview #previewed { padding: 0 1; }
    """

    def __init__(self, session: ArenaSession) -> None:
        super().__init__(classes="detail")
        self.row: Listed | None = None
        self._session = session
        self._cache: PageCache[Listed] = PageCache(self._open, _lay_out)
        self._loading: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        yield TextLines(id="previewed")
        yield PreviewPane()

    def show(self, row: Listed | None) -> None:
        """Show the judgment of `row`, or nothing."""
        is_same = row is self.row
        self.row = row
        if self.display and not is_same:
            self._show()

    def find(self, pattern: re.Pattern[str] | None) -> None:
        """Mark the hits of a search, and show each text from its first one."""
        pane = self.query_one(PreviewPane)
        if pattern != pane.pattern:
            pane.find(pattern)
            pane.go_to_hit(1)

    def go_to_hit(self, step: int) -> bool:
        """Go to the next or previous hit; return False if there is none or the text is not shown."""
        return bool(self.display) and self.query_one(PreviewPane).go_to_hit(step)

    def on_reading_pane_width_changed(self) -> None:
        self._show(keep_place=True)

    def _show(self, *, keep_place: bool = False) -> None:
        """Show the page at once if it is cached, else when it is loaded."""
        row, layout = self.row, self._layout()
        if row is None:
            self.query_one("#previewed", TextLines).show()
            self.query_one(PreviewPane).set_page(Page([], layout.width))
            return
        people = self._session.library.marks.human.get(row.pair, ())
        self.query_one("#previewed", TextLines).show(*about_lines(row, "", people, inks(self.app)))
        if (page := self._cache.ready(row, layout)) is not None:
            self._show_page(page.page, keep_place)
        elif self._loading is None or self._loading.is_finished:
            self._loading = self.run_worker(partial(self._load, keep_place), exit_on_error=False)

    async def _load(self, keep_place: bool) -> None:
        """Load the current row, and again while another one has become the current one."""
        while (row := self.row) is not None:
            layout = self._layout()
            await asyncio.sleep(_PAUSE_SECONDS)
            if row is not self.row:
                continue
            try:
                page = (await self._cache.load(row, layout)).page
            except ArenaError as error:
                page = problem_page(error, layout.width)
            if row is self.row and layout == self._layout():
                self._show_page(page, keep_place)
                return

    def _show_page(self, page: Page, keep_place: bool) -> None:
        pane = self.query_one(PreviewPane)
        pane.set_page(page, keep_place=keep_place)
        if pane.hits and not keep_place:
            pane.go_to_hit(1)

    def _open(self, row: Listed) -> OpenedPair:
        return self._session.library.open(row)

    def _layout(self) -> Layout:
        return Layout(self.query_one(PreviewPane).page_width)


def _lay_out(_: Listed, opened: OpenedPair, layout: Layout) -> Page:
    return judgment_page(opened, layout)
