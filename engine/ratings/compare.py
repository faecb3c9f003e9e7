"""Models compared with each other: paired differences, corrected for their number, and the ranks still possible."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from itertools import combinations

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from engine.errors import RatingError, listed
from engine.ratings import ALPHA, MINIMUM_QUESTIONS
from engine.ratings.battles import Battles
from engine.ratings.estimate import BenchFacts, RatingOptions, Ratings, rate_battles
from engine.ratings.limits import holm, rank_ranges
from engine.ratings.outcomes import SoftReport, relative_width, soft_report
from engine.ratings.paired import DirectGames, PairedDifference, PairedRatings, direct_games, meetings
from engine.ratings.sensitivity import KnownBad, sensitivity_cautions
from engine.ratings.verdict import PairVerdict, pair_verdict, require_margin
from engine.tabular import Tabular


class PairComparison(PairVerdict, frozen=True, kw_only=True):
    """The verdict on two models with its numbers: scores are percent against the baseline on the questions of both.

    Attributes:
        std_error: clustered standard error of the difference; `unpaired_std_error` without the pairing.
        p_value: two-sided, from `std_error`; `p_holm` is adjusted for all pairs of the result.
        won, tied, lost: percent of the questions, from the view of model_a.
        direct: games between the two, if any.
    """

    score_a: float
    score_b: float
    std_error: float
    unpaired_std_error: float
    p_value: float
    p_holm: float
    won: float
    tied: float
    lost: float
    direct: DirectGames | UnsetType = UNSET

    @property
    def win_rate(self) -> float:
        """Percent of the questions that model_a won, ties half."""
        return self.won + self.tied / 2.0


class RankedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model's score, its rank among the compared ones, and the ranks it can have (95 % sure for all at once)."""

    rank: int
    best_rank: int
    worst_rank: int
    model: str
    score: float


class Separable(msgspec.Struct, frozen=True, kw_only=True):
    """Count the decided pairs: paired at 5 % each, after Holm, and by intervals that do not overlap."""

    pairs: int
    paired: int
    holm: int
    intervals: int


class Comparison(Tabular, msgspec.Struct, frozen=True, kw_only=True):
    """The whole result, models and pairs by falling score (two models in the order in which they were named).

    `soft` is present when expected outcomes were asked for, `baselines` when games against several count, `known_bad`
    where a judge was probed with answers that must lose.
    """

    bench: str
    judges: list[str]
    baseline: str
    rounds: int
    seed: int
    weight: int
    models: list[RankedModel]
    pairs: list[PairComparison]
    separable: Separable
    warnings: list[str]
    soft: SoftReport | UnsetType = UNSET
    baselines: list[str] | UnsetType = UNSET
    known_bad: list[KnownBad] | UnsetType = UNSET

    @property
    def rows(self) -> list[PairComparison]:
        """The pairs."""
        return self.pairs


def compare(
    battles: Battles,
    options: RatingOptions,
    facts: BenchFacts,
    models: Sequence[str] = (),
    direct: Sequence[Battles] = (),
    margin: float | None = None,
) -> Comparison:
    """Compare all pairs of `models` (none named: of all rated models, the baseline among them).

    `margin` is the difference, in points, below which models count as equivalent. `direct` are games between the models
    beside those of `battles`; for each pair the first of these batches with games between the two counts, else
    `battles`.
    Raises RatingError when a named model has no rating, or the battles cannot be rated, and UsageProblem for a margin
    out of range.
    """
    require_margin(margin)
    ratings = rate_battles(battles, msgspec.structs.replace(options, ci="question"))
    chosen = _chosen(ratings, models)
    paired = PairedRatings(ratings, options)
    found = [(a, b, difference) for a, b in combinations(chosen, 2) if (difference := paired.difference(a, b))]
    adjusted = holm([difference.p_value for _, _, difference in found])
    sources = [(games, meetings(games)) for games in (*direct, battles)]
    pairs = [
        _pair(difference, p, _direct(ratings, a, b, sources, options), verdict)
        for (a, b, difference), p in zip(found, adjusted, strict=True)
        if (verdict := pair_verdict(ratings, paired, a, b, difference, margin, facts.known_bad))
    ]
    apart = [ratings.lower[a] > ratings.upper[b] or ratings.lower[b] > ratings.upper[a] for a, b, _ in found]
    return Comparison(
        bench=facts.name,
        judges=list(facts.judges),
        baseline=options.baseline,
        rounds=options.rounds,
        seed=options.seed,
        weight=options.weight,
        models=_ranked(ratings, chosen, found, adjusted),
        pairs=pairs,
        separable=Separable(
            pairs=len(pairs),
            paired=sum(pair.p_value < ALPHA and (pair.lower > 0.0 or pair.upper < 0.0) for pair in pairs),
            holm=sum(pair.p_holm < ALPHA for pair in pairs),
            intervals=sum(map(bool, apart)),
        ),
        warnings=_cautions(ratings, chosen, pairs, facts.known_bad),
        soft=_soft_report(ratings, options, found),
        baselines=list(facts.baselines) if len(facts.baselines) > 1 else UNSET,
        known_bad=list(facts.known_bad) or UNSET,
    )


