"""The cheapest mix of questions, answers and judgments: cheaper than every other one that reaches the half-width."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.errors import RatingError
from engine.ratings.mix import CallNeeds, NoiseModel, plan_mix, questions_for
from engine.ratings.variance import half_width

deviation = st.floats(0.0, 60.0)
models = st.builds(lambda q, a, j: NoiseModel(q * q, a * a, j * j), deviation, deviation, deviation)


@given(models, st.floats(1.0, 10.0), st.integers(1, 4), st.integers(1, 3), st.floats(0.0, 50.0))
@settings(max_examples=40, deadline=None)
def test_no_other_mix_is_cheaper(model, wanted, judged, judges, question_cost):
    assume(model.of(1, 1) > 0.01)
    needs = CallNeeds(answering=judged + 1, judged=judged, games=2 * judges, further_question=question_cost)
    plan = plan_mix(model, wanted, needs, most_answers=6, most_judgments=6)

    def price(questions: int, answers: int, judgments: int) -> float:
        return questions * (answers * needs.answering + answers * judgments * judged * needs.games + question_cost)

    best = plan.mixes[0]
    assert best.half_width <= wanted
    for answers in range(1, 7):
        for judgments in range(1, 7):
            fewest = questions_for(model.of(answers, judgments), wanted)
            mine = price(best.questions, best.answers, best.judgments)
            assert mine <= price(fewest, answers, judgments) + 1e-6
    assert best.name == "cheapest"
    assert 0.0 < best.share <= 1.0 + 1e-9


@given(models, st.floats(1.0, 10.0))
@settings(max_examples=40, deadline=None)
def test_a_second_answer_never_pays_where_a_question_costs_nothing_itself(model, wanted):
    assume(model.of(1, 1) > 0.01)
    best = plan_mix(model, wanted, CallNeeds()).mixes[0]
    assert best.answers == 1 or best.questions == 30, "fewer than 30 questions are not planned"


@given(st.floats(0.001, 5000.0), st.floats(0.5, 20.0))
@settings(max_examples=80, deadline=None)
def test_questions_are_the_fewest_that_reach_the_half_width(variance, wanted):
    count = questions_for(variance, wanted)
    assert half_width(variance, count) <= wanted
    assert count == 30 or half_width(variance, count - 1) > wanted


def test_repeats_pay_where_questions_are_few_or_dear_and_the_plan_reaches_what_it_says():
    noisy = NoiseModel(100.0, 1600.0, 225.0)
    assert plan_mix(noisy, 3.0, CallNeeds()).mixes[0].answers == 1
    dear = plan_mix(noisy, 3.0, CallNeeds(further_question=10.0)).mixes[0]
    assert dear.answers > 3
    assert dear.share < 0.6
    few = {mix.name: mix for mix in plan_mix(noisy, 3.0, CallNeeds(), questions_in_set=150).mixes}
    assert few["on the 150 questions of the set"].questions <= 150
    rng = np.random.default_rng(2)
    mix = few["on the 150 questions of the set"]
    widths = []
    for _ in range(300):
        of_judge = rng.normal(0.0, 15.0, (mix.questions, mix.answers, mix.judgments))
        table = rng.normal(0.0, 10.0, (mix.questions, 1, 1)) + rng.normal(0.0, 40.0, (mix.questions, mix.answers, 1))
        widths.append(half_width(float((table + of_judge).mean(axis=(1, 2)).var(ddof=1)), mix.questions))
    assert np.mean(widths) == pytest.approx(mix.half_width, rel=0.03)
    assert np.mean(widths) < 3.05


def test_judgments_pay_by_the_price_of_an_answer():
    noisy = NoiseModel(225.0, 225.0, 1600.0)
    by_calls = plan_mix(noisy, 3.0, CallNeeds()).mixes[0]
    slow = CallNeeds(answer_seconds=20.0, judge_seconds=1.0)
    by_time = plan_mix(noisy, 3.0, slow, goal="minutes").mixes[0]
    assert (by_calls.answers, by_time.answers) == (1, 1)
    assert by_time.judgments > by_calls.judgments > 1
    root = math.sqrt(1600.0 / 450.0)
    assert by_calls.judgments == pytest.approx(root, abs=1.0)
    assert by_time.share < 0.6


def test_a_set_that_cannot_reach_the_half_width_is_reported():
    plan = plan_mix(NoiseModel(900.0, 100.0, 100.0), 1.0, CallNeeds(), questions_in_set=100)
    assert plan.reachable == pytest.approx(half_width(900.0, 100))
    assert any("takes more questions" in warning for warning in plan.warnings)
    assert not any("of the set" in mix.name for mix in plan.mixes)


@pytest.mark.parametrize(
    ("model", "wanted", "goal", "problem"),
    [
        (NoiseModel(1.0, 1.0, 1.0), 60.0, "calls", "half-width of 60"),
        (NoiseModel(0.0, 0.0, 0.0), 2.0, "calls", "one of them above"),
        (NoiseModel(1.0, 1.0, 1.0), 2.0, "money", "has a price"),
        (NoiseModel(1.0, 1.0, 1.0), 2.0, "minutes", "time of a call is unknown"),
    ],
)
def test_what_cannot_be_planned_is_refused(model, wanted, goal, problem):
    with pytest.raises(RatingError, match=problem):
        plan_mix(model, wanted, CallNeeds(), goal=goal)
