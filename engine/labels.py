"""What the five labels of a judge mean: the only table of label arithmetic.

The labels, their points and the default weight are those of Arena-Hard-Auto (Li et al., arXiv 2406.11939, 2024;
`show_result.py`): a tie is half a win, and a strong label counts as three games.

In game 1 the baseline is A and the judged model is B; in game 2 the model is A. Array users index the tuples below by
label code, the position of a label in `LABELS`. This module imports no numpy, because the records import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

Label: TypeAlias = Literal["A>>B", "A>B", "A=B", "B>A", "B>>A"]

LABELS: Final[tuple[Label, ...]] = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
"""From "A is much better" to "B is much better", so that the mirrored label is the same one from the other end."""
POINTS_OF_B: Final = (0.0, 0.0, 0.5, 1.0, 1.0)
"""By label code: what B wins of one game."""
IS_STRONG: Final = (True, False, False, False, True)
"""By label code: whether the label counts as `weight` games."""
DEFAULT_WEIGHT: Final = 3
"""Games that a strong label counts as, unless an option says otherwise."""
UNPARSED: Final = -1
"""Label code of a game that was played but has no label."""
NOT_PLAYED: Final = -2
"""Label code of a game that was not played."""
FIRST_DIGIT: Final = ord("0") - NOT_PLAYED
"""Where games are kept as a text, a label code is the character of this number plus the code."""
CODES: Final[Mapping[Label, int]] = MappingProxyType({label: code for code, label in enumerate(LABELS)})


class Points(NamedTuple):
    """Weighted points won, of the weight played for; both are 0 where no game has a label."""

    won: float
    total: float


def mirror(label: Label) -> Label:
    """Return the label of the same opinion with A and B swapped."""
    return LABELS[-1 - CODES[label]]


def is_strong(label: Label | None) -> bool:
    return label is not None and IS_STRONG[CODES[label]]


def strength(label: Label, game: int) -> int:
    """Return how the label speaks for the judged model: from 2 (much better) over 0 (tie) to -2 (much worse)."""
    for_b = CODES[label] - 2
    return -for_b if game == 2 else for_b


def points_of_model(label: Label | None, game: int) -> float:
    """Return what the judged model wins of game 1 or 2: 1, 0.5 or 0, unweighted; NaN without a label."""
    if label is None:
        return float("nan")
    points_of_b = POINTS_OF_B[CODES[label]]
    return 1.0 - points_of_b if game == 2 else points_of_b


def points_of_games(
    labels: Sequence[Label | None], weight: float = DEFAULT_WEIGHT, *, first_game_only: bool = False
) -> Points:
    """Sum what the judged model wins on one question; `labels[i]` belongs to game i + 1."""
    won = total = 0.0
    for game, label in enumerate(labels[:1] if first_game_only else labels, start=1):
        if label is not None:
            counts = weight if is_strong(label) else 1.0
            won += counts * points_of_model(label, game)
            total += counts
    return Points(won, total)


def digit(code: int) -> str:
    """Return a label code (or `UNPARSED`, `NOT_PLAYED`) as the character that stands for it in a text of games."""
    return chr(FIRST_DIGIT + code)


@lru_cache(maxsize=1024)
def labels_of(games: str) -> tuple[tuple[Label | None, ...], tuple[bool, ...]]:
    """Return the labels of a text of games, one character each, and which games were played."""
    codes = [ord(character) - FIRST_DIGIT for character in games]
    return tuple(LABELS[code] if code >= 0 else None for code in codes), tuple(code != NOT_PLAYED for code in codes)
