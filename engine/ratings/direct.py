"""Games that two models played against each other directly, beside their scores against a baseline."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from engine.ratings.battles import Battles
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles
from engine.ratings.influence import influence, standard_error
from engine.ratings.multiplicity import sign_test_p, two_sided_p


class DirectGames(msgspec.Struct, frozen=True, kw_only=True):
    """What games between the two say: percent of the points that model_a won, tested against 50."""

    questions: int
    games: int
    score: float
    lower: float
    upper: float
    p_value: float


def direct_games(sources: Iterable[Battles], a: str, b: str, options: RatingOptions) -> DirectGames | UnsetType:
    """Games between a and b, from the first source that has any; UNSET if none has."""
    for games in sources:
        if a not in games.models or b not in games.models:
            continue
        ends = {games.models.index(a), games.models.index(b)}
        between = games.where(np.isin(games.model_a, list(ends)) & np.isin(games.model_b, list(ends)))
        between = between.where(between.labelled & (between.model_a != between.model_b))
        if options.first_game_only:
            between = between.first_games()
        if len(between):
            rated = rate_battles(between, msgspec.structs.replace(options, baseline=b, ci="question"))
            return _direct_result(rated, rated.models.index(a))
    return UNSET


def _direct_result(rated: Ratings, model: int) -> DirectGames:
    rate = float(rated.rate[model])
    questions = len(rated.table.won)
    error = float(standard_error(influence(rated.table, rated.rate)[:, model]))
    if error > 1e-12:
        p_value = two_sided_p((rate - 0.5) / error)
    else:
        p_value = sign_test_p(questions) if rate in (0.0, 1.0) else 1.0
    return DirectGames(
        questions=questions,
        games=len(rated.battles),
        score=100.0 * rate,
        lower=100.0 * float(rated.lower[model]),
        upper=100.0 * float(rated.upper[model]),
        p_value=p_value,
    )
