"""Does the judge favour its own kind? Only another judge of the same answers can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from engine.ratings.audit.shares import Estimate, QuestionResampler
from engine.ratings.battles import Battles, BoolArray, FloatArray
from engine.ratings.estimate import RatingOptions


class FamilyReport(msgspec.Struct, frozen=True):
    """`itself`: the judge is among the judged. `relatives` are the other models of its family, `baseline_is_relative`
    if the baseline is one: then everybody else is scored against a favourite.

    `advantage` is by how many points more the judge lifts its relatives (and itself) above what the other judges give
    them, than it lifts the others; None without another judge, without relatives, or without others.
    """

    family: str
    itself: bool
    relatives: list[str]
    baseline_is_relative: bool
    advantage: Estimate | None


def family_report(
    judge: str,
    battles: Battles,
    options: RatingOptions,
    families: Mapping[str, str],
    resampler: QuestionResampler,
) -> FamilyReport | None:
    """A difference of differences: (own kind - others) by this judge, less the same by the other judges.

    Args:
        judge: the judge that is looked at, among those of `battles`.
        battles: the games of all judges; those on what several judges judged are compared.
        options: the baseline, and what a strong verdict counts.
        families: the family of the judges and of every model.
        resampler: of the questions of `battles`.

    None when the family of the judge is not known.
    """
    own = families.get(judge)
    if own is None:
        return None
    judged = [name for name in battles.models if name != options.baseline]
    relatives = [name for name in judged if name != judge and families.get(name) == own]
    kin = [name for name in judged if name == judge or name in relatives]
    return FamilyReport(
        family=own,
        itself=judge in judged,
        relatives=relatives,
        baseline_is_relative=families.get(options.baseline) == own,
        advantage=_advantage(judge, battles, options, kin, [name for name in judged if name not in kin], resampler),
    )


def _advantage(
    judge: str,
    battles: Battles,
    options: RatingOptions,
    kin: Sequence[str],
    others: Sequence[str],
    resampler: QuestionResampler,
) -> Estimate | None:
    judges = [name for name in battles.judges if name != judge]
    if not judges or not kin or not others:
        return None
    tables = {name: _sums(battles, name, options) for name in (judge, *judges)}
    names = [*kin, *others]
    index = [battles.models.index(name) for name in names]
    is_kin = np.arange(len(names)) < len(kin)
    every = np.ones((1, resampler.questions))
    value = _difference(judge, tables, index, is_kin, every)
    resampled = _difference(judge, tables, index, is_kin, resampler.draws)
    played = np.logical_and.reduce([total[:, index].sum(axis=1) > 0 for _, total in tables.values()])
    return resampler.estimate(float(value[0]), resampled, int(played.sum()))


def _difference(
    judge: str,
    tables: Mapping[str, tuple[FloatArray, FloatArray]],
    index: Sequence[int],
    is_kin: BoolArray,
    draws: FloatArray,
) -> FloatArray:
    """Percent, [R]. A model that one of the judges has not judged says nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = {name: (draws @ won[:, index]) / (draws @ total[:, index]) for name, (won, total) in tables.items()}
    rest = np.mean([score for name, score in scores.items() if name != judge], axis=0)
    lift = 100.0 * (scores[judge] - rest)
    with np.errstate(invalid="ignore"):
        difference: FloatArray = _mean(lift[:, is_kin]) - _mean(lift[:, ~is_kin])
    return difference


def _mean(values: FloatArray) -> FloatArray:
    told = ~np.isnan(values)
    sums: FloatArray = np.where(told, values, 0.0).sum(axis=1) / np.maximum(told.sum(axis=1), 1)
    return np.where(told.any(axis=1), sums, np.nan)


def _sums(battles: Battles, judge: str, options: RatingOptions) -> tuple[FloatArray, FloatArray]:
    """Weighted points and weights against the baseline by one judge, [Q, M] in the order of the names of `battles`."""
    baseline = battles.models.index(options.baseline)
    mine = battles.where(
        (battles.judge == battles.judges.index(judge)) & battles.labelled & (battles.model_a == baseline)
    )
    won = np.zeros((len(battles.questions), len(battles.models)))
    total = np.zeros_like(won)
    weights = mine.weights(options.weight)
    np.add.at(won, (mine.question, mine.model_b), weights * mine.points)
    np.add.at(total, (mine.question, mine.model_b), weights)
    return won, total
