"""Which judgments a board rests on and how they are rated: one immutable value that keys and dialogs change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar

import msgspec

from arena_tui.safe_text import one_line
from engine.labels import DEFAULT_WEIGHT
from engine.ratings.estimate import CiKind
from engine.ratings.leaderboard import GroupKind, LeaderboardOptions

Choice: TypeAlias = Literal["judge", "group", "ci", "weight", "games", "verdicts", "style"]
_ValueT = TypeVar("_ValueT")

WEIGHTS = (DEFAULT_WEIGHT, 1)
INTERVALS: Mapping[CiKind, str] = {
    "question": "by question",
    "sandwich": "by question, clustered errors",
    "battle": "by battle, as the original (too narrow)",
}
STYLES: tuple[tuple[str, ...], ...] = ((), ("length", "markdown"), ("length",), ("markdown",))
NAMES: dict[Choice, str] = {
    "judge": "Judge",
    "group": "Questions",
    "ci": "Interval",
    "weight": "A strong verdict counts",
    "games": "Games",
    "verdicts": "Verdicts",
    "style": "Style controlled for",
}


class Group(msgspec.Struct, frozen=True):
    """A category or cluster of questions."""

    kind: GroupKind
    name: str
    questions: int


class BoardChoices(msgspec.Struct, frozen=True):
    """`judge` None pools all judges of the config, `group` None takes all questions."""

    judge: str | None = None
    group: Group | None = None
    ci: CiKind = "question"
    weight: int = DEFAULT_WEIGHT
    first_game_only: bool = False
    soft: bool = False
    style: tuple[str, ...] = ()

    def options(self, baseline: str) -> LeaderboardOptions:
        """As the engine wants them; judge, group and style are no options there."""
        return LeaderboardOptions(
            baseline=baseline,
            ci=self.ci,
            weight=self.weight,
            first_game_only=self.first_game_only,
            soft=self.soft,
        )

    def told(self, choice: Choice) -> str:
        """The value of one choice in words."""
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
                return "soft: what the judge's probabilities expect" if self.soft else "labels"
            case "style":
                return " and ".join(self.style) or "nothing"

    def phrases(self) -> list[str]:
        """What is not as usual, in a few words each; the judge aside."""
        told = [
            f"{self.group.kind} {one_line(self.group.name)}" if self.group else "",
            {"question": "", "sandwich": "clustered errors", "battle": "CI by battle"}[self.ci],
            f"strong verdicts count {self.weight}" if self.weight != DEFAULT_WEIGHT else "",
            "first games only" if self.first_game_only else "",
            "soft verdicts" if self.soft else "",
            f"{' and '.join(self.style)} controlled" if self.style else "",
        ]
        return [phrase for phrase in told if phrase]

    def step(self, choice: Choice, step: int, judges: Sequence[str], groups: Sequence[Group]) -> BoardChoices:
        """With the next (or, with `step` -1, the previous) value of one choice, of those that there are."""
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


def _next(values: Sequence[_ValueT], value: _ValueT, step: int) -> _ValueT:
    at = values.index(value) if value in values else 0
    return values[(at + step) % len(values)]
