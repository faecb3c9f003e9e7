"""The counts behind each score: questions, games, unparsed games, missing questions; and what `--full-stats` adds."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
import numpy as np

from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.estimate import RatingOptions, Ratings


class Coverage(msgspec.Struct, frozen=True):
    """Counts of one model. `questions` have at least one verdict, `games` have one, `unparsed` were played without.

    `missing` are the questions of the set on which the model was not judged at all.
    """

    questions: int = 0
    games: int = 0
    unparsed: int = 0
    missing: int = 0


def games_of(battles: Battles, model: int) -> BoolArray:
    """Shape [N]: the games that the model (an index) played against another one."""
    takes_part: BoolArray = (battles.model_a == model) | (battles.model_b == model)
    against_another: BoolArray = battles.model_a != battles.model_b
    return np.logical_and(takes_part, against_another)


def coverage(battles: Battles, model: int, question_ids: Collection[str]) -> Coverage:
    """The counts of one model (an index); `question_ids` is the whole question set."""
    mine = games_of(battles, model)
    told = mine & battles.labelled
    judged = {battles.questions[index] for index in np.unique(battles.question[mine])}
    return Coverage(
        questions=len(np.unique(battles.question[told])),
        games=int(np.count_nonzero(told)),
        unparsed=int(np.count_nonzero(mine & ~told)),
        missing=sum(question not in judged for question in question_ids),
    )


def questions_by_judge(battles: Battles, model: int) -> dict[str, int]:
    """On how many questions each judge gave at least one verdict on the model (an index)."""
    told = games_of(battles, model) & battles.labelled
    return {
        name: len(np.unique(battles.question[told & (battles.judge == judge)]))
        for judge, name in enumerate(battles.judges)
    }


def average_tokens(lengths: Mapping[str, int | None], question_ids: Collection[str] | None = None) -> int | None:
    """The mean length of a model's answers, cut to a whole number as published tables have it; None if none is known.

    `lengths` maps question ids to tokens; `question_ids`, when given, limits the answers that count.
    """
    chosen = lengths.items() if question_ids is None else ((key, lengths.get(key)) for key in question_ids)
    known = [length for _, length in chosen if length is not None]
    return int(sum(known) / len(known)) if known else None


class ModelStats(msgspec.Struct, frozen=True):
    """One model's games in detail, from its own point of view.

    Attributes:
        wins, ties, losses: games by verdict; they add up to the row's `games`.
        strong_wins, strong_losses: how many of the wins and losses were strong verdicts.
        unweighted: percent of the points when every verdict counts once.
        game_1, game_2: percent of the weighted points in games where the model is B (against one baseline: the first of
            each pair) and where it is A; a gap between them is the judge's preference for a position. None where the
            games are not told apart.
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
    """The details of one rated model (an index into `ratings.models`)."""
    games = ratings.battles.where(games_of(ratings.battles, model) & ratings.battles.labelled)
    points = np.where(games.model_b == model, games.points, 1.0 - games.points)
    stands_first = (games.game == 2) == (games.model_b == model)
    told = games.game > 0
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
        game_1=_share(points, weight, told & ~stands_first),
        game_2=_share(points, weight, told & stands_first),
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
    """Questions with a first and a second game, of the same judge and opponent, that one model each won."""
    opponent = games.model_a + games.model_b  # the model itself is in every sum, so the sum tells the opponents apart
    pair = (games.question * len(games.judges) + games.judge) * 2 * len(games.models) + opponent
    first, second = games.game == 1, games.game == 2
    _, at_first, at_second = np.intersect1d(pair[first], pair[second], return_indices=True)
    opposite = np.abs(points[first][at_first] - points[second][at_second]) == 1.0
    return len(np.unique(games.question[first][at_first][opposite]))
