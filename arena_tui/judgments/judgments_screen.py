"""All judgments in a list, with filters and a search; Enter opens one."""

from __future__ import annotations

import asyncio
import threading
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from arena_tui.judgments.judgment_list import FLAG_WORDS, JudgmentList, counted
from arena_tui.judgments.preview import JudgmentPreview
from arena_tui.keys import bind
from arena_tui.safe_text import one_line
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import LineInput, TextLines
from arena_tui.widgets.screens import LibraryScreen
from arena_tui.widgets.virtual_list import VirtualList
from engine.review.listing import JudgmentFilter, ListOrder, select

SEARCH_SECONDS = 0.15  # after the last key, before a search starts


class JudgmentsScreen(LibraryScreen):
    """The list, a line about what it shows, and a search box on demand."""

    MODE = "judgments"
    HELP = (
        "One line for each judgment. Game 1 shows the baseline as A, game 2 the model. Win, tie or loss is the result "
        "of the model in both games; games that contradict each other are a tie, marked flip. Other marks: none (an "
        "unparsed game), human (a person saw another winner), lang (answer not in the question's language)."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("search", tooltip="Find words in questions, answers and judgments"),
        bind("filter", tooltip="Show only some models, labels, flips, ..."),
        bind("order", tooltip="Order by model or by question"),
        bind("clear", tooltip="Remove filter and search"),
        bind("close", "leave_search", title="List", key="escape", show=False),
    ]

    class LanguagesChecked(Message):
        """Progress of the language check."""

        def __init__(self, done: int, of: int) -> None:
            super().__init__()
            self.done = done
            self.of = of

    def __init__(self, session: ArenaSession) -> None:
        super().__init__(session)
        self.wanted = JudgmentFilter()
        self.order: ListOrder = "model"
        self._text = ""
        self._checked = ""  # progress of the language check
        self._checking: threading.Event | None = None  # set to stop the check

    def compose_body(self) -> ComposeResult:
        yield TextLines(Text("reading the judgments ..."), id="listed")
        yield LineInput(placeholder="words to find; Enter goes to the list, Escape closes", id="search")
        with Horizontal(classes="master-detail"):
            yield JudgmentList()
            yield JudgmentPreview(self.session)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(JudgmentList).focus()

    def on_unmount(self) -> None:
        self._end_check()

    def show_library(self) -> None:
        library = self.library
        rows = select(
            library.entries, self.wanted, library.marks, order=self.order, matches_text=library.texts.search(self._text)
        )
        judgments = self.query_one(JudgmentList)
        judgments.show(rows, library.entries, library.marks, empty=self._why_empty())
        self.query_one(JudgmentPreview).show(judgments.row)
        self.query_one("#listed", TextLines).show(self._summary(len(rows)))
        if not self.focused:
            judgments.focus()

    def on_virtual_list_highlighted(self, message: VirtualList.Highlighted) -> None:
        self.query_one(JudgmentPreview).show(message.row)

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        from arena_tui.judgments.viewer_screen import ViewerScreen

        judgments = self.query_one(JudgmentList)
        rows = list(judgments.rows)
        self.app.push_screen(
            ViewerScreen(self.session, rows, message.index, lambda row: judgments.move_to_key(row.key))
        )

    def action_order(self) -> None:
        self.order = "question" if self.order == "model" else "model"
        self.show_library()

    def action_clear(self) -> None:
        self.wanted, self._text = JudgmentFilter(), ""
        box = self.query_one(LineInput)
        box.value = ""
        box.close()
        self._end_check()
        self.query_one(JudgmentList).focus()
        self.show_library()

    def action_filter(self) -> None:
        from arena_tui.judgments.filter_screen import FilterScreen

        self.app.push_screen(FilterScreen(self.library.entries, self.library.marks, self.wanted), self._filter_chosen)

    def action_search(self) -> None:
        self.query_one(LineInput).open()
        self.attempt(self._read_texts(), group="texts")

    def action_leave_search(self) -> None:
        """Go back to the list; the search stays unless it is empty."""
        self.query_one(LineInput).close(only_if_empty=True)
        self.query_one(JudgmentList).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.attempt(self._search(event.value), group="search")

    def on_input_submitted(self) -> None:
        self.query_one(JudgmentList).focus()

    def on_judgments_screen_languages_checked(self, message: LanguagesChecked) -> None:
        if self._checking is None or self._checking.is_set():
            return  # posted before the check was stopped
        self._checked = f"languages: {message.done:,} of {message.of:,} checked"
        self.show_library()

    def _filter_chosen(self, wanted: JudgmentFilter | None) -> None:
        if wanted is None:
            return
        self.wanted = wanted
        if "language" not in wanted.flags:
            self._end_check()
        elif self.library.marks.other_language is None:
            self.attempt(self._check_languages(), group="languages")
        self.show_library()

    async def _search(self, text: str) -> None:
        await asyncio.sleep(SEARCH_SECONDS)
        self._text = text
        self.show_library()

    async def _read_texts(self) -> None:
        was_loaded = self.library.texts.is_loaded
        await asyncio.to_thread(self.library.texts.refresh)
        if not was_loaded and self._text:
            self.show_library()

    async def _check_languages(self) -> None:
        self._end_check()
        ended = self._checking = threading.Event()

        def report(done: int, of: int) -> bool:
            self.post_message(self.LanguagesChecked(done, of))
            return not ended.is_set()

        try:
            await asyncio.to_thread(self.library.find_other_languages, report)
        finally:
            ended.set()
        if self._checking is ended:
            self._checked = ""
            self.show_library()

    def _end_check(self) -> None:
        if self._checking is not None:
            self._checking.set()
        self._checked = ""

    def _summary(self, shown: int) -> Text:
        ink = inks(self.app)
        count = len(self.library.entries)
        line = Text.assemble((counted(shown, count), ink.strong), (f"  by {self.order}", ink.muted))
        if not self.is_read:
            line.append("  reading ...", ink.warning)
        for what in (*_described(self.wanted), *([f'"{one_line(self._text.strip())}"'] if self._text.strip() else [])):
            line.append("  · ", ink.muted).append(what, ink.accent)
        if self._text.strip() and not self.library.texts.is_loaded:
            line.append("  reading the texts ...", ink.warning)
        if self._checked:
            line.append(f"  {self._checked}", ink.warning)
        return line

    def _why_empty(self) -> str:
        if not self.is_read:
            return "reading ..."
        if self._checked:
            return "checking the languages of the answers ..."
        if self.library.entries:
            return "no matches; x shows everything"
        return "no judgments yet: 1, then s, starts a run; 4 is for reviewing answers yourself"


def _described(wanted: JudgmentFilter) -> list[str]:
    """Describe the filter, kind by kind."""
    kinds = (wanted.judges, wanted.models, wanted.categories, wanted.labels, wanted.outcomes)
    chosen = [" or ".join(sorted(one_line(value) for value in values)) for values in kinds if values]
    return [*chosen, *(FLAG_WORDS[flag] for flag in sorted(wanted.flags))]