def _soft_report(
    ratings: Ratings, options: RatingOptions, found: Sequence[tuple[int, int, PairedDifference]]
) -> SoftReport | UnsetType:
    """Report how much narrower the differences are than by the labels of the same games."""
    if not options.soft:
        return UNSET
    by_label = msgspec.structs.replace(options, soft=False, ci="question")
    labels = PairedRatings(rate_battles(ratings.battles, by_label), by_label)
    limits = [
        (soft.lower, soft.upper, hard.lower, hard.upper) for a, b, soft in found if (hard := labels.difference(a, b))
    ]
    lower, upper, lower_by_label, upper_by_label = np.array(limits, dtype=np.float64).reshape(-1, 4).T
    return soft_report(ratings.battles, relative_width((lower, upper), (lower_by_label, upper_by_label)))


def _chosen(ratings: Ratings, names: Sequence[str]) -> list[int]:
    rated = {name: index for index, name in enumerate(ratings.models) if not np.isnan(ratings.rate[index])}
    for name in names:
        if name not in rated:
            near = get_close_matches(name, rated, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            raise RatingError(f"{name} has no judgments to compare", f"{hint}rated models: {listed(list(rated), 12)}")
    unique = list(dict.fromkeys(names))
    if len(unique) == 1 or len(rated) < 2:
        raise RatingError("a comparison needs two models", f"rated models: {listed(list(rated), 12)}")
    chosen = [rated[name] for name in unique or rated]
    return chosen if len(unique) == 2 else _by_score(ratings, chosen)


def _by_score(ratings: Ratings, models: Sequence[int]) -> list[int]:
    """Sort best first, equal scores by name."""
    return sorted(models, key=lambda index: (-ratings.rate[index], ratings.models[index]))


def _pair(
    found: PairedDifference, p_holm: float, direct: DirectGames | UnsetType, verdict: PairVerdict
) -> PairComparison:
    percent = 100.0 / found.questions
    return PairComparison(
        **msgspec.structs.asdict(verdict),
        score_a=100.0 * found.rate_a,
        score_b=100.0 * found.rate_b,
        std_error=100.0 * found.std_error,
        unpaired_std_error=100.0 * found.unpaired_std_error,
        p_value=found.p_value,
        p_holm=p_holm,
        won=percent * found.won,
        tied=percent * found.tied,
        lost=percent * found.lost,
        direct=direct,
    )


def _direct(
    ratings: Ratings, a: int, b: int, sources: Sequence[tuple[Battles, set[frozenset[str]]]], options: RatingOptions
) -> DirectGames | UnsetType:
    """Return the games between the two; UNSET without any, or where they are the score itself."""
    if ratings.table.against_baseline_only and ratings.table.baseline in (a, b):
        return UNSET
    names = ratings.models[a], ratings.models[b]
    met = (direct_games(games, *names, options) for games, pairs in sources if frozenset(names) in pairs)
    return next((games for games in met if games is not None), UNSET)


def possible_ranks(battles: Battles, options: RatingOptions, models: Sequence[str] = ()) -> list[RankedModel]:
    """Return the models of a comparison with their ranks alone, without the limits of each pair, which cost much more.

    Raises as `compare`.
    """
    ratings = rate_battles(battles, msgspec.structs.replace(options, ci="question"))
    chosen = _chosen(ratings, models)
    paired = PairedRatings(ratings, options)
    found = [(a, b, difference) for a, b in combinations(chosen, 2) if (difference := paired.difference(a, b))]
    return _ranked(ratings, chosen, found, holm([difference.p_value for _, _, difference in found]))


def _ranked(
    ratings: Ratings,
    chosen: Sequence[int],
    found: Sequence[tuple[int, int, PairedDifference]],
    adjusted: Sequence[float],
) -> list[RankedModel]:
    order = _by_score(ratings, chosen)
    place = {index: at for at, index in enumerate(order)}
    better = np.zeros((len(order), len(order)), dtype=np.bool_)
    for (a, b, difference), p_holm in zip(found, adjusted, strict=True):
        if p_holm < ALPHA:
            ends = place[a], place[b]
            better[ends if difference.rate_a > difference.rate_b else ends[::-1]] = True
    best, worst = rank_ranges(better)
    return [
        RankedModel(
            rank=at + 1,
            best_rank=int(best[at]),
            worst_rank=int(worst[at]),
            model=ratings.models[index],
            score=100.0 * float(ratings.rate[index]),
        )
        for at, index in enumerate(order)
    ]


def _cautions(
    ratings: Ratings, chosen: Sequence[int], pairs: Sequence[PairComparison], known_bad: Sequence[KnownBad]
) -> list[str]:
    warnings = []
    possible = len(chosen) * (len(chosen) - 1) // 2
    if len(pairs) < possible:
        left_out = possible - len(pairs)
        warnings.append(f"{left_out} of {possible} pairs left out: they have fewer than two questions in common")
    few = [f"{_names(pair)} ({pair.questions})" for pair in pairs if pair.questions < MINIMUM_QUESTIONS]
    if few:
        text = f"limits are too narrow and p-values too small below {MINIMUM_QUESTIONS} questions in common"
        warnings.append(f"{text}: {listed(few)}")
    contestants = [index for index in chosen if index != ratings.table.baseline]
    warnings += sensitivity_cautions(ratings.battles, contestants, known_bad)
    if not ratings.table.against_baseline_only:
        return warnings  # strengths come from all games together, whatever the pair has in common
    most = int(ratings.table.questions_of_models().max())
    partial = [f"{_names(pair)} ({pair.questions} of {most})" for pair in pairs if pair.questions < most]
    if partial:
        warnings.append(f"compared only on the questions that both were judged on: {listed(partial)}")
    return warnings


def _names(pair: PairComparison) -> str:
    return f"{pair.model_a} and {pair.model_b}"
