"""Where the noise of a score is: its variance split into questions, sampled answers and the judge.

A judgment of a question by a replicate (an answer, and a repeat of its judging) has a value: its influence on the
score, so that the mean over questions of the mean over answers of the mean over repeats is the score's error. With n
questions, a answers each and j judgments of each answer its variance is

    (V_question + V_answer / a + V_judge / (a j)) / n

(Wang, arXiv 2512.21326; Miller, arXiv 2411.00640, section 3). The components are those of a nested random-effects
analysis of variance, estimated by the method of moments on unweighted means (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 5): unbiased also where questions have different numbers of answers and repeats. They add up
to the clustered variance that intervals rest on. A difference of two models is split by the differences of judgments
of the same replicate; the baseline's answer, which both have in common, cancels as far as it does in the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.errors import Advice, AdviceKind, RatingError
from engine.ratings.battles import Battles, FloatArray, IntArray
from engine.ratings.limits import interval, student_quantile
from engine.ratings.outcomes import game_points

SourceName: TypeAlias = Literal["questions", "answers", "judge", "questions and answers", "answers and judge"]
_CELLS_AT_ONCE: Final = 4_000_000  # of a matrix of resamples and questions


@dataclass(frozen=True)
class JudgmentValues:
    """N judgments, all arrays [N]: question, answer of the model, repeat, and the influence on the score."""

    question: IntArray
    choice: IntArray
    repeat: IntArray
    value: FloatArray

    def minus(self, other: JudgmentValues) -> JudgmentValues:
        """Return the differences of the judgments of the same question and replicate that both have."""
        _, mine, theirs = np.intersect1d(_code(self), _code(other), assume_unique=True, return_indices=True)
        return JudgmentValues(
            self.question[mine], self.choice[mine], self.repeat[mine], self.value[mine] - other.value[theirs]
        )


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of one draw of each source, in squared units of the values; None where it was not measured.

    Attributes:
        question, answer, judge: at least 0; a source that was not measured is part of the one before it, or of the one
            that follows where that is the answers.
        raw: the same before negative estimates were set to 0.
        lower, upper: 95 % limits of each, by resampled questions.
        total: variance of a question's result, clustered, as intervals have it.
        answers, judgments: what divides the components of a question's result; with the same number everywhere these
            are the answers of a question, and its judgments.
        questions: how many there are; `repeated_answers` and `repeated_judgments` beyond the first of each.
    """

    question: float
    answer: float | None
    judge: float | None
    raw: tuple[float, float | None, float | None]
    lower: tuple[float, float | None, float | None]
    upper: tuple[float, float | None, float | None]
    total: float
    answers: float
    judgments: float
    questions: int
    repeated_answers: int
    repeated_judgments: int

    @property
    def sources(self) -> list[SourceName]:
        """The names of the components that were measured, from the questions down."""
        if self.judge is None:
            return ["questions", "answers and judge"]
        return ["questions and answers", "judge"] if self.answer is None else ["questions", "answers", "judge"]

    @property
    def measured(self) -> list[int]:
        """The places of the measured components among question, answer and judge."""
        return [at for at, each in enumerate((self.question, self.answer, self.judge)) if each is not None]

    @property
    def parts(self) -> list[float]:
        """The share of the variance of a question's result that is due to each measured component."""
        divided = (self.question, (self.answer or 0.0) / self.answers, (self.judge or 0.0) / self.judgments)
        return [divided[at] for at in self.measured]


