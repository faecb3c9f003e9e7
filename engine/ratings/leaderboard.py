"""The leaderboard: rows, cautions and groups, in the very shape of the JSON output."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from engine.errors import RatingError, listed
from engine.ratings import MINIMUM_QUESTIONS
from engine.ratings.battles import Battles
from engine.ratings.bradley_terry import elo
from engine.ratings.cautions import cautions
from engine.ratings.estimate import CiKind, RatingOptions, Ratings, StyleControl, StyleCovariate, rate_battles
from engine.ratings.evidence import Evidence
from engine.ratings.model_stats import Coverage, ModelStats, average_tokens, coverage, model_stats
from engine.ratings.outcomes import SoftReport, relative_width, soft_report
from engine.ratings.stop_rule import StopReport
from engine.records import Question

GroupKind: TypeAlias = Literal["category", "cluster"]
Rater: TypeAlias = Callable[[Battles, RatingOptions], Ratings]
UNNAMED_GROUP = "(none)"


class LeaderboardOptions(RatingOptions, frozen=True, kw_only=True):
    """How to rate, and what to show beside the score."""

    elo: bool = False
    full_stats: bool = False
    by: GroupKind | None = None


class BenchFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the leaderboard has to know of the bench beside the battles.

    `baselines` are those that the battles are against, where it is known, the anchor first. `questions` is the whole
    question set (empty: that of the battles). `token_lengths` holds, by model and question,
    how long the answers are.
    """

    name: str
    judges: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    token_lengths: Mapping[str, Mapping[str, int | None]] = msgspec.field(default_factory=dict)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One model: percent scores with absolute 95 % limits, and what they rest on.

    `elo...` are present when asked for: the same numbers on the Elo scale with the baseline at 1000, None where
    infinite. `stats` is present with `--full-stats` (not for a baseline that every game is against). `same_style...`
    are present with `--style`: percent, if all answers had the style of the baseline's. `label...` are present with
    `--soft`: the same by the labels alone.
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


class StyleReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the scores were controlled for, and what each covariate is worth to the judges."""

    words: list[str]
    covariates: list[StyleCovariate]
    games_left_out: int


class GroupBoard(msgspec.Struct, frozen=True, kw_only=True):
    """The leaderboard of one category or cluster."""

    group: str
    questions: int
    rows: list[Row]
    warnings: list[str]
    style: StyleReport | UnsetType = UNSET
    soft: SoftReport | UnsetType = UNSET


class Leaderboard(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. The fields after `warnings` are present only when they say something."""

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


def leaderboard(
    ratings: Ratings, options: LeaderboardOptions, facts: BenchFacts, rater: Rater = rate_battles
) -> Leaderboard:
    """Ranks the rated models, best first (equal scores by name). The same battles in any order give the same result.

    `rater` is what made `ratings`; it makes those of each group.
    Raises RatingError when `options.by` asks for groups but the question set is not known.
    """
    question_ids = _question_set(ratings.battles, facts)
    by_label = _rated_by_label(ratings, options, rater)
    rows = _rows(ratings, by_label, options, facts, question_ids)
    board = Leaderboard(
        bench=facts.name,
        judges=list(facts.judges),
        baseline=options.baseline,
        ci=options.ci,
        rounds=options.rounds,
        seed=options.seed,
        weight=options.weight,
        rows=rows,
        warnings=cautions(ratings, _contestants(rows, options.baseline), facts.judges, question_ids, options),
        first_game_only=True if options.first_game_only else UNSET,
        style=_style_report(ratings.style),
        soft=_soft_report(ratings, by_label),
        baselines=list(facts.baselines) if len(facts.baselines) > 1 else UNSET,
    )
    if options.by is None:
        return board
    groups = _groups(ratings.battles, options, facts, rater)
    small = [group.group for group in groups if group.questions < MINIMUM_QUESTIONS]
    if small:
        text = f"Fewer than {MINIMUM_QUESTIONS} questions, so too narrow intervals, "
        board.warnings.append(f"{text}in {len(small)} of {len(groups)} groups: {listed(small)}.")
    return msgspec.structs.replace(board, by=options.by, groups=groups)


def _question_set(battles: Battles, facts: BenchFacts) -> Collection[str]:
    """The ids of the bench's questions; those of the battles when the bench has none of them."""
    own = dict.fromkeys(question.id for question in facts.questions)
    return own if any(question in own for question in battles.questions) else battles.questions


