"""The review screen: two answers without names, one key for a label, then the judge's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from arena_tui.judgments.judgment_page import (
    NARROWEST,
    NO_REASONING,
    Layout,
    PageCache,
    PairPage,
    blind_page,
    problem_page,
    revealed_page,
)
from arena_tui.judgments.page import Page, ReadingPane, text_columns
from arena_tui.judgments.passages import Words
from arena_tui.keys import VOTES, bind
from arena_tui.review.review_session import (
    ReviewSession,
    agreement_line,
    change_line,
    ending_words,
    note_line,
    progress_line,
    revealed_line,
    waiting_line,
)
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import LineInput, TextLines
from arena_tui.widgets.screens import Attempt, LibraryScreen
from engine.errors import ArenaError
from engine.labels import LABELS, Label
from engine.review.labels import Pair
from engine.review.library import OpenedPair
from engine.review.listing import JudgmentFilter

_Key = tuple[Pair, int, bool]  # a pair, its order, and whether it is revealed


_NOT_SEEN = "label not counted: the next pair was not on the screen yet"


class ReviewScreen(LibraryScreen):
    """Goes through a stratified sample. Names, order and judgment are shown after the label only."""

    MODE = "review"
    HELP = (
        "Label the pairs that the judge judged, without knowing the models: a or b for the better answer, A or B if it "
        "is much better, t for a tie. Then names and judgment are shown; Enter goes to the next pair. Another vote key "
        "changes the label, u undoes the last change. Each label is saved at once in review/<your name>.jsonl. Tab "
        "jumps from answer to answer. The sample contains every model, category and kind of label in proportion, so "
        "the agreement holds for all judgments; with a filter (f) it does not."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *(bind(meaning, f"vote('{label}')", show=False) for meaning, label, _ in VOTES),
        bind("open", "next_pair", title="Next", tooltip="Next unlabelled pair"),
        bind("skip", tooltip="Skip this pair without a label"),
        bind("note", tooltip="Write a note on this pair"),
        bind("undo", tooltip="Undo the last change of a label, also of an earlier session"),
        bind("filter", tooltip="Review only some models, categories, flips, disagreements, ..."),
        bind("clear", title="Clear filter", tooltip="Review all judgments", show=False),
        bind("markdown"),
        bind("reasoning", "thinking", tooltip="Show or hide the reasoning, after the label", show=False),
        bind("reveal"),
        bind("copy", tooltip="Copy a part to the clipboard"),
        bind("previous_item", "step(-1)", title="Previous pair", show=False),
        bind("next_item", "step(1)", title="Next pair", show=False),
        bind("extend", tooltip="Add 50 pairs to the sample"),
        bind("close", "leave_note", title="Close the note", key="escape", show=False),
    ]

    def __init__(self, session: ArenaSession) -> None:
        super().__init__(session)
        self.review: ReviewSession | None = None
        self._reveals = True
        self._is_rendered = False
        self._thinking = False
        self._note = ""  # of the current pair, before it is labelled
        self._taken_back = ""  # the label that the last key removed
        self._pair_page: PairPage | None = None
        self._shown_pair: Pair | None = None  # whose texts are shown
        self._cache: PageCache[_Key] = PageCache(self._open_one, _lay_out)
        self._saving = asyncio.Lock()  # labels are saved in the order of the keys

    def compose_body(self) -> ComposeResult:
        yield TextLines(Text("reading the judgments ..."), id="about")
        yield ReadingPane()
        yield LineInput(placeholder="a note on this pair; Enter saves it", max_length=2000, id="note")
        yield TextLines(id="verdict")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(ReadingPane).focus()

    def show_library(self) -> None:
        if self.is_read:
            self.attempt(self._begin(), group="begin")

    def on_reading_pane_width_changed(self) -> None:
        self._show(keep_place=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        review = self.review
        has_pair = review is not None and review.pair is not None
        is_labelled = has_pair and review is not None and review.label is not None
        allowed = {
            "vote": has_pair,
            "clear": review is not None and review.is_filtered,
            "skip": has_pair and not is_labelled,
            "next_pair": is_labelled,
            "undo": review is not None and bool(review.labels),
            "note": has_pair,
            "markdown": has_pair,
            "copy": has_pair and is_labelled,
            "thinking": is_labelled,
            "leave_note": isinstance(self.focused, Input),
            "extend": review is not None and review.sample.candidates > len(review.sample.pairs),
        }
        return allowed.get(action, True)

    def action_vote(self, label: str) -> None:
        self._save_label(next(known for known in LABELS if known == label))

    def action_skip(self) -> None:
        self._save_label(None)

    def action_next_pair(self) -> None:
        if self.review is not None:
            self.review.next_unlabelled()
            self._show_other()

    def action_step(self, step: int) -> None:
        if self.review is not None and self.review.step(step):
            self._show_other()

    def action_undo(self) -> None:
        self.attempt(self._undo(), group="undo")

    def action_extend(self) -> None:
        if self.review is not None:
            self.attempt(self._change(self.review.extend), group="begin")

    def action_filter(self) -> None:
        from arena_tui.judgments.filter_screen import FilterScreen

        if self.review is not None:
            library = self.library
            self.app.push_screen(FilterScreen(library.entries, library.marks, self.review.wanted), self._filter)

    def action_clear(self) -> None:
        self._filter(JudgmentFilter())

    def _filter(self, wanted: JudgmentFilter | None) -> None:
        if self.review is not None and wanted is not None:
            self.review.wanted = wanted
            self.attempt(self._begin(), group="begin")

    def action_markdown(self) -> None:
        self._is_rendered = not self._is_rendered
        self._show(keep_place=True)

    def action_thinking(self) -> None:
        if self._pair_page is not None and not self._pair_page.opened.has_reasoning:
            self.report(NO_REASONING)
            return
        self._thinking = not self._thinking
        self._show(keep_place=True)

    def action_reveal(self) -> None:
        self._reveals = not self._reveals
        self._show_lines()

    def action_copy(self) -> None:
        from arena_tui.judgments.copying import CopyScreen, parts_of

        if self._pair_page is not None and self.review is not None:
            self.app.push_screen(CopyScreen(parts_of(self._pair_page.opened, self.review.game)))

    def action_note(self) -> None:
        label = self.review.label if self.review is not None else None
        self.query_one(LineInput).open(label.note if label is not None else self._note)

    def action_leave_note(self) -> None:
        self.query_one(LineInput).close()
        self.query_one(ReadingPane).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        note, review = event.value.strip(), self.review
        self.action_leave_note()
        if review is None:
            return
        if review.label is None:
            self._note = note
            self._show_lines()
        else:
            self.attempt(self._change(lambda: review.add_note(note)), group="note")

    def _save_label(self, label: Label | None) -> None:
        """Save the label of a key, if the current pair is on the screen."""
        review, page = self.review, self._pair_page
        if review is None or review.pair is None:
            return
        if page is None or review.pair != self._shown_pair:
            self.report(_NOT_SEEN)
            return
        saving = Attempt(self._save(review.pair, label, page.opened.baseline), self.report)
        self.run_worker(saving, group="save")  # not exclusive: a second key must not cancel the save of the first

    async def _save(self, pair: Pair, label: Label | None, baseline: str) -> None:
        review = cast("ReviewSession", self.review)
        async with self._saving:
            before = review.label
            if review.pair != pair:
                self.report(_NOT_SEEN)
                return
            if before is not None and before.label == label:
                return  # a key was pressed twice
            note = self._note if before is None else before.note
            await asyncio.to_thread(review.add_label, label, baseline, note)
            self._note = ""
            if before is None and (label is None or not self._reveals):
                review.next_unlabelled()
                self._show_other()
            else:
                self._show(keep_place=True)

    async def _undo(self) -> None:
        review = cast("ReviewSession", self.review)
        async with self._saving:
            undone = await asyncio.to_thread(review.undo)
        self._show_other()
        if undone is not None:
            now = review.label
            what = f"{undone.label or 'skipped'} undone"
            self._taken_back = what if now is None else f"{what}, {now.label or 'skipped'} again"
            self._show_lines()

    async def _change(self, change: Callable[[], None]) -> None:
        async with self._saving:
            await asyncio.to_thread(change)
        self._show(keep_place=True)

    async def _begin(self) -> None:
        from engine.review.store import default_reviewer

        if self.review is None or self.review.library is not self.library:
            judges = self.session.config.judge.model
            reviewer = self.session.reviewer or default_reviewer()
            self.review = ReviewSession(self.library, reviewer, judges[0] if judges else None)
        before = self.review.pair
        async with self._saving:
            await asyncio.to_thread(self.review.begin)
        self._show(keep_place=self.review.pair == before)

    def _open_one(self, key: _Key) -> OpenedPair:
        return cast("ReviewSession", self.review).open(key[0])

    def _show_other(self) -> None:
        """Show another pair."""
        self._note = self._taken_back = ""
        self._show()

    def _show(self, *, keep_place: bool = False) -> None:
        """Show the pair, at once if it is cached; then load its neighbours."""
        self._show_lines()
        self.refresh_bindings()
        review = self.review
        if review is None or review.pair is None:
            self._pair_page, self._shown_pair = None, None
            width = self.query_one(ReadingPane).page_width
            words = ending_words(review) if review is not None else ""
            self.query_one(ReadingPane).set_page(Page([Words(words, text_columns(width))], width))
            return
        key = cast("_Key", review.peek(review.index))
        rendered = inks(self.app) if self._is_rendered else None
        width = self.query_one(ReadingPane).page_width
        layout = Layout(width, self._thinking, rendered, side_by_side_from=NARROWEST)
        page = self._cache.ready(key, layout)
        if page is not None:
            self._show_page(key, page, keep_place)
        self.attempt(self._load(key, layout, keep_place, shown=page is not None), group="page")

    async def _load(self, key: _Key, layout: Layout, keep_place: bool, *, shown: bool) -> None:
        if not shown:
            try:
                self._show_page(key, await self._cache.load(key, layout), keep_place)
            except ArenaError as error:
                self._pair_page, self._shown_pair = None, None
                self.query_one(ReadingPane).set_page(problem_page(error, layout.width))
                return
        review = cast("ReviewSession", self.review)
        await self._cache.load((key[0], key[1], True), layout)
        for index in (review.index + 1, review.index - 1):
            following = review.peek(index)
            if following is not None:
                await self._cache.load(following, layout)

    def _show_page(self, key: _Key, page: PairPage, keep_place: bool) -> None:
        self._pair_page, self._shown_pair = page, key[0]
        self.query_one(ReadingPane).set_page(page.page, keep_place=keep_place)
        self._show_lines()

    def _show_lines(self) -> None:
        """Paint the lines above and below the answers."""
        review, ink = self.review, inks(self.app)
        if review is None:
            return
        self.query_one("#about", TextLines).show(
            progress_line(review, self._taken_back, ink), agreement_line(review, ink, self.size.width)
        )
        if review.label is not None and self._pair_page is not None:
            line = revealed_line(review, ink, self.size.width)
        else:
            line = waiting_line(review, self._reveals, ink)
        lines = [line, change_line(ink)] if review.label is not None else [line]
        note = note_line(review, self._note, ink)
        self.query_one("#verdict", TextLines).show(*lines, *([note] if note is not None else []))


def _lay_out(key: _Key, opened: OpenedPair, layout: Layout) -> Page:
    _, game, is_revealed = key
    return revealed_page(opened, game, layout) if is_revealed else blind_page(opened, game, layout)