def judgment_values(
    battles: Battles, model: str, baseline: str, weight: float, *, soft: bool = False
) -> JudgmentValues:
    """Return the judgments of a model against the baseline; of several judges the sum counts as one.

    Raises RatingError where there are none with a label.
    """
    a, b = (battles.models.index(name) if name in battles.models else -1 for name in (baseline, model))
    mine = ((battles.model_a == a) & (battles.model_b == b)) | ((battles.model_a == b) & (battles.model_b == a))
    used = battles.where(mine & battles.labelled) if a != b else battles.where(np.zeros(len(battles), dtype=np.bool_))
    if not len(used):
        raise RatingError(f"no game of {model} against {baseline} has a label", "name a model that was judged")
    won, total = (each / used.shares for each in game_points(used, weight, soft=soft))
    won = np.where(used.model_b == b, won, total - won)
    zeros = np.zeros(len(used), dtype=np.int64)
    choice, repeat = (zeros if each is None else each for each in (used.choice, used.repeat))
    code = _code(JudgmentValues(used.question, choice, repeat, won))
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    sums = [np.bincount(place, each).astype(np.float64) for each in (won, total)]
    won_by, total_by = (_nested_means(used.question[first], choice[first], each) for each in sums)
    rate, mean = won_by.sum() / total_by.sum(), total_by.mean()
    return JudgmentValues(used.question[first], choice[first], repeat[first], (sums[0] - rate * sums[1]) / mean)


def variance_components(values: JudgmentValues, *, rounds: int = 1000, seed: int = 42) -> VarianceComponents:
    """Split the variance of a mean over questions. Raises RatingError without repeats, or for one question."""
    terms = _question_terms(values)
    count = len(terms)
    sums = terms.sum(axis=0)
    judged_again, answered_again = int(sums[_JUDGE_FREEDOM]), int(sums[_ANSWER_FREEDOM])
    if count < 2 or not (judged_again or answered_again):
        raise RatingError(
            "no question here has a second answer or a second judgment, so noise cannot be separated from questions"
            if count > 1
            else f"{count} question shows no variance between questions",
            Advice("answer and judge some questions again", AdviceKind.REPEATS),
        )
    exact = _estimates(np.ones((1, count)), terms)[:, 0]
    resampled = np.concatenate([_estimates(times, terms) for times in _resamples(count, rounds, seed)], axis=1)
    kept = [0, *([1] if answered_again else []), *([2] if judged_again else [])]
    lower: list[float | None] = [None] * 3
    upper: list[float | None] = [None] * 3
    with np.errstate(invalid="ignore"):
        low, high = interval(resampled[kept].T, count)
    for at, one, other in zip(kept, low.tolist(), high.tolist(), strict=True):
        lower[at], upper[at] = max(0.0, one), max(0.0, other)
    raw = [float(exact[at]) if at in kept else None for at in range(3)]
    total, per_answer = float(exact[3]), float(sums[_PER_ANSWER]) / count
    per_judgment = float(sums[_PER_JUDGMENT]) / count
    judge = None if raw[2] is None else max(0.0, raw[2])
    answer = None
    if raw[1] is not None:
        carried = float(sums[_CARRIED] / sums[_ANSWER_FREEDOM])
        answer = max(0.0, float(sums[_ANSWER_SQUARES] / sums[_ANSWER_FREEDOM]) - (judge or 0.0) * carried)
    question = max(0.0, total - (answer or 0.0) * per_answer - (judge or 0.0) * per_judgment)
    return VarianceComponents(
        question=question,
        answer=answer,
        judge=judge,
        raw=(raw[0] or 0.0, raw[1], raw[2]),
        lower=(lower[0] or 0.0, lower[1], lower[2]),
        upper=(upper[0] or 0.0, upper[1], upper[2]),
        total=total,
        answers=1.0 / per_answer,
        judgments=1.0 / per_judgment,
        questions=count,
        repeated_answers=answered_again,
        repeated_judgments=judged_again,
    )


def half_width(variance: float, questions: int) -> float:
    """Return half the width of a 95 % interval of a mean over questions whose results have this variance."""
    return student_quantile(max(1, questions - 1)) * float(np.sqrt(max(0.0, variance) / questions))


# Columns of the terms of a question, whose sums over questions give the estimates.
(
    _MEAN,
    _SQUARE,
    _JUDGE_SQUARES,
    _JUDGE_FREEDOM,
    _ANSWER_SQUARES,
    _ANSWER_FREEDOM,
    _CARRIED,
    _PER_ANSWER,
    _PER_JUDGMENT,
) = range(9)


