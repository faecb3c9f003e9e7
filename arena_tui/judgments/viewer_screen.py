"""The viewer: one judgment with question, answers and both games; keys go to the next and previous ones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from arena_tui.judgments.about import about_lines
from arena_tui.judgments.finding import FindingScreen, FindLine
from arena_tui.judgments.judgment_page import (
    NO_REASONING,
    Layout,
    PageCache,
    PairPage,
    judgment_page,
    label_words,
    problem_page,
    prompt_page,
)
from arena_tui.judgments.page import Page, ReadingPane
from arena_tui.keys import VOTES, bind
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import TextLines
from arena_tui.widgets.screens import Attempt
from engine.errors import ArenaError
from engine.labels import LABELS, Label
from engine.review.library import OpenedPair
from engine.review.listing import Listed

if TYPE_CHECKING:
    from engine.review.store import ReviewStore

_Key = tuple[Listed, bool]  # a judgment, and whether its prompt is shown


class ViewerScreen(FindingScreen):
    """Shows `rows[index]`; calls `moved` whenever another row is shown."""

    MODE = "judgments"
    HELP = (
        "One judgment. The baseline is A in game 1 and B in game 2. Texts are shown as written; m renders their "
        "Markdown. Tab jumps from part to part. The keys of Review label it here, too: a or b for the better answer, "
        "A or B if much better, t for a tie, with the baseline as A; such labels do not count in the agreement with "
        "the judge."
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
        *(
            bind(meaning, f"vote('{label}')", tooltip=f"Label it yourself: {words}", show=False)
            for meaning, label, words in VOTES
        ),
        bind("undo", tooltip="Undo your last change of a label", show=False),
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
        self._store: ReviewStore | None = None  # of the reader's labels
        self._saving = asyncio.Lock()  # labels are saved in the order of the keys
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
        self.attempt(self._load_own(), group="own")

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
        if self._pair_page is not None and not self._pair_page.opened.has_reasoning:
            self.report(NO_REASONING)
            return
        self._thinking = not self._thinking
        self._show(keep_place=True)

    def action_copy(self) -> None:
        from arena_tui.judgments.copying import CopyScreen, parts_of

        if self._pair_page is not None:
            self.app.push_screen(CopyScreen(parts_of(self._pair_page.opened)))

    def action_vote(self, label: str) -> None:
        chosen = next(known for known in LABELS if known == label)
        self.run_worker(Attempt(self._vote(self.row, chosen), self.report), group="save", exit_on_error=False)

    def action_undo(self) -> None:
        self.run_worker(Attempt(self._undo(), self.report), group="save", exit_on_error=False)

    async def _vote(self, row: Listed, label: Label) -> None:
        """Save the reader's own label, given with names and judgment in sight; A is the baseline, as in game 1."""
        async with self._saving:
            store = await self._reviews()
            before = store.labels.get(row.pair)
            if before is None or (before.label, before.game) != (label, 1):
                note = before.note if before is not None else ""
                give = partial(store.label, game=1, judge=row.row.judge, baseline=row.baseline, note=note, seen=True)
                self.session.library.add_human(await asyncio.to_thread(give, row.pair, label))
        self._show_about()

    async def _undo(self) -> None:
        async with self._saving:
            undone = await asyncio.to_thread((await self._reviews()).undo)
            await asyncio.to_thread(self.session.library.refresh)
        if undone is None:
            self.report("no label of yours to undo")
        else:
            where = "" if undone.pair == self.row.pair else f" of {undone.model}, question {undone.question_id}"
            self.report(f"undone: {undone.label or 'skipped'}{where}")
        self._show_about()

    async def _reviews(self) -> ReviewStore:
        """Return the reader's labels."""
        from engine.review.store import default_reviewer

        reviewer = self.session.reviewer or default_reviewer()
        self._store = await asyncio.to_thread(self.session.library.reviews, reviewer)
        return self._store

    async def _load_own(self) -> None:
        await self._reviews()
        self._show_about()

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
        own = self._store.labels.get(self.row.pair) if self._store is not None else None
        if own is not None:
            place += f"   you: {label_words(own.label, own.game) if own.label else 'skipped'}"
        people = self.session.library.marks.human.get(self.row.pair, ())
        self.query_one("#about", TextLines).show(*about_lines(self.row, place, people, inks(self.app)))


def _lay_out(key: _Key, opened: OpenedPair, layout: Layout) -> Page:
    return prompt_page(opened, layout) if key[1] else judgment_page(opened, layout)
