"""Battles: every game that a judge played, as flat arrays.

A battle keeps what the judge said, not what it counts for: the weight of a strong verdict and the choice of games
are applied later, so the same battles serve every leaderboard option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.labels import CODES, IS_STRONG, LABELS, POINTS_OF_B, UNPARSED, Label

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[np.integer[Any]]

# By label code; the last entry is that of `UNPARSED`, which is -1.
_POINTS_OF_B = np.array([*POINTS_OF_B, np.nan])
_STRONG = np.array([*IS_STRONG, False], dtype=np.float64)
_NO_ODDS = (float("nan"),) * len(LABELS)


class Judged(Protocol):
    """A judge's verdicts on a model's answer to one question, whatever file they came from.

    `labels[i]` and `played[i]` belong to game i + 1: in game 1 the baseline is A, in game 2 the model is.
    """

    @property
    def question_id(self) -> str: ...
    @property
    def labels(self) -> Sequence[Label | None]: ...
    @property
    def played(self) -> Sequence[bool]: ...
    @property
    def probabilities(self) -> Sequence[Mapping[Label, float] | None]:
        """The judge's for the labels of each game; empty where it told none."""
        ...


@dataclass(frozen=True)
class Battles:
    """N games. The index arrays, all of shape [N], point into the name tuples, which are sorted.

    Attributes:
        questions, models, judges: distinct names in sorted order, so that nothing depends on the order of files.
        question, model_a, model_b, judge: indices of each game.
        game: 1 or 2, the place of the game in its pair; 0 where the source does not say.
        points: what model_b won: 1, 0, or 0.5 for a tie; NaN where the judge gave no verdict.
        strong: 1 for a strong verdict, else 0. It is 0.5 for both games of a pair when the source says that one of
            two equal verdicts was strong but not which.
        odds: [N, 5] how likely the judge held each verdict on model_b, from much worse over a tie to much better; rows
            of NaN where it told nothing but its label. None if it never told more.
    """

    questions: tuple[str, ...]
    models: tuple[str, ...]
    judges: tuple[str, ...]
    question: IntArray
    model_a: IntArray
    model_b: IntArray
    judge: IntArray
    game: IntArray
    points: FloatArray
    strong: FloatArray
    odds: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def labelled(self) -> BoolArray:
        """Shape [N]: the games that have a verdict."""
        return ~np.isnan(self.points)

    def weights(self, strong_weight: float) -> FloatArray:
        """Shape [N]: 1 for a plain verdict, `strong_weight` for a strong one."""
        return 1.0 + (strong_weight - 1.0) * self.strong

    def where(self, mask: BoolArray) -> Battles:
        """The games under `mask` (shape [N]); the names stay as they are."""
        return Battles(
            self.questions,
            self.models,
            self.judges,
            self.question[mask],
            self.model_a[mask],
            self.model_b[mask],
            self.judge[mask],
            self.game[mask],
            self.points[mask],
            self.strong[mask],
            None if self.odds is None else self.odds[mask],
        )

    def first_games(self) -> Battles:
        """Only the games that are known to be the first of their pair."""
        return self.where(self.game == 1)

    def with_any_of(self, models: Iterable[str]) -> BoolArray:
        """Shape [N]: the games that one of the models takes part in."""
        chosen = [index for index, name in enumerate(self.models) if name in frozenset(models)]
        takes_part: BoolArray = np.isin(self.model_a, chosen) | np.isin(self.model_b, chosen)
        return takes_part

    def of_questions(self, question_ids: Iterable[str]) -> Battles:
        """Only the games on the given questions."""
        wanted = frozenset(question_ids)
        keep = np.array([question in wanted for question in self.questions], dtype=np.bool_)
        return self.where(keep[self.question])


def battles_from_columns(
    questions: Sequence[str],
    models: Sequence[str],
    judges: Sequence[str],
    *,
    question: Codes,
    model_a: Codes,
    model_b: Codes,
    judge: Codes,
    game: Codes,
    points: FloatArray,
    strong: FloatArray,
    odds: FloatArray | None = None,
) -> Battles:
    """Build battles from columns of shape [N]; the columns of codes index into the names.

    Names may come in any order, twice, or without a game: `Battles` keeps each name in use once, sorted.
    The other columns are as in `Battles`.
    """
    question_names, (question,) = _in_use(questions, question)
    model_names, (model_a, model_b) = _in_use(models, model_a, model_b)
    judge_names, (judge,) = _in_use(judges, judge)
    return Battles(
        question_names,
        model_names,
        judge_names,
        question,
        model_a,
        model_b,
        judge,
        np.asarray(game, dtype=np.int64),
        points,
        strong,
        odds,
    )


