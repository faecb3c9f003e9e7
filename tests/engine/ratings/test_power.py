"""A plan says how many questions a difference takes, from how much those of a pilot disagree."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from battle_builder import BattleBuilder
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RatingError
from engine.formats.battles_file import load_battles
from engine.ratings import FEWEST_QUESTIONS
from engine.ratings.battles import Battles
from engine.ratings.betting import threshold
from engine.ratings.estimate import BenchFacts, RatingOptions
from engine.ratings.power import MeasuredPace, Need, StudyPlan, plan_study, questions_needed, questions_until_decided

FACTS = BenchFacts(name="pilot")
OPTIONS = RatingOptions(baseline="base")


def pilot(models: int = 2, questions: int = 100) -> Battles:
    rng = np.random.default_rng(1)
    builder = BattleBuilder()
    for question in range(questions):
        shared = rng.normal()
        for model in range(models):
            won = float(shared + rng.normal() > 0)
            for game in (1, 2):
                builder.add(f"q{question:03}", "base", f"m{model}", won, game=game)
    return builder.build()


def by_design(plan: StudyPlan, at: int = 0) -> dict[str, Need]:
    return {need.design: need for need in plan.plans[at].needs}


def test_the_formula_is_that_of_the_textbook() -> None:
    # a proportion of one half: SD 50 points; 10 points with 80 % power need (2.8016 * 50 / 10)^2 = 196.2 questions
    assert questions_needed(50.0, 10.0) == 197
    assert questions_needed(50.0, 10.0, power=0.9) == 263
    assert questions_needed(1.0, 50.0) == 30


@given(st.floats(1, 100), st.floats(0.5, 50))
def test_a_run_is_planned_to_decide_at_the_first_count_that_suffices(spread: float, difference: float) -> None:
    count = questions_until_decided(spread, difference)

    def is_enough(questions: int) -> bool:
        growth = math.log1p((difference / spread) ** 2)
        return questions * growth >= (2.0 * threshold() + 0.5 * math.log(questions)) * (1 - 1e-12)

    assert count == FEWEST_QUESTIONS or is_enough(count)
    assert count == FEWEST_QUESTIONS or not is_enough(count - 1)


def test_pairing_saves_questions_and_the_baseline_needs_least() -> None:
    need = by_design(plan_study(pilot(), OPTIONS, FACTS, [10.0]))
    assert need["baseline"].questions < need["unpaired"].questions
    assert need["paired"].questions < need["unpaired"].questions
    assert need["paired"].fewest == need["paired"].questions == need["paired"].most  # only one pair
    assert need["unpaired"].until_decided is None


def test_calls_and_time_follow_from_the_questions() -> None:
    plan = plan_study(pilot(), OPTIONS, FACTS, [10.0, 5.0], pace=MeasuredPace(judge_calls=8.0, answers=2.0))
    paired = by_design(plan)["paired"]
    assert (paired.judge_calls, paired.answers) == (4 * paired.questions, 2 * paired.questions)
    assert paired.seconds == pytest.approx(paired.judge_calls / 8 + paired.answers / 2)
    assert by_design(plan)["baseline"].judge_calls == 2 * by_design(plan)["baseline"].questions
    assert by_design(plan, 1)["paired"].questions == pytest.approx(4 * paired.questions, abs=4)
    assert by_design(plan_study(pilot(), OPTIONS, FACTS, [10.0]))["paired"].seconds is None


def test_a_second_judge_or_baseline_takes_its_calls_too() -> None:
    single, judges, baselines = (BattleBuilder() for _ in range(3))
    rng = np.random.default_rng(2)
    for question in range(60):
        for model in ("m0", "m1"):
            for game in (1, 2):
                won = float(rng.random() < 0.5)
                single.add(f"q{question}", "base", model, won, game=game, judge="one")
                for judge in ("one", "other"):
                    judges.add(f"q{question}", "base", model, won, game=game, judge=judge)
                for baseline in ("base", "second"):
                    baselines.add(f"q{question}", baseline, model, won, game=game)
        baselines.add(f"q{question}", "base", "second", float(question % 2), game=1)
    plans = [plan_study(each.build(), OPTIONS, FACTS, [10.0]) for each in (single, judges, baselines)]
    assert [plan.games_each for plan in plans] == [2.0, 4.0, pytest.approx((4 + 4 + 5) / 3)]
    need = by_design(plans[1])["paired"]
    assert need.judge_calls == 2 * 4 * need.questions


def test_one_model_plans_against_the_baseline_only() -> None:
    plan = plan_study(pilot(models=1, questions=20), OPTIONS, FACTS, [10.0])
    assert set(by_design(plan)) == {"baseline"}
    assert plan.pairing is None
    assert any("pilot of 20 questions" in warning for warning in plan.warnings)
    assert any("only one model" in warning for warning in plan.warnings)


def test_a_pilot_without_disagreement_is_refused() -> None:
    builder = BattleBuilder()
    for question in range(40):
        builder.add(str(question), "base", "m", 1.0, game=1)
    with pytest.raises(RatingError, match="how much questions disagree"):
        plan_study(builder.build(), OPTIONS, FACTS, [5.0])


@pytest.mark.parametrize(("differences", "power"), [([0.0], 0.8), ([51.0], 0.8), ([5.0], 1.0), ([5.0], 0.2)])
def test_an_impossible_plan_is_refused(differences: list[float], power: float) -> None:
    with pytest.raises(RatingError, match="no plan for a"):
        plan_study(pilot(), OPTIONS, FACTS, differences, power)


@pytest.mark.realdata
def test_published_battles_need_what_was_measured_on_them(shared_data: Path) -> None:
    battles = load_battles(shared_data / "arena-hard-ru" / "arena_hard_battles.jsonl").battles
    options = RatingOptions(baseline="Phi-3-medium-128k-instruct")
    plan = plan_study(battles, options, FACTS, [10.0, 5.0, 3.0])
    needed = [by_design(plan, at)["paired"].questions for at in range(3)]
    assert needed == pytest.approx([150, 590, 1640], rel=0.05)
    assert plan.pairing == pytest.approx(0.82, abs=0.02)
