"""The counts behind each score, and the details of a model's games that a leaderboard shows on request."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
import numpy as np

from engine.ratings.battles import Battles, BoolArray, FloatArray, IntArray
from engine.ratings.estimate import RatingOptions, Ratings


class Coverage(msgspec.Struct, frozen=True):
    """Counts of one model: questions with at least one label, games with a label, unparsed games, and missing questions
    of the set, on which the model was not judged at all."""

    questions: int = 0
    games: int = 0
    unparsed: int = 0
    missing: int = 0


def games_of(battles: Battles, model: int) -> BoolArray:
    """[N]: the games that the model (an index) played against another one."""
    takes_part: BoolArray = (battles.model_a == model) | (battles.model_b == model)
    against_another: BoolArray = battles.model_a != battles.model_b
    return np.logical_and(takes_part, against_another)


def game_counts(battles: Battles, mask: BoolArray | None = None) -> IntArray:
    """Count the games under `mask` (all by default) of each model against another one, by question: [Q, M]."""
    against_another = battles.model_a != battles.model_b
    chosen = against_another if mask is None else against_another & mask
    models = len(battles.models)
    size = len(battles.questions) * models
    row = battles.question[chosen] * models
    counts = np.bincount(row + battles.model_a[chosen], minlength=size)
    counts += np.bincount(row + battles.model_b[chosen], minlength=size)
    return counts.reshape(-1, models).astype(np.int64, copy=False)


def coverage(battles: Battles, question_ids: Collection[str]) -> list[Coverage]:
    """Return the counts of every model, by index; `question_ids` is the whole question set."""
    played, unparsed = game_counts(battles), game_counts(battles, ~battles.labelled)
    labelled = played - unparsed
    wanted = frozenset(question_ids)
    in_set = np.array([question in wanted for question in battles.questions], dtype=np.bool_)
    columns = (
        np.count_nonzero(labelled, axis=0),
        labelled.sum(axis=0),
        unparsed.sum(axis=0),
        len(wanted) - np.count_nonzero(played[in_set], axis=0),
    )
    return [Coverage(*counts) for counts in zip(*(column.tolist() for column in columns), strict=True)]


def questions_by_judge(battles: Battles) -> IntArray:
    """[J, M]: on how many questions each judge gave at least one label to each model."""
    counts = [
        np.count_nonzero(game_counts(battles, battles.labelled & (battles.judge == judge)), axis=0)
        for judge in range(len(battles.judges))
    ]
    return np.array(counts, dtype=np.int64).reshape(-1, len(battles.models))


def average_tokens(lengths: Mapping[str, int | None], question_ids: Collection[str] | None = None) -> int | None:
    """Return the mean length of a model's answers, cut to a whole number as in published tables; None if all unknown.

    `lengths` maps question ids to tokens; `question_ids`, when given, limits the answers that count.
    """
    chosen = lengths.items() if question_ids is None else ((key, lengths.get(key)) for key in question_ids)
    known = [length for _, length in chosen if length is not None]
    return int(sum(known) / len(known)) if known else None


class ModelStats(msgspec.Struct, frozen=True):
    """One model's games in detail, from its own point of view.

    Attributes:
        wins, ties, losses: games by label; they add up to the row's `games`.
        strong_wins, strong_losses: wins and losses with a strong label.
        unweighted: percent of the points when every label counts once.
        game_1, game_2: percent of the weighted points in games where the model is B (against one baseline: the first of
            each pair) and where it is A; a gap between them is the judge's preference for a position. None where the
            game numbers are unknown.
        question_wins, question_ties, question_losses: questions by the balance of all their weighted points.
        flips: questions on which the two games of one judge name opposite winners (one position won both).
        std_error: standard error of the score in points, from the bootstrap.
        bootstrap_mean: mean of the bootstrap's scores in percent; far from the score, the estimate is skewed.
        judges: percent of the weighted points by each judge; empty where the battles do not name their judge.
    """

    wins: int
    ties: int
    losses: int
    strong_wins: int
    strong_losses: int
    unweighted: float
    game_1: float | None
    game_2: float | None
    question_wins: int
    question_ties: int
    question_losses: int
    flips: int
    std_error: float
    bootstrap_mean: float
    judges: dict[str, float]


def model_stats(ratings: Ratings, model: int, options: RatingOptions) -> ModelStats:
    """Return the details of one rated model (an index into `ratings.models`)."""
    games = ratings.battles.where(games_of(ratings.battles, model) & ratings.battles.labelled)
    points = np.where(games.model_b == model, games.points, 1.0 - games.points)
    is_a = (games.game == 2) == (games.model_b == model)
    numbered = games.game > 0
    weight = games.weights(options.weight)
    balance = np.bincount(games.question, weights=weight * (points - 0.5))[np.unique(games.question)]
    rounds = ratings.resampled[:, model]
    rounds = rounds[~np.isnan(rounds)]
    return ModelStats(
        wins=int(np.count_nonzero(points == 1.0)),
        ties=int(np.count_nonzero(points == 0.5)),
        losses=int(np.count_nonzero(points == 0.0)),
        strong_wins=round(float(games.strong[points == 1.0].sum())),
        strong_losses=round(float(games.strong[points == 0.0].sum())),
        unweighted=100.0 * float(points.mean()),
        game_1=_share(points, weight, numbered & ~is_a),
        game_2=_share(points, weight, numbered & is_a),
        question_wins=int(np.count_nonzero(balance > 0)),
        question_ties=int(np.count_nonzero(balance == 0)),
        question_losses=int(np.count_nonzero(balance < 0)),
        flips=_flips(games, points),
        std_error=100.0 * float(rounds.std(ddof=1)) if len(rounds) > 1 else 0.0,
        bootstrap_mean=100.0 * float(rounds.mean()) if len(rounds) else 100.0 * float(ratings.rate[model]),
        judges={
            name: share
            for index, name in enumerate(games.judges)
            if name and (share := _share(points, weight, games.judge == index)) is not None
        },
    )


def _share(points: FloatArray, weight: FloatArray, mask: BoolArray) -> float | None:
    total = float(weight[mask].sum())
    return 100.0 * float((weight * points)[mask].sum()) / total if total else None


def _flips(games: Battles, points: FloatArray) -> int:
    """Count the questions whose two games, of one judge and opponent, each have another winner."""
    opponent = games.model_a + games.model_b  # the model itself is in every sum, so sums differ by opponent
    pair = (games.question * len(games.judges) + games.judge) * 2 * len(games.models) + opponent
    first, second = games.game == 1, games.game == 2
    _, at_first, at_second = np.intersect1d(pair[first], pair[second], return_indices=True)
    opposite = np.abs(points[first][at_first] - points[second][at_second]) == 1.0
    return len(np.unique(games.question[first][at_first][opposite]))
