"""All judgments in a list, with filters and a search; Enter opens one."""

from __future__ import annotations

import asyncio
import re
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
from engine.review.listing import JudgmentFilter, Listed, ListOrder, select
from engine.review.search import Found

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
        bind("next_hit", "go_to_hit(1)", tooltip="Next hit in the text beside the list", show=False),
        bind("previous_hit", "go_to_hit(-1)", tooltip="Hit before in the text beside the list", show=False),
        bind("close", "clear_search", title="Clear the search", key="escape", show=False),
    ]

    class TextsRead(Message):
        """Progress of reading the texts for a search."""

        def __init__(self, done: int, of: int) -> None:
            super().__init__()
            self.done = done
            self.of = of

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
        self._found: Found | None = None  # by the search for the text
        self._searches = 0
        self._texts_read = ""  # progress of reading the texts
        self._reading: threading.Event | None = None  # set to stop reading them
        self._checked = ""  # progress of the language check
        self._checking: threading.Event | None = None  # set to stop the check

    def compose_body(self) -> ComposeResult:
        yield TextLines(Text("reading the judgments ..."), id="listed")
        yield LineInput(placeholder="words to find, or #77; Enter goes to the list, Escape clears", id="search")
        with Horizontal(classes="master-detail"):
            yield JudgmentList()
            yield JudgmentPreview(self.session)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(JudgmentList).focus()

    def on_unmount(self) -> None:
        self._end_check()

    def show_library(self) -> None:
        self._show_rows(self._select(self._found))

    def _select(self, found: Found | None) -> list[Listed]:
        library = self.library
        matches = found.matches if found is not None else None
        return select(library.entries, self.wanted, library.marks, order=self.order, matches_text=matches)

    @property
    def _pattern(self) -> re.Pattern[str] | None:
        """What finds the hits of the search in a text."""
        return self._found.pattern if self._found is not None and self._found.number is None else None

    def _show_rows(self, rows: list[Listed]) -> None:
        library = self.library
        judgments = self.query_one(JudgmentList)
        judgments.show(
            rows,
            library.entries,
            library.marks,
            empty=self._why_empty(),
            found=self._found,
            excerpt=library.texts.excerpt,
        )
        preview = self.query_one(JudgmentPreview)
        preview.find(self._pattern)
        preview.show(judgments.row)
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
            ViewerScreen(self.session, rows, message.index, lambda row: judgments.move_to_key(row.key), self._pattern)
        )

    def action_order(self) -> None:
        self.order = "question" if self.order == "model" else "model"
        self.show_library()

    def action_clear(self) -> None:
        self.wanted = JudgmentFilter()
        self._end_check()
        self.action_clear_search()

    def action_filter(self) -> None:
        from arena_tui.judgments.filter_screen import FilterScreen

        self.app.push_screen(FilterScreen(self.library.entries, self.library.marks, self.wanted), self._filter_chosen)

    def action_search(self) -> None:
        self.query_one(LineInput).open()
        self.attempt(self._read_texts(), group="texts")

    def action_go_to_hit(self, step: int) -> None:
        preview = self.query_one(JudgmentPreview)
        if not preview.go_to_hit(step):
            self.report("no hits in the text beside the list" if preview.display else "Enter opens the text")

    def action_clear_search(self) -> None:
        """Remove the search and go back to the list; stop what is being read or looked for."""
        self._searches += 1
        self._text, self._found = "", None
        if self._reading is not None:
            self._reading.set()
        box = self.query_one(LineInput)
        with self.prevent(Input.Changed):
            box.value = ""
        box.close()
        self.query_one(JudgmentList).focus()
        self.show_library()

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
        """Search in a thread; a later search replaces it."""
        self._searches += 1
        number = self._searches
        await asyncio.sleep(SEARCH_SECONDS)
        self._text = text

        def search() -> tuple[Found | None, list[Listed]]:
            found = self.library.texts.search(text, lambda: number == self._searches)
            return found, self._select(found)

        found, rows = await asyncio.to_thread(search)
        if number == self._searches:
            self._found = found
            self._show_rows(rows)

    async def _read_texts(self) -> None:
        """Read the texts that a search covers, until Escape; then search them."""
        if self._reading is not None and not self._reading.is_set():
            return
        ended = self._reading = threading.Event()

        def report(done: int, of: int) -> bool:
            self.post_message(self.TextsRead(done, of))
            return not ended.is_set()

        was_loaded = self.library.texts.is_loaded
        try:
            await asyncio.to_thread(self.library.texts.refresh, report)
        finally:
            ended.set()
            self._texts_read = ""
        if self._text and not was_loaded:
            await self._search(self._text)
        else:
            self._show_summary()

    def on_judgments_screen_texts_read(self, message: TextsRead) -> None:
        if self._reading is not None and not self._reading.is_set():
            self._texts_read = f"reading the texts: {message.done:,} of {message.of:,}"
            self._show_summary()

    def _show_summary(self) -> None:
        self.query_one("#listed", TextLines).show(self._summary(len(self.query_one(JudgmentList).rows)))

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
        for what in (*_described(self.wanted), *self._searched()):
            line.append("  · ", ink.muted).append(what, ink.accent)
        if self._texts_read:
            line.append(f"  {self._texts_read}", ink.warning)
        if self._checked:
            line.append(f"  {self._checked}", ink.warning)
        return line

    def _searched(self) -> list[str]:
        """Describe the search."""
        text = one_line(" ".join(self._text.split()))
        if not text:
            return []
        if self._found is not None and self._found.number is not None:
            return [f"question {self._found.number}"]
        if self._found is not None and not self._found.is_phrase:
            return [f'all words of "{text}"']
        return [f'"{text}"']

    def _why_empty(self) -> str:
        if not self.is_read:
            return "reading ..."
        if self._texts_read:
            return "reading the texts of answers and judgments; Escape stops"
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
