"""Which judgments a board rests on and how they are rated: one immutable value, and the dialogs that change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, TypeAlias, TypeVar, get_args

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.keys import bind, closing
from arena_tui.safe_text import clip, one_line
from arena_tui.theme import inks
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.virtual_list import VirtualList
from engine.labels import DEFAULT_WEIGHT
from engine.ratings.battles import NullGames
from engine.ratings.estimate import CiKind
from engine.ratings.leaderboard import GroupKind, LeaderboardOptions

BoardChoice: TypeAlias = Literal[
    "judge", "group", "ci", "weight", "games", "verdicts", "null games", "unchecked", "style"
]
_ValueT = TypeVar("_ValueT")

WEIGHTS = (DEFAULT_WEIGHT, 1)
INTERVALS: Mapping[CiKind, str] = {
    "question": "by question",
    "sandwich": "by question, clustered errors",
    "battle": "by battle, as in the original (too narrow)",
}
STYLES: tuple[tuple[str, ...], ...] = ((), ("length", "markdown"), ("length",), ("markdown",))
NAMES: dict[BoardChoice, str] = {
    "judge": "Judge",
    "group": "Questions",
    "ci": "Interval",
    "weight": "Weight of a strong label",
    "games": "Games",
    "verdicts": "Verdicts",
    "null games": "Unparsed game of a pair",
    "unchecked": "Unchecked judgments",
    "style": "Style controlled for",
}


class Group(msgspec.Struct, frozen=True):
    """A category or cluster of questions."""

    kind: GroupKind
    name: str
    questions: int


class BoardChoices(msgspec.Struct, frozen=True):
    """`judge` None pools all judges of the config, `group` None takes all questions. `null_games` and `strict`: see
    `engine.api.open_source`."""

    judge: str | None = None
    group: Group | None = None
    ci: CiKind = "question"
    weight: int = DEFAULT_WEIGHT
    first_game_only: bool = False
    soft: bool = False
    style: tuple[str, ...] = ()
    null_games: NullGames = "keep"
    strict: bool = False

    def options(self, baseline: str) -> LeaderboardOptions:
        """Return the options of the leaderboard; judge, group and style are applied elsewhere."""
        return LeaderboardOptions(
            baseline=baseline,
            ci=self.ci,
            weight=self.weight,
            first_game_only=self.first_game_only,
            soft=self.soft,
        )

    def describe(self, choice: BoardChoice) -> str:
        """Describe the value of one choice."""
        match choice:
            case "judge":
                return one_line(self.judge) if self.judge else "all, pooled"
            case "group":
                return f"{self.group.kind} {one_line(self.group.name)}" if self.group else "all"
            case "ci":
                return INTERVALS[self.ci]
            case "weight":
                return f"{self.weight} times" if self.weight > 1 else "once"
            case "games":
                return "the first of each pair only" if self.first_game_only else "both of each pair"
            case "verdicts":
                return "soft: expected by the judge's probabilities" if self.soft else "labels"
            case "style":
                return " and ".join(self.style) or "nothing"
            case "null games":
                return "left out, as in arena-hard v2" if self.null_games == "drop-pair" else "the other game counts"
            case "unchecked":
                return "left out" if self.strict else "counted"

    def phrases(self) -> list[str]:
        """Describe each value that differs from the default, except the judge."""
        phrases = [
            f"{self.group.kind} {one_line(self.group.name)}" if self.group else "",
            {"question": "", "sandwich": "clustered errors", "battle": "CI by battle"}[self.ci],
            f"strong verdicts count {self.weight}" if self.weight != DEFAULT_WEIGHT else "",
            "first games only" if self.first_game_only else "",
            "soft verdicts" if self.soft else "",
            f"{' and '.join(self.style)} controlled" if self.style else "",
            "whole pairs only" if self.null_games == "drop-pair" else "",
            "strict" if self.strict else "",
        ]
        return [phrase for phrase in phrases if phrase]

    def step(self, choice: BoardChoice, step: int, judges: Sequence[str], groups: Sequence[Group]) -> BoardChoices:
        """Return the choices with the next (or, with `step` -1, the previous) value of one of them."""
        replace = msgspec.structs.replace
        match choice:
            case "judge":
                known = (None, *judges) if len(judges) > 1 else (None,)
                return replace(self, judge=_next(known, self.judge, step))
            case "group":
                return replace(self, group=_next((None, *groups), self.group, step))
            case "ci":
                return replace(self, ci=_next(tuple(INTERVALS), self.ci, step))
            case "weight":
                return replace(self, weight=_next(WEIGHTS, self.weight, step))
            case "games":
                return replace(self, first_game_only=not self.first_game_only)
            case "verdicts":
                return replace(self, soft=not self.soft)
            case "style":
                return replace(self, style=_next(STYLES, self.style, step))
            case "null games":
                return replace(self, null_games="keep" if self.null_games == "drop-pair" else "drop-pair")
            case "unchecked":
                return replace(self, strict=not self.strict)


def _next(values: Sequence[_ValueT], value: _ValueT, step: int) -> _ValueT:
    at = values.index(value) if value in values else 0
    return values[(at + step) % len(values)]


_NAME_COLUMNS = 26


class _Line(NamedTuple):
    choice: BoardChoice
    value: str


class BoardOptions(ModalScreen[None]):
    """Left and right change the value under the cursor; each change rates the board again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("change", "change(1)"),
        bind("change_back", "change(-1)", show=False),
        *closing("options", title="Done"),
    ]

    def __init__(self, choices: BoardChoices, change: Callable[[BoardChoice, int], BoardChoices]) -> None:
        """`change(choice, step)` rates the board by another value and returns the new choices."""
        super().__init__()
        self._choices = choices
        self._change = change

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("How to rate\n", style="bold"))
            yield VirtualList[_Line](self._line, key=lambda line: line.choice, id="choices")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(VirtualList).styles.height = len(NAMES)
        self._show()

    def on_virtual_list_selected(self) -> None:
        self.action_change(1)

    def action_change(self, step: int) -> None:
        line = self.query_one(VirtualList).row
        if line is not None:
            self._choices = self._change(line.choice, step)
            self._show()

    def _show(self) -> None:
        choices = self._choices
        self.query_one(VirtualList).set_rows(
            [_Line(choice, choices.describe(choice)) for choice in get_args(BoardChoice)]
        )

    def _line(self, line: _Line, width: int) -> Text:
        muted = inks(self.app).muted
        value = clip(line.value, max(1, width - _NAME_COLUMNS - 4))
        return Text.assemble(NAMES[line.choice].ljust(_NAME_COLUMNS), ("‹ ", muted), value, (" ›", muted))


ALL_QUESTIONS = "all questions"


def group_options(groups: Sequence[Group]) -> dict[str, Group | None]:
    """Return what to choose a group by: names with their kind, after all questions."""
    return {ALL_QUESTIONS: None} | {f"{group.kind} {group.name}": group for group in groups}
