"""The cheapest mix of questions, answers to each and judgments of each answer for a wanted half-width of an interval.

With n questions, a answers and j judgments of each, the variance of a score is (V_question + V_answer / a +
V_judge / (a j)) / n, see `engine.ratings.variance`. For every a and j the fewest n that reach the half-width is known,
so the cheapest mix is found by going through them all.

Where a question costs no more than an answer to it, a second answer is never worth its price: of n a answers, those to
n a questions vary less. Judgments are, by the root of V_judge / (V_question + V_answer) times the price of an answer
over that of a judgment. Answers pay where questions are few, or cost something themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import msgspec

from engine.errors import RatingError
from engine.ratings import MINIMUM_QUESTIONS
from engine.ratings.variance import half_width
from engine.repeats import Repeats

MixGoal: TypeAlias = Literal["calls", "minutes", "money"]
MOST_ANSWERS = 32
MOST_JUDGMENTS = 32
_MOST_QUESTIONS = 10_000_000


class NoiseModel(msgspec.Struct, frozen=True):
    """Variances of one draw of each source, in squared points."""

    question: float
    answer: float
    judge: float

    def of(self, answers: int, judgments: int) -> float:
        """Return the variance of the result of a question with so many answers, each judged so often."""
        return self.question + self.answer / answers + self.judge / (answers * judgments)


class CallNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer to a question and one judgment of it take.

    Attributes:
        answering: models that answer, the baseline among them, and `judged` those that are judged.
        games: judge calls of one judgment: 2 for each judge.
        answer_seconds, judge_seconds: of a call while others run beside it; None where unknown.
        answer_cost, judge_cost: of a call, in the currency of the config's prices; None where no model has one.
        further_question: what a question beyond those of the set costs, in the unit of the goal.
    """

    answering: int = 2
    judged: int = 1
    games: int = 2
    answer_seconds: float | None = None
    judge_seconds: float | None = None
    answer_cost: float | None = None
    judge_cost: float | None = None
    further_question: float = 0.0


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """One mix that reaches the half-width, and what all of it takes, the pilot included.

    Attributes:
        name: what it is: "more questions alone", "more answers", "more judgments", "cheapest", or "on the N questions
            of the set".
        repeats: the mix as an argument of a run.
        share: of the calls (or of what is minimised) that more questions alone take.
    """

    name: str
    questions: int
    answers: int
    judgments: int
    repeats: str
    half_width: float
    answer_calls: int
    judge_calls: int
    seconds: float | None
    cost: float | None
    share: float

    @property
    def calls(self) -> int:
        return self.answer_calls + self.judge_calls


class MixPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The mixes for a half-width, the one to take first.

    Attributes:
        reachable: the half-width that all questions of the set reach with any number of answers and judgments; None
            where their number is unknown.
    """

    half_width: float
    goal: MixGoal
    components: NoiseModel
    needs: CallNeeds
    questions_in_set: int | None
    reachable: float | None
    mixes: list[Mix]
    warnings: list[str]


def plan_mix(
    model: NoiseModel,
    wanted: float,
    needs: CallNeeds,
    *,
    goal: MixGoal = "calls",
    questions_in_set: int | None = None,
    most_answers: int = MOST_ANSWERS,
    most_judgments: int = MOST_JUDGMENTS,
) -> MixPlan:
    """Find the mixes for a half-width of `wanted` points. Raises RatingError where there are none."""
    if not 0.05 <= wanted <= 50.0:
        raise RatingError(f"no plan for a half-width of {wanted:g} points", "ask for 0.05 to 50")
    if min(model.question, model.answer, model.judge) < 0.0 or not model.of(1, 1) > 0.0:
        raise RatingError("noise components must be at least 0, and one of them above", "give standard deviations")
    price = _price(goal, needs, questions_in_set or 0)

    def mix(answers: int, judgments: int, name: str = "") -> Mix:
        return _mix(model, wanted, needs, answers, judgments, name, price)

    alone = mix(1, 1, "more questions alone")
    rows = [mix(answers, 1) for answers in range(1, most_answers + 1)]
    columns = [mix(1, judgments) for judgments in range(1, most_judgments + 1)]
    every = [
        *rows,
        *columns,
        *(mix(a, j) for a in range(2, most_answers + 1) for j in range(2, most_judgments + 1)),
    ]
    found = [
        (_best(every, price), "cheapest"),
        (_best(rows, price), "more answers"),
        (_best(columns, price), "more judgments"),
    ]
    warnings = []
    reachable = None
    if questions_in_set:
        reachable = half_width(model.question, questions_in_set)
        within = [each for each in every if each.questions <= questions_in_set]
        if within:
            found.append((_best(within, price), f"on the {questions_in_set} questions of the set"))
        else:
            limit = half_width(model.of(most_answers, most_judgments), questions_in_set)
            warnings.append(
                f"the {questions_in_set} questions of the set reach +-{limit:.2f} points at most, with "
                f"{most_answers} answers and {most_judgments} judgments of each; a half-width of {wanted:g} takes more "
                "questions"
            )
    mixes = [msgspec.structs.replace(each, name=name) for each, name in found]
    return MixPlan(
        half_width=wanted,
        goal=goal,
        components=model,
        needs=needs,
        questions_in_set=questions_in_set,
        reachable=reachable,
        mixes=[msgspec.structs.replace(each, share=price(each) / price(alone)) for each in _distinct([*mixes, alone])],
        warnings=warnings,
    )


def questions_for(variance: float, wanted: float) -> int:
    """Return the fewest questions whose interval is no wider than +-`wanted`; at least 30, below which limits are too
    narrow."""
    low = MINIMUM_QUESTIONS
    if half_width(variance, low) <= wanted:
        return low
    high = 2 * low
    while half_width(variance, high) > wanted:
        low, high = high, 2 * high
        if high > _MOST_QUESTIONS:
            raise RatingError(f"a half-width of {wanted:g} points takes more than {_MOST_QUESTIONS:,} questions")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half_width(variance, middle) > wanted else (low, middle)
    return high


def _mix(
    model: NoiseModel,
    wanted: float,
    needs: CallNeeds,
    answers: int,
    judgments: int,
    name: str,
    price: Callable[[Mix], float],
) -> Mix:
    variance = model.of(answers, judgments)
    questions = questions_for(variance, wanted)
    answer_calls = needs.answering * questions * answers
    judge_calls = needs.judged * needs.games * questions * answers * judgments
    return Mix(
        name=name,
        questions=questions,
        answers=answers,
        judgments=judgments,
        repeats=str(Repeats(answers, judgments, of_every=True)),
        half_width=half_width(variance, questions),
        answer_calls=answer_calls,
        judge_calls=judge_calls,
        seconds=_together(answer_calls, needs.answer_seconds, judge_calls, needs.judge_seconds),
        cost=_together(answer_calls, needs.answer_cost, judge_calls, needs.judge_cost),
        share=1.0,
    )


def _together(answers: int, of_answer: float | None, judgments: int, of_judgment: float | None) -> float | None:
    """Return the sum of what is known; None where nothing is."""
    if of_answer is None and of_judgment is None:
        return None
    return answers * (of_answer or 0.0) + judgments * (of_judgment or 0.0)


def _price(goal: MixGoal, needs: CallNeeds, on_hand: int) -> Callable[[Mix], float]:
    """Return what is minimised. Raises RatingError where it is not known."""
    if goal == "minutes" and needs.answer_seconds is None and needs.judge_seconds is None:
        raise RatingError("the time of a call is unknown here", "minimise calls, or run some questions first")
    if goal == "money" and needs.answer_cost is None and needs.judge_cost is None:
        raise RatingError("no model that is called has a price", "add price = { input = ..., output = ... } to it")

    def price(mix: Mix) -> float:
        minutes = None if mix.seconds is None else mix.seconds / 60.0
        known = {"calls": float(mix.calls), "minutes": minutes, "money": mix.cost}[goal]
        return math.inf if known is None else known + needs.further_question * max(0, mix.questions - on_hand)

    return price


def _best(mixes: list[Mix], price: Callable[[Mix], float]) -> Mix:
    """Return the cheapest mix; of equal ones that with the fewest judge calls."""
    return min(mixes, key=lambda mix: (price(mix), mix.judge_calls, mix.judgments))


def _distinct(mixes: list[Mix]) -> Iterator[Mix]:
    """Yield each mix once, under its first name."""
    seen = set()
    for mix in mixes:
        if (which := (mix.questions, mix.answers, mix.judgments)) not in seen:
            seen.add(which)
            yield mix
