"""The leaderboard: rows, warnings and groups, exactly as the JSON output has them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from engine.errors import RatingError, listed
from engine.ratings import MINIMUM_QUESTIONS
from engine.ratings.battles import Battles, FloatArray
from engine.ratings.bradley_terry import elo
from engine.ratings.cautions import cautions
from engine.ratings.estimate import (
    BenchFacts,
    CiKind,
    LimitsKind,
    RatingOptions,
    Ratings,
    StyleControl,
    StyleCovariate,
    limits_by,
    rate_battles,
)
from engine.ratings.evidence import Evidence
from engine.ratings.model_stats import Coverage, ModelStats, average_tokens, coverage, model_stats
from engine.ratings.outcomes import SoftReport, relative_width, soft_report
from engine.ratings.sensitivity import KnownBad, pair_verdicts
from engine.ratings.stop_rule import StopReport
from engine.ratings.verdict import PairVerdict, leading_verdict
from engine.tabular import Tabular

GroupKind: TypeAlias = Literal["category", "cluster"]
Rater: TypeAlias = Callable[[Battles, RatingOptions], Ratings]
UNNAMED_GROUP = "(none)"


class LeaderboardOptions(RatingOptions, frozen=True, kw_only=True):
    """How to rate, and what to show beside the score."""

    elo: bool = False
    full_stats: bool = False
    by: GroupKind | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One model: percent scores with absolute 95 % limits, and the counts behind them.

    Optional fields: `elo...` are the same numbers on the Elo scale with the baseline at 1000, None where infinite.
    `stats` are details (absent for a baseline that every game is against). `same_style...` are percent if all answers
    had the style of the baseline's. `label...` are percent by the labels alone, beside scores by expected outcomes.
    """

    rank: int
    model: str
    score: float
    lower: float
    upper: float
    avg_tokens: int | None
    questions: int
    games: int
    unparsed: int
    missing: int
    elo: float | UnsetType | None = UNSET
    elo_lower: float | UnsetType | None = UNSET
    elo_upper: float | UnsetType | None = UNSET
    stats: ModelStats | UnsetType = UNSET
    same_style: float | UnsetType = UNSET
    same_style_lower: float | UnsetType = UNSET
    same_style_upper: float | UnsetType = UNSET
    label_score: float | UnsetType = UNSET
    label_lower: float | UnsetType = UNSET
    label_upper: float | UnsetType = UNSET


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """Of `pairs` of games of a model with swapped places: how many have another winner, and a tie in both."""

    pairs: int
    flips: int
    ties: int


class StyleReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the scores were controlled for, and the effect of each covariate on the judges."""

    words: list[str]
    covariates: list[StyleCovariate]
    games_left_out: int


class GroupBoard(msgspec.Struct, frozen=True, kw_only=True):
    """The leaderboard of one category or cluster; `baseline` is present where it depends on the category."""

    group: str
    questions: int
    rows: list[Row]
    warnings: list[str]
    style: StyleReport | UnsetType = UNSET
    soft: SoftReport | UnsetType = UNSET
    baseline: str | UnsetType = UNSET


class Leaderboard(Tabular, msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. The fields after `warnings` are present only where they apply.

    `answer` is the verdict on the two models whose comparison answers most (see `engine.ratings.verdict`).
    """

    bench: str
    judges: list[str]
    baseline: str
    ci: CiKind
    rounds: int
    seed: int
    weight: int
    rows: list[Row]
    warnings: list[str]
    first_game_only: bool | UnsetType = UNSET
    by: GroupKind | UnsetType = UNSET
    groups: list[GroupBoard] | UnsetType = UNSET
    style: StyleReport | UnsetType = UNSET
    until: StopReport | UnsetType = UNSET
    evidence: Evidence | UnsetType = UNSET
    soft: SoftReport | UnsetType = UNSET
    baselines: list[str] | UnsetType = UNSET
    known_bad: list[KnownBad] | UnsetType = UNSET
    limits: LimitsKind | UnsetType = UNSET
    noise: dict[str, Noise] | UnsetType = UNSET
    answer: PairVerdict | UnsetType = UNSET
    baseline_by_category: dict[str, str] | UnsetType = UNSET


