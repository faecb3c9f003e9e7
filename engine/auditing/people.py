"""Agreement of people with a judge, and the scores if people had judged everything.

Prediction-powered inference (Angelopoulos et al., Science 382, 2023; with the tuned weight of PPI++, arXiv 2311.01453):
the people's score on the few labelled questions, corrected by how far the judge's score on those is from that on all,

    score = people(labelled) - w * (judge(labelled) - judge(all)),

with w in [0, 1] chosen so that the variance is least. A judge that agrees with people makes the interval narrower than
the labels alone would, a judge that does not cannot bias it. It holds if the labelled questions were picked at random.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import msgspec
import numpy as np

from engine.auditing.agreement import Agreement, agreement
from engine.auditing.intervals import NOTHING, IntervalEstimate, QuestionResampler
from engine.labels import is_strong, points_of_model, strength
from engine.ratings.battles import Battles, FloatArray, IntArray, label_strength
from engine.ratings.estimate import RatingOptions
from engine.ratings.score_limits import ratio_limits
from engine.review.labels import HumanLabel, Pair

Reviews: TypeAlias = Mapping[str, Mapping[Pair, HumanLabel]]
"""By reviewer, the label of every pair that they reviewed."""

LEAST_TO_CORRECT = 10
"""Labelled questions; below, no corrected score is given."""
_SEVERAL = 5.0  # questions with lost points, from which on the share that the judge explains is known


@dataclass(frozen=True)
class PeopleLabels:
    """L labels of people, in indices of the names of some battles.

    Attributes:
        question, model, game: [L] what was looked at, and in which order (1: the baseline first).
        points: [L] what the person gave the model: 0, 0.5 or 1.
        strong: [L] 1 for a strong label.
    """

    question: IntArray
    model: IntArray
    game: IntArray
    points: FloatArray
    strong: FloatArray


class CorrectedScore(msgspec.Struct, frozen=True):
    """Percent scores of one model with `labels` labelled questions.

    `judged` is the judge's score, `labelled` the people's on the labelled questions alone, `corrected` what people
    would give on all questions; `judge_weight` (0..1) is how much of the judge is in it.
    """

    model: str
    labels: int
    judged: float
    labelled: IntervalEstimate
    corrected: IntervalEstimate
    judge_weight: float


class PeopleReport(msgspec.Struct, frozen=True):
    """`labels` of people on games of this judge. `too_generous`: by how many points a game the judge gives models more
    than people do, on the same games. `agreement` is None when no labelled game has a verdict."""

    labels: int
    agreement: Agreement | None
    too_generous: IntervalEstimate
    models: list[CorrectedScore]


def people_labels(reviews: Reviews, battles: Battles, baseline: str) -> PeopleLabels:
    """Collect all labels against `baseline` on questions and models of `battles`; skipped pairs are left out."""
    questions = {name: index for index, name in enumerate(battles.questions)}
    models = {name: index for index, name in enumerate(battles.models)}
    rows = [
        (
            questions[each.question_id],
            models[each.model],
            each.game,
            points_of_model(each.label, each.game),
            is_strong(each.label),
        )
        for each in _labels_against(reviews, baseline)
        if each.question_id in questions and each.model in models
    ]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    question, model, game = (column.astype(np.int64) for column in columns[:3])
    return PeopleLabels(question, model, game, columns[3], columns[4])


def between_people(reviews: Reviews, battles: Battles, baseline: str, resampler: QuestionResampler) -> Agreement | None:
    """Compare reviewers who labelled the same pair; None if no two did.

    Compared is the verdict on the model: they may have seen the answers in different orders.
    """
    questions = {name: index for index, name in enumerate(battles.questions)}
    by_pair: dict[Pair, list[float]] = defaultdict(list)
    for each in _labels_against(reviews, baseline):
        if each.label is not None and each.question_id in questions:
            by_pair[each.pair].append(float(strength(each.label, each.game)))
    rows = [(questions[pair[0]], *two) for pair, said in by_pair.items() for two in combinations(said, 2)]
    question, first, second = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return agreement(question.astype(np.int64), first, second, resampler)


def people_report(
    battles: Battles, options: RatingOptions, labels: PeopleLabels, resampler: QuestionResampler
) -> PeopleReport | None:
    """How one judge stands with people. None if no person labelled a question that it judged."""
    baseline = battles.models.index(options.baseline)
    judged = battles.where(battles.labelled & (battles.model_a == baseline) & (battles.model_b != baseline))
    code = judged.question * len(battles.models) + judged.model_b
    label_code = labels.question * len(battles.models) + labels.model
    on_judged = np.isin(label_code, code)
    if not on_judged.any():
        return None
    at_label, at_game = _same_games(labels, label_code, judged, code)
    people = label_strength(labels.points, labels.strong)[at_label]
    judge = label_strength(judged.points, judged.strong)[at_game]
    question = labels.question[at_label]
    generous = judged.points[at_game] - labels.points[at_label]
    models = np.unique(labels.model[on_judged])
    return PeopleReport(
        labels=int(on_judged.sum()),
        agreement=agreement(question, judge, people, resampler),
        too_generous=_mean(question, 100.0 * generous, resampler),
        models=[_corrected(int(model), battles, judged, labels, options, resampler) for model in models],
    )


def corrected_score(
    people: FloatArray, people_weight: FloatArray, judge: FloatArray, judge_weight: FloatArray
) -> tuple[float, float, float]:
    """The prediction-powered score of one model, its standard error and the judge's weight in it, as fractions.

    Args:
        people, people_weight: [Q] weighted points that people gave, and their weight; weight 0: not labelled.
        judge, judge_weight: [Q] the same of the judge, on all Q questions.

    Scores are ratios of sums, so the variance is that of their linearisation; over the labelled questions it is the
    jackknife's, with a degree of freedom less for the weight that was tuned on them. On 30 labels both matter. NaN with
    fewer than three labels.
    """
    labelled = people_weight > 0
    count, size = int(labelled.sum()), len(judge)
    if count < 3:
        return np.nan, np.nan, 0.0
    theirs = people[labelled].sum() / people_weight[labelled].sum()
    on_labelled = judge[labelled].sum() / judge_weight[labelled].sum()
    on_all = judge.sum() / judge_weight.sum()
    person = (people[labelled] - theirs * people_weight[labelled]) / people_weight[labelled].mean()
    machine = (judge - on_all * judge_weight) / judge_weight.mean()
    spread = float(machine.var(ddof=1))
    common = float(np.cov(person, machine[labelled])[0, 1])
    weight = min(1.0, max(0.0, common / spread)) if spread > 0 else 0.0
    pull = weight * (1.0 - count / size)
    left_out = (1.0 - 1.0 / count) / (1.0 - people_weight[labelled] / people_weight[labelled].sum())
    apart = person * left_out - pull * machine[labelled]
    variance = float(apart.var(ddof=2 if pull > 0.0 else 1)) / count
    if size - count > 1:
        variance += pull**2 * float(machine[~labelled].var(ddof=1)) / (size - count)
    return float(theirs - weight * (on_labelled - on_all)), float(np.sqrt(variance)), weight


def corrected_limits(
    people: FloatArray, people_weight: FloatArray, judge: FloatArray, judge_weight: FloatArray, heaviest: float
) -> tuple[float, float]:
    """Return 95 % limits of the prediction-powered score, as fractions; the arguments are those of `corrected_score`.

    They are the limits of the people's score on the labelled questions (`ratio_limits`), around the corrected score and
    narrower by the share that the judge takes off its standard error. A standard error from a few lost (or won)
    questions shows no such share yet, so on that side the judge counts as far as it was seen to agree there.
    They are never narrower than the judge's part of the score allows. `heaviest` is the most that a question can weigh
    for people.
    """
    labelled = people_weight > 0
    score, error, weight = corrected_score(people, people_weight, judge, judge_weight)
    nothing = np.where(labelled, 1.0, 0.0)
    theirs, alone, _ = corrected_score(people, people_weight, nothing, np.ones(len(people)))
    lower, upper = ratio_limits(people[labelled][:, None], people_weight[labelled][:, None], np.array([heaviest]))
    gain = 1.0 - error / alone if alone > 0.0 else 0.0
    judged = float(judge.sum() / judge_weight.sum())
    least, most = ratio_limits(judge[:, None], judge_weight[:, None], judge_weight.max(keepdims=True))

    def reach(distance: float, points: FloatArray) -> float:
        squares = float(np.square(points[labelled]).sum())
        questions = float(points[labelled].sum()) ** 2 / squares if squares else 0.0
        return distance * (1.0 - gain * (1.0 - math.exp(-questions / _SEVERAL)))

    below = score - max(reach(theirs - float(lower[0]), people_weight - people), weight * (judged - float(least[0])))
    above = score + max(reach(float(upper[0]) - theirs, people), weight * (float(most[0]) - judged))
    return max(0.0, min(1.0, below)), min(1.0, max(0.0, above))


def _corrected(
    model: int,
    battles: Battles,
    judged: Battles,
    labels: PeopleLabels,
    options: RatingOptions,
    resampler: QuestionResampler,
) -> CorrectedScore:
    mine = judged.where(judged.model_b == model)
    weights = mine.weights(options.weight)
    judge = resampler.sums(mine.question, weights * mine.points)
    judge_weight = resampler.sums(mine.question, weights)
    chosen = labels.model == model
    label_weights = 1.0 + (options.weight - 1.0) * labels.strong[chosen]
    people = resampler.sums(labels.question[chosen], label_weights * labels.points[chosen])
    people_weight = resampler.sums(labels.question[chosen], label_weights)
    here = judge_weight > 0
    count = int(np.count_nonzero(people_weight[here]))
    heaviest = options.weight * float(np.bincount(labels.question[chosen]).max(initial=1))
    score, _, weight = corrected_score(people[here], people_weight[here], judge[here], judge_weight[here])
    corrected = NOTHING
    if count >= LEAST_TO_CORRECT:
        lower, upper = corrected_limits(people[here], people_weight[here], judge[here], judge_weight[here], heaviest)
        corrected = IntervalEstimate(100.0 * min(1.0, max(0.0, score)), 100.0 * lower, 100.0 * upper, count)
    return CorrectedScore(
        model=battles.models[model],
        labels=count,
        judged=100.0 * float(judge.sum() / judge_weight.sum()),
        labelled=_labelled_score(people[here], people_weight[here], heaviest),
        corrected=corrected,
        judge_weight=weight if corrected.known else 0.0,
    )


def _labelled_score(people: FloatArray, weight: FloatArray, heaviest: float) -> IntervalEstimate:
    """The people's score on the questions that they labelled."""
    labelled = weight > 0
    if not labelled.any():
        return NOTHING
    lower, upper = ratio_limits(people[labelled][:, None], weight[labelled][:, None], np.array([heaviest]))
    value = 100.0 * float(people.sum() / weight.sum())
    return IntervalEstimate(value, 100.0 * float(lower[0]), 100.0 * float(upper[0]), int(labelled.sum()))


def _same_games(
    labels: PeopleLabels, label_code: IntArray, judged: Battles, code: IntArray
) -> tuple[IntArray, IntArray]:
    """Indices of labels and of the judge's games that are of the same comparison in the same order."""
    place = {key: index for index, key in enumerate(zip(code.tolist(), judged.game.tolist(), strict=True))}
    keys = zip(label_code.tolist(), labels.game.tolist(), strict=True)
    found = [(index, place[key]) for index, key in enumerate(keys) if key in place]
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _mean(question: IntArray, values: FloatArray, resampler: QuestionResampler) -> IntervalEstimate:
    """The mean of K values between -100 and 100 with limits by question."""
    share = resampler.share(question, (values + 100.0) / 200.0)
    value, lower, upper = (
        None if each is None else 2.0 * each - 100.0 for each in (share.value, share.lower, share.upper)
    )
    return IntervalEstimate(value, lower, upper, share.questions)


def _labels_against(reviews: Reviews, baseline: str) -> Iterator[HumanLabel]:
    for said in reviews.values():
        blind = (each for each in said.values() if each.label is not None and not each.seen)
        yield from (each for each in blind if each.baseline in ("", baseline))