def _question_terms(values: JudgmentValues) -> FloatArray:
    """Return the terms [Q, 9] of every question."""
    question = np.unique(values.question, return_inverse=True)[1]
    answer, of_answer = _answers(question, values.choice)
    judgments = np.bincount(answer)
    means = np.bincount(answer, values.value) / judgments
    answers = np.bincount(of_answer)
    result = np.bincount(of_answer, means) / answers
    centred = result - result.mean()  # the difference of two large squares would be inexact
    judge_squares = np.bincount(question, (values.value - means[answer]) ** 2)
    answer_squares = np.bincount(of_answer, (means - result[of_answer]) ** 2)
    per_mean = np.bincount(of_answer, 1.0 / judgments) / answers  # what a mean of repeats keeps of the judge's variance
    freedom = answers - 1.0
    return np.stack(
        [
            centred,
            centred**2,
            judge_squares,
            np.bincount(question) - answers,
            answer_squares,
            freedom,
            freedom * per_mean,
            1.0 / answers,
            per_mean / answers,
        ],
        axis=1,
    )


def _estimates(times: FloatArray, terms: FloatArray) -> FloatArray:
    """Return question, answer, judge and total [4, R] for questions taken so many times [R, Q]; NaN: not measured."""
    sums = times @ terms
    count = times.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = (sums[:, _SQUARE] - sums[:, _MEAN] ** 2 / count) / (count - 1.0)
        judge = sums[:, _JUDGE_SQUARES] / np.where(sums[:, _JUDGE_FREEDOM] > 0, sums[:, _JUDGE_FREEDOM], np.nan)
        freedom = np.where(sums[:, _ANSWER_FREEDOM] > 0, sums[:, _ANSWER_FREEDOM], np.nan)
        known_judge = np.nan_to_num(judge)
        answer = (sums[:, _ANSWER_SQUARES] - known_judge * sums[:, _CARRIED]) / freedom
        noise = np.nan_to_num(answer) * sums[:, _PER_ANSWER] + known_judge * sums[:, _PER_JUDGMENT]
        return np.stack([total - noise / count, answer, judge, total])


def _resamples(questions: int, rounds: int, seed: int) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS_AT_ONCE // questions)
    shares = np.full(questions, 1.0 / questions)
    return [
        rng.multinomial(questions, shares, size=min(chunk, rounds - begin)).astype(np.float64)
        for begin in range(0, rounds, chunk)
    ]


def _nested_means(question: IntArray, choice: IntArray, value: FloatArray) -> FloatArray:
    """Return the mean over answers of the mean over repeats of every question."""
    place = np.unique(question, return_inverse=True)[1]
    answer, of_answer = _answers(place, choice)
    means = np.bincount(answer, value) / np.bincount(answer)
    result: FloatArray = np.bincount(of_answer, means) / np.bincount(of_answer)
    return result


def _answers(question: IntArray, choice: IntArray) -> tuple[IntArray, IntArray]:
    """Return the answer of each judgment, and the question of each answer."""
    size = int(choice.max(initial=0)) + 1
    _, begins, answer = np.unique(question * size + choice, return_index=True, return_inverse=True)
    return answer, question[begins]


def _code(values: JudgmentValues) -> IntArray:
    """Return a number for each question and replicate."""
    largest = 1 << 20  # more answers and repeats than any question has
    code: IntArray = (values.question * largest + values.choice) * largest + values.repeat
    return code


def average(found: Sequence[VarianceComponents]) -> tuple[float, float | None, float | None]:
    """Return the mean of each component, None where one of them does not have it."""
    columns = zip(*((each.question, each.answer, each.judge) for each in found), strict=True)
    question, answer, judge = (
        None if None in column else float(np.mean([value or 0.0 for value in column])) for column in columns
    )
    return question or 0.0, answer, judge