def leaderboard(
    ratings: Ratings, options: LeaderboardOptions, facts: BenchFacts, rater: Rater = rate_battles
) -> Leaderboard:
    """Rank the rated models, best first (equal scores by name). The order of the battles does not matter.

    Where the baseline depends on the category, each category has a leaderboard of its own too, and a baseline of some
    questions is ranked only there: it did not play on all. `rater` is the function that returned `ratings`; it rates
    each group too.
    Raises RatingError when `options.by` asks for groups but the question set is not known.
    """
    by = options.by or ("category" if facts.by_category else None)
    unranked = frozenset(facts.by_category.values())
    whole = _part(ratings, options, facts, _question_set(ratings.battles, facts), rater)
    groups = _groups(ratings.battles, options, by, facts, rater) if by else []
    small = [group.group for group in groups if group.questions < MINIMUM_QUESTIONS]
    warnings = [*_of_categories(ratings, facts), *whole.warnings]
    if small:
        text = f"{len(small)} of {len(groups)} groups have fewer than {MINIMUM_QUESTIONS} questions"
        what = "wide" if limits_by(ratings, options.ci) == "likelihood" else "too narrow"
        warnings = [*warnings, f"{text}; their intervals are {what}: {listed(small)}"]
    return Leaderboard(
        bench=facts.name,
        judges=list(facts.judges),
        baseline=options.baseline,
        ci=options.ci,
        rounds=options.rounds,
        seed=options.seed,
        weight=options.weight,
        rows=whole.rows,
        warnings=warnings,
        first_game_only=True if options.first_game_only else UNSET,
        by=by or UNSET,
        groups=groups if by else UNSET,
        style=whole.style,
        soft=whole.soft,
        baselines=list(facts.baselines) if len(facts.baselines) > 1 else UNSET,
        known_bad=list(facts.known_bad) or UNSET,
        noise=_noise(ratings, whole.rows) or UNSET,
        limits=limits_by(ratings, options.ci),
        answer=leading_verdict(ratings, options, known_bad=facts.known_bad, unranked=unranked) or UNSET,
        baseline_by_category=dict(facts.by_category) if facts.by_category else UNSET,
    )


def _of_categories(ratings: Ratings, facts: BenchFacts) -> Iterator[str]:
    """Report what overall scores mean where the baseline depends on the category."""
    if not facts.by_category:
        return
    rules = ", ".join(f"{category or UNNAMED_GROUP}: {baseline}" for category, baseline in facts.by_category.items())
    yield (
        f"overall scores are against the baseline of each question's category ({rules}); arena-hard-auto v2.0 has no "
        "overall score, only one for each category"
    )
    if judging := sorted({*facts.judges} & {*facts.by_category.values()}):
        yield f"a judge that is also a baseline may favour its own answers: {listed(judging)}"
    if partial := [name for name in ratings.models if name in facts.by_category.values()]:
        yield f"not ranked overall, since they are the baseline of some questions: {listed(partial)}"


def _question_set(battles: Battles, facts: BenchFacts) -> Collection[str]:
    """Return the ids of the bench's questions; those of the battles when the bench has none of them."""
    own = dict.fromkeys(question.id for question in facts.questions)
    return own if any(question in own for question in battles.questions) else battles.questions


def _part(
    ratings: Ratings,
    options: LeaderboardOptions,
    facts: BenchFacts,
    question_ids: Collection[str],
    rater: Rater,
    group: str = "",
) -> GroupBoard:
    """Return rows by falling score with their reports: the whole board, or a group of questions (without warnings)."""
    by_label = rater(ratings.battles, msgspec.structs.replace(options, soft=False)) if options.soft else None
    counts = coverage(ratings.battles, question_ids)
    ranked = sorted(
        (-rate, name, index)
        for index, (name, rate) in enumerate(zip(ratings.models, ratings.rate.tolist(), strict=True))
        if not np.isnan(rate) and (group or name not in facts.by_category.values())
    )
    rows = []
    for rank, (_, name, index) in enumerate(ranked, start=1):
        passive = name == options.baseline and ratings.table.against_baseline_only
        score, lower, upper = _percent(index, ratings.rate, ratings.lower, ratings.upper)
        count = Coverage() if passive else counts[index]
        row = Row(
            rank=rank,
            model=name,
            score=score,
            lower=lower,
            upper=upper,
            avg_tokens=average_tokens(facts.token_lengths.get(name, {}), question_ids if group else None),
            questions=count.questions,
            games=count.games,
            unparsed=count.unparsed,
            missing=count.missing,
            stats=model_stats(ratings, index, options) if options.full_stats and not passive else UNSET,
        )
        rows.append(_with_optional(row, ratings, by_label, index, with_elo=options.elo))
    contestants = {
        row.model: Coverage(row.questions, row.games, row.unparsed, row.missing)
        for row in rows
        if row.model != options.baseline
    }
    return GroupBoard(
        group=group,
        questions=len(question_ids),
        rows=rows,
        warnings=[] if group else cautions(ratings, contestants, facts.judges, question_ids, options, facts.known_bad),
        style=_style_report(ratings.style),
        soft=_soft_report(ratings, by_label),
    )


