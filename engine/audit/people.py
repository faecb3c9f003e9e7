"""Do people agree with the judge, and what would the scores be if they had judged everything?

Prediction-powered inference (Angelopoulos et al., Science 382, 2023; with the tuned weight of PPI++, arXiv 2311.01453):
the people's score on the few labelled questions, corrected by how far the judge's score on those is from that on all,

    score = people(labelled) - w * (judge(labelled) - judge(all)),

with w in [0, 1] chosen so that the variance is least. A judge that agrees with people makes the interval narrower than
the labels alone would, a judge that does not cannot bias it. It holds if the labelled questions were picked at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from engine.audit.agreement import Agreement, agreement
from engine.audit.intervals import NOTHING, Estimate, QuestionResampler, by_question
from engine.ratings.battles import Battles, FloatArray, IntArray, label_strength
from engine.ratings.estimate import RatingOptions
from engine.ratings.intervals import student_quantile

LEAST_LABELS = 10
"""Below this many labelled questions a corrected score is not given."""


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
    labelled: Estimate
    corrected: Estimate
    judge_weight: float


class PeopleReport(msgspec.Struct, frozen=True):
    """`labels` of people on games of this judge. `too_generous`: by how many points a game the judge gives models more
    than people do, on the same games. `agreement` is None when no labelled game has a verdict."""

    labels: int
    agreement: Agreement | None
    too_generous: Estimate
    models: list[CorrectedScore]


def people_report(
    battles: Battles, options: RatingOptions, labels: PeopleLabels, resampler: QuestionResampler
) -> PeopleReport | None:
    """How one judge stands with people. None when nobody labelled a question that it judged."""
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
    judge = by_question(mine.question, weights * mine.points, resampler.questions)
    judge_weight = by_question(mine.question, weights, resampler.questions)
    chosen = labels.model == model
    label_weights = 1.0 + (options.weight - 1.0) * labels.strong[chosen]
    people = by_question(labels.question[chosen], label_weights * labels.points[chosen], resampler.questions)
    people_weight = by_question(labels.question[chosen], label_weights, resampler.questions)
    here = judge_weight > 0
    count = int(np.count_nonzero(people_weight[here]))
    score, error, weight = corrected_score(people[here], people_weight[here], judge[here], judge_weight[here])
    corrected = NOTHING
    if count >= LEAST_LABELS:
        half = student_quantile(count - 1) * error
        limits = (max(0.0, score - half), min(1.0, score + half))
        corrected = Estimate(100.0 * min(1.0, max(0.0, score)), 100.0 * limits[0], 100.0 * limits[1], count)
    return CorrectedScore(
        model=battles.models[model],
        labels=count,
        judged=100.0 * float(judge.sum() / judge_weight.sum()),
        labelled=resampler.share(np.where(here, people, 0.0), np.where(here, people_weight, 0.0)),
        corrected=corrected,
        judge_weight=weight if corrected.known else 0.0,
    )


def _same_games(
    labels: PeopleLabels, label_code: IntArray, judged: Battles, code: IntArray
) -> tuple[IntArray, IntArray]:
    """Indices of labels and of the judge's games that are of the same comparison in the same order."""
    place = {key: index for index, key in enumerate(zip(code.tolist(), judged.game.tolist(), strict=True))}
    keys = zip(label_code.tolist(), labels.game.tolist(), strict=True)
    found = [(index, place[key]) for index, key in enumerate(keys) if key in place]
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _mean(question: IntArray, values: FloatArray, resampler: QuestionResampler) -> Estimate:
    """The mean of K values with limits from resampled questions."""
    if not len(question):
        return NOTHING
    part = by_question(question, values, resampler.questions)
    whole = by_question(question, np.ones(len(question)), resampler.questions)
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = (resampler.draws @ part) / (resampler.draws @ whole)
    return resampler.estimate(float(part.sum() / whole.sum()), resampled, int(np.count_nonzero(whole)))
