"""Battles: all played games as flat arrays.

A battle keeps the label, not what it counts for: the weight of a strong label and the choice of games are options of a
rating, so the same battles serve every leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.labels import IS_STRONG, POINTS_OF_B

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
NullGames: TypeAlias = Literal["keep", "drop-pair"]
"""Whether a game without a label leaves the other game of its pair in the rating, or takes it out (arena-hard v2)."""
Codes: TypeAlias = npt.NDArray[np.integer[Any]]

# By label code; the last entry is that of `UNPARSED`, which is -1.
_POINTS_OF_B = np.array([*POINTS_OF_B, np.nan])
_STRONG = np.array([*IS_STRONG, False], dtype=np.float64)


@dataclass(frozen=True)
class Battles:
    """N games. The index arrays, all of shape [N], point into the name tuples, which are sorted.

    Attributes:
        questions, models, judges: distinct names in sorted order, so that results do not depend on the order of files.
        question, model_a, model_b, judge: indices of each game.
        game: number of the game in its pair, 1 or 2; 0 where the source does not say.
        points: what model_b won: 1, 0, or 0.5 for a tie; NaN where the game is unparsed.
        strong: 1 for a strong label, else 0. It is 0.5 for both games of a pair when the source says that one of two
            equal labels was strong but not which.
        odds: [N, 5] the judge's probabilities of "model_b is much worse" to "much better"; rows of NaN for games with a
            label only. None if no game has probabilities.
        choice, repeat: which answer of the model a game is of, and how often it was judged before (`engine.repeats`).
            None where all are 0.
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
    choice: IntArray | None = None
    repeat: IntArray | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def labelled(self) -> BoolArray:
        """[N]: the games with a label."""
        return ~np.isnan(self.points)

    def weights(self, strong_weight: float) -> FloatArray:
        """[N]: 1 for a plain label, `strong_weight` for a strong one, times `shares`."""
        return (1.0 + (strong_weight - 1.0) * self.strong) * self.shares

    @cached_property
    def shares(self) -> FloatArray:
        """[N]: what a game counts, so that a question counts once however many answers and repeats it has.

        A model's result on a question by a judge is the mean over its answers of the mean over their repeats.
        """
        if self.choice is None or self.repeat is None:
            return np.ones(len(self))
        pair = self._pair
        answer = _codes(pair, self.choice)
        repeats = np.bincount(answer[_first_of(_codes(answer, self.repeat))])
        answers = np.bincount(pair[_first_of(answer)])
        shares: FloatArray = 1.0 / (answers[pair] * repeats[answer])
        return shares

    @property
    def _pair(self) -> IntArray:
        """[N]: a code of the question, the two models and the judge of each game."""
        models = len(self.models)
        return _codes((self.question * models + self.model_a) * models + self.model_b, self.judge)

    def where(self, mask: BoolArray) -> Battles:
        """Return the games under `mask` (shape [N]); the names stay as they are."""
        return replace(
            self,
            question=self.question[mask],
            model_a=self.model_a[mask],
            model_b=self.model_b[mask],
            judge=self.judge[mask],
            game=self.game[mask],
            points=self.points[mask],
            strong=self.strong[mask],
            odds=None if self.odds is None else self.odds[mask],
            choice=None if self.choice is None else self.choice[mask],
            repeat=None if self.repeat is None else self.repeat[mask],
        )

    def first_games(self) -> Battles:
        """Return only the games that are known to be the first of their pair."""
        return self.where(self.game == 1)

    def whole_pairs(self) -> Battles:
        """Return only the pairs of games of which both have a label, as `show_result.py` of arena-hard-auto v2 does."""
        pair = self._pair
        if self.choice is not None and self.repeat is not None:
            pair = _codes(_codes(pair, self.choice), self.repeat)
        _, place, games = np.unique(pair, return_inverse=True, return_counts=True)
        nulls = np.bincount(place, weights=~self.labelled, minlength=len(games))
        return self.where(((nulls == 0) & (games > 1))[place])

    def first_judgments(self) -> Battles:
        """Return only the games of first answers, judged for the first time."""
        if self.choice is None or self.repeat is None:
            return self
        return self.where((self.choice == 0) & (self.repeat == 0))

    def with_any_of(self, models: Iterable[str]) -> BoolArray:
        """[N]: the games that one of the models takes part in."""
        wanted = frozenset(models)
        chosen = np.array([model in wanted for model in self.models], dtype=np.bool_)
        takes_part: BoolArray = chosen[self.model_a] | chosen[self.model_b]
        return takes_part

    def renamed(self, model: str, name: str) -> Battles:
        """Return the same games with another name for a model; names without a game are dropped."""
        names = [name if each == model else each for each in self.models]
        models, (model_a, model_b) = _in_use(names, self.model_a, self.model_b)
        return replace(self, models=models, model_a=model_a, model_b=model_b)

    def with_names(self, model: str, names: Mapping[str, str]) -> Battles:
        """Return the same games with a name for a model that depends on the question."""
        every = (*self.models, *dict.fromkeys(names.values()))
        place = {name: index for index, name in enumerate(every)}
        own = np.array([place[names.get(each, model)] for each in self.questions], dtype=np.int64)[self.question]
        sides = (np.where(side == place[model], own, side) for side in (self.model_a, self.model_b))
        models, (model_a, model_b) = _in_use(every, *sides)
        return replace(self, models=models, model_a=model_a, model_b=model_b)

    def under_one_name(self, names: Mapping[str, str], name: str) -> Battles:
        """Return the games of the model that `names` has for their question, all of them under one name."""
        place = {model: index for index, model in enumerate(self.models)}
        own = np.array([place.get(names.get(each, ""), -1) for each in self.questions], dtype=np.int64)[self.question]
        kept = (self.model_a == own) | (self.model_b == own)
        sides = (np.where(side == own, len(self.models), side)[kept] for side in (self.model_a, self.model_b))
        models, (model_a, model_b) = _in_use((*self.models, name), *sides)
        return replace(self.where(kept), models=models, model_a=model_a, model_b=model_b)

    def of_questions(self, question_ids: Iterable[str]) -> Battles:
        """Return only the games on the given questions."""
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
    choice: Codes | None = None,
    repeat: Codes | None = None,
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
        None if choice is None else np.asarray(choice, dtype=np.int64),
        None if repeat is None else np.asarray(repeat, dtype=np.int64),
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
    choice: Codes | None = None,
    repeat: Codes | None = None,
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
        choice, repeat: [N], see `Battles`; None where all are 0.
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
        choice=choice,
        repeat=repeat,
    )


def label_strength(points: FloatArray, strong: FloatArray) -> FloatArray:
    """Return the labels on the scale of `engine.labels.strength`, -2 .. 2, from what `Battles` keeps of them."""
    side: FloatArray = np.sign(points - 0.5)
    return side * (1.0 + strong)


def common_opponent(battles: Battles) -> str | None:
    """Return the one model that takes part in every game: the natural baseline of a file that names none.

    With only two models both do; then it is model_a, where a baseline stands in published files.
    """
    if not len(battles):
        return None
    for index in (int(battles.model_a[0]), int(battles.model_b[0])):
        if bool(np.all((battles.model_a == index) | (battles.model_b == index))):
            return battles.models[index]
    return None


def _codes(major: IntArray, minor: IntArray) -> IntArray:
    """Return [N] codes 0, 1, ... of the distinct pairs of numbers that are not negative."""
    size = int(minor.max(initial=0)) + 1
    codes: IntArray = np.unique(major * size + minor, return_inverse=True)[1]
    return codes


def _first_of(codes: IntArray) -> IntArray:
    """Return the place of one element of each code."""
    places: IntArray = np.unique(codes, return_index=True)[1]
    return places


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