def _noise(ratings: Ratings, rows: Iterable[Row]) -> dict[str, Noise]:
    """Return by model what its pairs of games with swapped places say; nothing of models without such a pair."""
    verdicts = pair_verdicts(ratings.battles)
    found = {row.model: verdicts.of(ratings.models.index(row.model)) for row in rows if row.games}
    return {
        model: Noise(pairs=each.pairs, flips=each.flips, ties=each.ties) for model, each in found.items() if each.pairs
    }


def _percent(index: int, *values: FloatArray) -> list[float]:
    return [100.0 * float(each[index]) for each in values]


def _with_optional(row: Row, ratings: Ratings, by_label: Ratings | None, index: int, *, with_elo: bool) -> Row:
    """Add the optional scores of a row with their limits."""
    found: dict[str, float | None] = {}
    if with_elo:
        values = elo(np.array([ratings.rate[index], ratings.lower[index], ratings.upper[index]])).tolist()
        finite = (value if np.isfinite(value) else None for value in values)
        found.update(zip(("elo", "elo_lower", "elo_upper"), finite, strict=True))
    if (style := ratings.style) is not None:
        values = _percent(index, style.same_style, style.lower, style.upper)
        found.update(zip(("same_style", "same_style_lower", "same_style_upper"), values, strict=True))
    if by_label is not None:
        values = _percent(index, by_label.rate, by_label.lower, by_label.upper)
        found.update(zip(("label_score", "label_lower", "label_upper"), values, strict=True))
    return msgspec.structs.replace(row, **found)


def _soft_report(ratings: Ratings, by_label: Ratings | None) -> SoftReport | UnsetType:
    if by_label is None:
        return UNSET
    width = relative_width((ratings.lower, ratings.upper), (by_label.lower, by_label.upper))
    return soft_report(ratings.battles, width)


def _style_report(style: StyleControl | None) -> StyleReport | UnsetType:
    if style is None:
        return UNSET
    return StyleReport(words=list(style.words), covariates=list(style.covariates), games_left_out=style.unknown)


def _groups(
    battles: Battles, options: LeaderboardOptions, by: GroupKind, facts: BenchFacts, rater: Rater
) -> list[GroupBoard]:
    """Return a leaderboard per category or cluster, by name; a group that cannot be rated has a warning, not rows."""
    members: dict[str, list[str]] = {}
    for question in facts.questions:
        name = question.category if by == "category" else question.cluster
        members.setdefault(name or UNNAMED_GROUP, []).append(question.id)
    if not members:
        raise RatingError(f"the {by} of the questions is not known", "name their bench in the config")
    judged = frozenset(battles.questions)
    groups = []
    for name, question_ids in sorted(members.items()):
        if judged.isdisjoint(question_ids):
            continue
        mine, rated_by, baseline = battles.of_questions(question_ids), options, facts.own_baseline(question_ids)
        if baseline is not None:
            mine = mine.renamed(options.baseline, baseline)
            rated_by = msgspec.structs.replace(options, baseline=baseline)
        try:
            board = _part(rater(mine, rated_by), rated_by, facts, question_ids, rater, name)
            groups.append(msgspec.structs.replace(board, baseline=UNSET if baseline is None else baseline))
        except RatingError as error:
            warnings = [f"{name}: {error.title}"]
            groups.append(GroupBoard(group=name, questions=len(question_ids), rows=[], warnings=warnings))
    if not groups:
        raise RatingError(f"no battle is on a question of {facts.name}", "name the bench of the battles in the config")
    return groups
