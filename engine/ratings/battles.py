"""Battles: every game that a judge played, as flat arrays.

A battle keeps what the judge said, not what it counts for: the weight of a strong verdict and the choice of games
are applied later, so the same battles serve every leaderboard option.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.labels import LABELS, Label, is_strong, points_of_model

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


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


class BattleBuilder:
    """Collects games one by one and turns them into `Battles`."""

    def __init__(self) -> None:
        self._questions: list[str] = []
        self._models_a: list[str] = []
        self._models_b: list[str] = []
        self._judges: list[str] = []
        self._games: list[int] = []
        self._points: list[float] = []
        self._strong: list[float] = []
        self._odds: dict[int, Sequence[float]] = {}

    def add(
        self,
        question_id: str,
        model_a: str,
        model_b: str,
        points: float,
        *,
        strong: float = 0.0,
        game: int = 0,
        judge: str = "",
        odds: Sequence[float] | None = None,
    ) -> None:
        """One game; `points` is what model_b won (NaN: no verdict), `odds` as in `Battles`, one row of five."""
        if odds is not None:
            self._odds[len(self._points)] = odds
        self._questions.append(question_id)
        self._models_a.append(model_a)
        self._models_b.append(model_b)
        self._judges.append(judge)
        self._games.append(game)
        self._points.append(points)
        self._strong.append(strong)

    def build(self) -> Battles:
        questions, question = _indexed(self._questions)
        judges, judge = _indexed(self._judges)
        models, model = _indexed(self._models_a + self._models_b)
        count = len(self._points)
        return Battles(
            questions,
            models,
            judges,
            question,
            model[:count],
            model[count:],
            judge,
            np.array(self._games, dtype=np.int64),
            np.array(self._points, dtype=np.float64),
            np.array(self._strong, dtype=np.float64),
            self._all_odds(),
        )

    def _all_odds(self) -> FloatArray | None:
        if not self._odds:
            return None
        odds = np.full((len(self._points), len(LABELS)), np.nan)
        odds[list(self._odds)] = list(self._odds.values())
        return odds


def battles_from_judgments(judgments: Mapping[tuple[str, str], Iterable[Judged]], baseline: str) -> Battles:
    """All played games, each against `baseline` (always model_a here, whatever its place on the page).

    `judgments` holds one judge's verdicts on one model under (judge, model). A game that was never played is left out;
    one without a verdict stays, with NaN points, so that it is counted. Several judges are simply pooled.
    """
    builder = BattleBuilder()
    for (judge, model), verdicts in judgments.items():
        for judged in verdicts:
            told = judged.probabilities or (None,) * len(judged.labels)
            for number, (label, played, chances) in enumerate(
                zip(judged.labels, judged.played, told, strict=True), start=1
            ):
                if played:
                    builder.add(
                        judged.question_id,
                        baseline,
                        model,
                        points_of_model(label, number),
                        strong=float(is_strong(label)),
                        game=number,
                        judge=judge,
                        odds=None if label is None or chances is None else odds_of_model(chances, number),
                    )
    return builder.build()


def pooled(parts: Sequence[Battles]) -> Battles:
    """All games of several batches, under the names of all of them."""
    if len(parts) == 1:
        return parts[0]

    def merged(names: Iterable[Sequence[str]]) -> tuple[str, ...]:
        return tuple(sorted({name for each in names for name in each}))

    def joined(old: Iterable[Sequence[str]], new: Sequence[str], indices: Iterable[IntArray]) -> IntArray:
        place = {name: index for index, name in enumerate(new)}
        moved = [np.array([place[name] for name in names], dtype=np.int64) for names in old]
        return np.concatenate([where[index] for where, index in zip(moved, indices, strict=True)])

    questions = merged(part.questions for part in parts)
    models = merged(part.models for part in parts)
    judges = merged(part.judges for part in parts)
    odds = [np.full((len(part), len(LABELS)), np.nan) if part.odds is None else part.odds for part in parts]
    return Battles(
        questions,
        models,
        judges,
        joined([part.questions for part in parts], questions, [part.question for part in parts]),
        joined([part.models for part in parts], models, [part.model_a for part in parts]),
        joined([part.models for part in parts], models, [part.model_b for part in parts]),
        joined([part.judges for part in parts], judges, [part.judge for part in parts]),
        np.concatenate([part.game for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.strong for part in parts]),
        None if all(part.odds is None for part in parts) else np.concatenate(odds),
    )


def label_strength(points: FloatArray, strong: FloatArray) -> FloatArray:
    """Return the labels on the scale of `engine.labels.strength`, -2 .. 2, from what `Battles` keeps of them."""
    side: FloatArray = np.sign(points - 0.5)
    return side * (1.0 + strong)


def odds_of_model(probabilities: Mapping[Label, float], game: int) -> list[float]:
    """A judge's probabilities of `LABELS` as those of verdicts on the judged model, from much worse to much better."""
    on_b = [probabilities[label] for label in LABELS]
    return on_b if game == 1 else on_b[::-1]


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


def _indexed(names: list[str]) -> tuple[tuple[str, ...], IntArray]:
    """The distinct names, sorted, and the index of each given name among them."""
    distinct = tuple(sorted(set(names)))
    position = {name: index for index, name in enumerate(distinct)}
    return distinct, np.fromiter((position[name] for name in names), dtype=np.int64, count=len(names))