def battles_from_labels(
    questions: Sequence[str],
    models: Sequence[str],
    judges: Sequence[str],
    *,
    question: Codes,
    model: Codes,
    baseline: Codes | int,
    judge: Codes,
    game: Codes,
    label: Codes,
    probabilities: FloatArray | None = None,
) -> Battles:
    """Build battles from the labels of N played games of models against a baseline, without a loop over games.

    Args:
        questions, models, judges: names, in any order; those without a game are dropped.
        question, model, judge: [N] codes, indices into these names.
        baseline: index into `models` of the baseline of all games, or of each game ([N]). It is model_a of every
            battle, whatever its place on the page.
        game: [N] 1 (the baseline is A) or 2 (the model is A).
        label: [N] label codes, positions in `engine.labels.LABELS`; `UNPARSED` (-1) for a game played without a label.
        probabilities: [N, 5] the judge's probabilities of `LABELS`, rows of NaN for games without; None if no game has
            any. A game without a label has none either.
    """
    label, game = np.asarray(label), np.asarray(game)
    mirrored = game == 2
    points = _POINTS_OF_B[label]
    points = np.where(mirrored, 1.0 - points, points)
    odds = None
    if probabilities is not None:
        odds = np.where(mirrored[:, None], probabilities[:, ::-1], probabilities)
        odds[label < 0] = np.nan
        if np.isnan(odds[:, 0]).all():
            odds = None
    return battles_from_columns(
        questions,
        models,
        judges,
        question=question,
        model_a=np.broadcast_to(baseline, label.shape),
        model_b=model,
        judge=judge,
        game=game,
        points=points,
        strong=_STRONG[label],
        odds=odds,
    )


def battles_from_judgments(judgments: Mapping[tuple[str, str], Iterable[Judged]], baseline: str) -> Battles:
    """Build battles from all played games against `baseline`; `judgments` holds those of one model by (judge, model).

    A game that was never played is left out; one without a label stays, with NaN points, so that it is counted.
    """
    names: list[list[str]] = [[], [], []]
    columns: list[tuple[int, int, Sequence[float]]] = []
    for (judge, model), judged in judgments.items():
        for each in judged:
            given = each.probabilities or (None,) * len(each.labels)
            for game, (label, played, odds) in enumerate(zip(each.labels, each.played, given, strict=True), start=1):
                if played:
                    for column, name in zip(names, (each.question_id, model, judge), strict=True):
                        column.append(name)
                    code = UNPARSED if label is None else CODES[label]
                    columns.append((game, code, _NO_ODDS if odds is None else [odds[known] for known in LABELS]))
    questions, models, judges = names
    count = np.arange(len(questions))
    return battles_from_labels(
        questions,
        [*models, baseline],
        judges,
        question=count,
        model=count,
        baseline=len(models),
        judge=count,
        game=np.array([game for game, _, _ in columns], dtype=np.int64),
        label=np.array([code for _, code, _ in columns], dtype=np.int64),
        probabilities=np.array([odds for _, _, odds in columns], dtype=np.float64).reshape(-1, len(LABELS)),
    )


def pooled(parts: Sequence[Battles]) -> Battles:
    """Return all games of several batches, under the names of all of them."""
    if len(parts) == 1:
        return parts[0]

    def codes(names: Callable[[Battles], Sequence[str]], column: Callable[[Battles], IntArray]) -> IntArray:
        starts = np.cumsum([0, *(len(names(part)) for part in parts)])
        return np.concatenate([column(part) + start for part, start in zip(parts, starts[:-1], strict=True)])

    odds = [np.full((len(part), len(LABELS)), np.nan) if part.odds is None else part.odds for part in parts]
    return battles_from_columns(
        [name for part in parts for name in part.questions],
        [name for part in parts for name in part.models],
        [name for part in parts for name in part.judges],
        question=codes(lambda part: part.questions, lambda part: part.question),
        model_a=codes(lambda part: part.models, lambda part: part.model_a),
        model_b=codes(lambda part: part.models, lambda part: part.model_b),
        judge=codes(lambda part: part.judges, lambda part: part.judge),
        game=np.concatenate([part.game for part in parts]),
        points=np.concatenate([part.points for part in parts]),
        strong=np.concatenate([part.strong for part in parts]),
        odds=None if all(part.odds is None for part in parts) else np.concatenate(odds),
    )


def label_strength(points: FloatArray, strong: FloatArray) -> FloatArray:
    """Return the labels on the scale of `engine.labels.strength`, -2 .. 2, from what `Battles` keeps of them."""
    side: FloatArray = np.sign(points - 0.5)
    return side * (1.0 + strong)


def common_opponent(battles: Battles) -> str | None:
    """The one model that takes part in every game, or None: the natural baseline of a file that names none.

    With only two models both do; then it is model_a, where a baseline stands in published files.
    """
    if not len(battles):
        return None
    everywhere = [
        index
        for index in range(len(battles.models))
        if bool(np.all((battles.model_a == index) | (battles.model_b == index)))
    ]
    if not everywhere:
        return None
    first = int(battles.model_a[0])
    return battles.models[first if first in everywhere else everywhere[0]]


def _in_use(names: Sequence[str], *columns: Codes) -> tuple[tuple[str, ...], list[IntArray]]:
    """Return the distinct names that the columns use, sorted, and the columns as indices into them."""
    used = np.zeros(len(names), dtype=np.bool_)
    for column in columns:
        used[column] = True
    kept = np.flatnonzero(used).tolist()
    distinct = tuple(sorted({names[index] for index in kept}))
    place = {name: index for index, name in enumerate(distinct)}
    moved = np.zeros(len(names), dtype=np.int64)
    moved[kept] = [place[names[index]] for index in kept]
    return distinct, [moved[column] for column in columns]
