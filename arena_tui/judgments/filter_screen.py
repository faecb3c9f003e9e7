"""The dialog for filters: every value with its number of judgments, to be switched on and off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from arena_tui.judgments.judgment_list import counted
from arena_tui.keys import LISTING, bind
from arena_tui.safe_text import clip, one_line, text_width
from arena_tui.setup.pick_screen import FindInput
from arena_tui.theme import inks
from arena_tui.widgets.lines import KeyBar, TextLines
from arena_tui.widgets.virtual_list import VirtualList
from engine.labels import LABELS
from engine.review.labels import OUTCOMES
from engine.review.listing import FLAGS, Flag, JudgmentFilter, Listed, Marks, select

FilterKind: TypeAlias = Literal["flags", "outcomes", "labels", "models", "categories", "judges"]

_FLAG_NAMES: dict[Flag, str] = {
    "flip": "flips: winner changes with position",
    "unparsed": "unparsed game",
    "human": "people saw another winner",
    "language": "not in the question's language",
}
_NAMES: dict[FilterKind, str] = {
    "flags": "only",
    "outcomes": "result",
    "labels": "label",
    "models": "model",
    "categories": "category",
    "judges": "judge",
}


class _Choice(NamedTuple):
    kind: FilterKind
    value: str
    title: str
    judgments: int | None  # with this value; None if not checked


class FilterScreen(ModalScreen[JudgmentFilter]):
    """Returns the filter. A judgment must match one value of each kind, and every flag."""

    DEFAULT_CSS = """
    FilterScreen {
        TextLines { background: $surface; padding: 0; }
        FindInput { background: $panel; }
        VirtualList > .virtual-list--cursor-elsewhere { background: $panel; text-style: bold; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *LISTING,
        bind("clear", key="delete", title="All off", priority=True),
        bind("close", "done", title="Show", key="escape"),
    ]

    def __init__(self, entries: Sequence[Listed], marks: Marks, wanted: JudgmentFilter) -> None:
        super().__init__()
        self._entries = entries
        self._marks = marks
        self._wanted = wanted
        self._choices = list(_choices(entries, marks))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield TextLines(id="matching")
            yield FindInput(marks=True, placeholder="type to find a model, a category, ...")
            yield VirtualList[_Choice](self._line, key=lambda choice: (choice.kind, choice.value), id="choices")
        yield KeyBar(help=False)

    def on_mount(self) -> None:
        choices = self.query_one(VirtualList)
        choices.can_focus = False
        choices.styles.height = min(len(self._choices), max(3, self.app.size.height - 10))
        choices.set_rows(self._choices)
        self.query_one(FindInput).focus()
        self._show_count()

    def on_input_changed(self, event: Input.Changed) -> None:
        """List only the choices that contain every word."""
        words = event.value.casefold().split()
        names = [(choice, f"{_NAMES[choice.kind]} {choice.title}".casefold()) for choice in self._choices]
        self.query_one(VirtualList).set_rows([choice for choice, name in names if all(word in name for word in words)])

    def on_input_submitted(self) -> None:
        self.action_switch()

    def on_find_input_marked(self) -> None:
        self.action_switch()

    def on_virtual_list_selected(self) -> None:
        self.action_switch()

    def action_move(self, rows: int) -> None:
        self.query_one(VirtualList).action_move(rows)

    def action_page(self, pages: int) -> None:
        self.query_one(VirtualList).action_move_page(pages)

    def action_switch(self) -> None:
        choice = self.query_one(VirtualList).row
        if choice is not None:
            chosen = getattr(self._wanted, choice.kind) ^ {choice.value}
            self._wanted = msgspec.structs.replace(self._wanted, **{choice.kind: chosen})
            self._show_count()

    def action_clear(self) -> None:
        self._wanted = JudgmentFilter()
        self._show_count()

    def action_done(self) -> None:
        self.dismiss(self._wanted)

    def _show_count(self) -> None:
        count = len(select(self._entries, self._wanted, self._marks))
        unknown = "language" in self._wanted.flags and self._marks.other_language is None
        matching = "the languages are checked when you close this" if unknown else counted(count)
        self.query_one("#matching", TextLines).show(
            Text.assemble(("Show only", "bold"), "   (space or Enter: on or off, Delete: all off, Escape: show)"),
            Text(matching, inks(self.app).accent),
            Text(),
        )
        self.query_one(VirtualList).repaint()

    def _line(self, choice: _Choice, width: int) -> Text:
        ink = inks(self.app)
        is_on = choice.value in getattr(self._wanted, choice.kind)
        count = "" if choice.judgments is None else f"{choice.judgments:,}"
        room = width - 14 - len(count) - 1
        title = clip(one_line(choice.title), room)
        return Text.assemble(
            ("[x] " if is_on else "[ ] ", ink.accent if is_on else ink.muted),
            (f"{_NAMES[choice.kind]:<10}", ink.muted),
            title,
            " " * (room - text_width(title) + 1),
            (count, ink.muted),
        )


def _choices(entries: Sequence[Listed], marks: Marks) -> Iterator[_Choice]:
    """Yield the values of each kind; kinds with a single value are left out."""
    flags = Counter(flag for entry in entries for flag in marks.flags(entry))
    for flag in FLAGS:
        is_unknown = flag == "language" and marks.other_language is None
        yield _Choice("flags", flag, _FLAG_NAMES[flag], None if is_unknown else flags[flag])
    outcomes = Counter(entry.outcome for entry in entries)
    yield from (_Choice("outcomes", value, value, outcomes[value]) for value in OUTCOMES)
    labels = Counter(label for entry in entries for label in set(entry.row.labels))
    yield from (_Choice("labels", value, value, labels[value]) for value in LABELS)
    found: dict[FilterKind, Counter[str]] = {
        "models": Counter(entry.row.model for entry in entries),
        "categories": Counter(entry.category for entry in entries if entry.category),
        "judges": Counter(entry.row.judge for entry in entries),
    }
    for kind, counts in found.items():
        if len(counts) > 1:
            yield from (_Choice(kind, value, value, counts[value]) for value in sorted(counts))