def _rows(
    ratings: Ratings,
    by_label: Ratings | None,
    options: LeaderboardOptions,
    facts: BenchFacts,
    question_ids: Collection[str],
    *,
    answers_in: Collection[str] | None = None,
) -> list[Row]:
    """Rows by falling score; `answers_in` limits the answers whose length is averaged."""
    named_rates = sorted(
        (-rate, name, index)
        for index, (name, rate) in enumerate(zip(ratings.models, ratings.rate.tolist(), strict=True))
        if not np.isnan(rate)
    )
    rows = []
    for rank, (_, name, index) in enumerate(named_rates, start=1):
        passive = name == options.baseline and ratings.table.against_baseline_only
        count = Coverage() if passive else coverage(ratings.battles, index, question_ids)
        row = Row(
            rank=rank,
            model=name,
            score=100.0 * float(ratings.rate[index]),
            lower=100.0 * float(ratings.lower[index]),
            upper=100.0 * float(ratings.upper[index]),
            avg_tokens=average_tokens(facts.token_lengths.get(name, {}), answers_in),
            questions=count.questions,
            games=count.games,
            unparsed=count.unparsed,
            missing=count.missing,
            stats=model_stats(ratings, index, options) if options.full_stats and not passive else UNSET,
        )
        if options.elo:
            row = _with_elo(row, ratings, index)
        rows.append(_with_labels(_with_style(row, ratings.style, index), by_label, index))
    return rows


def _with_elo(row: Row, ratings: Ratings, index: int) -> Row:
    values = elo(np.array([ratings.rate[index], ratings.lower[index], ratings.upper[index]])).tolist()
    score, lower, upper = (value if np.isfinite(value) else None for value in values)
    return msgspec.structs.replace(row, elo=score, elo_lower=lower, elo_upper=upper)


def _with_style(row: Row, style: StyleControl | None, index: int) -> Row:
    if style is None:
        return row
    score, lower, upper = (100.0 * float(values[index]) for values in (style.same_style, style.lower, style.upper))
    return msgspec.structs.replace(row, same_style=score, same_style_lower=lower, same_style_upper=upper)


def _rated_by_label(ratings: Ratings, options: LeaderboardOptions, rater: Rater) -> Ratings | None:
    """The ratings of the same games by their labels, to show beside those by expected outcomes; None without these."""
    return rater(ratings.battles, msgspec.structs.replace(options, soft=False)) if options.soft else None


def _with_labels(row: Row, by_label: Ratings | None, index: int) -> Row:
    if by_label is None:
        return row
    limits = (by_label.rate, by_label.lower, by_label.upper)
    score, lower, upper = (100.0 * float(values[index]) for values in limits)
    return msgspec.structs.replace(row, label_score=score, label_lower=lower, label_upper=upper)


def _soft_report(ratings: Ratings, by_label: Ratings | None) -> SoftReport | UnsetType:
    if by_label is None:
        return UNSET
    width = relative_width((ratings.lower, ratings.upper), (by_label.lower, by_label.upper))
    return soft_report(ratings.battles, width)


def _style_report(style: StyleControl | None) -> StyleReport | UnsetType:
    if style is None:
        return UNSET
    return StyleReport(words=list(style.words), covariates=list(style.covariates), games_left_out=style.unknown)


def _contestants(rows: Sequence[Row], baseline: str) -> dict[str, Coverage]:
    return {
        row.model: Coverage(row.questions, row.games, row.unparsed, row.missing)
        for row in rows
        if row.model != baseline
    }


def _groups(battles: Battles, options: LeaderboardOptions, facts: BenchFacts, rater: Rater) -> list[GroupBoard]:
    """One leaderboard per category or cluster, by name; a group that cannot be rated says why instead of rows."""
    members: dict[str, list[str]] = {}
    for question in facts.questions:
        name = question.category if options.by == "category" else question.cluster
        members.setdefault(name or UNNAMED_GROUP, []).append(question.id)
    if not members:
        raise RatingError(f"The {options.by} of the questions is not known", "Name their bench in the config.")
    groups = []
    judged = frozenset(battles.questions)
    for name, question_ids in sorted(members.items()):
        if judged.isdisjoint(question_ids):
            continue
        rows: list[Row] = []
        warnings: list[str] = []
        style: StyleReport | UnsetType = UNSET
        soft: SoftReport | UnsetType = UNSET
        try:
            ratings = rater(battles.of_questions(question_ids), options)
            by_label = _rated_by_label(ratings, options, rater)
            rows = _rows(ratings, by_label, options, facts, question_ids, answers_in=question_ids)
            style, soft = _style_report(ratings.style), _soft_report(ratings, by_label)
        except RatingError as error:
            warnings = [f"{name}: {error.title}."]
        groups.append(
            GroupBoard(group=name, questions=len(question_ids), rows=rows, warnings=warnings, style=style, soft=soft)
        )
    if not groups:
        raise RatingError(
            f"None of the battles is on a question of {facts.name}", "Name the bench that they belong to in the config."
        )
    return groups
