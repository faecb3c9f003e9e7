"""A verdict is better, worse, equivalent within a margin, or undecided, and rarely wrong."""

from __future__ import annotations

import numpy as np
import pytest
from battle_builder import BattleBuilder
from scipy import stats

from engine.errors import UsageProblem
from engine.ratings.battles import Battles
from engine.ratings.compare import PairComparison, compare
from engine.ratings.estimate import BenchFacts, RatingOptions, rate_battles
from engine.ratings.leaderboard import LeaderboardOptions, leaderboard
from engine.ratings.stop_rule import Standing
from engine.ratings.verdict import (
    DEFAULT_MARGIN,
    PairVerdict,
    leading_pair,
    leading_verdict,
    missing_questions,
    standing_verdict,
)

FACTS = BenchFacts(name="bench", judges=("judge",))
OPTIONS = RatingOptions(baseline="base", rounds=400)


def bench(points: dict[str, list[float]]) -> Battles:
    """Each model's points in both games of its questions."""
    builder = BattleBuilder()
    for model, won in points.items():
        for question, share in enumerate(won):
            for game in (1, 2):
                builder.add(f"q{question:04}", "base", model, share, game=game)
    return builder.build()


def wins(share: float, questions: int, seed: int = 1) -> list[float]:
    """Exactly this share of questions is won, in a random order."""
    won = np.arange(questions) < round(share * questions)
    return [float(each) for each in np.random.default_rng(seed).permutation(won)]


def verdict(points: dict[str, list[float]], a: str, b: str, margin: float | None = None) -> PairComparison:
    (pair,) = compare(bench(points), OPTIONS, FACTS, (a, b), margin=margin).pairs
    return pair


def with_changes(base: list[float], up: int, down: int) -> list[float]:
    """Turn so many lost questions into won ones, and so many won into lost ones."""
    changed = list(base)
    for value, count in ((0.0, up), (1.0, down)):
        for at in [index for index, each in enumerate(base) if each == value][:count]:
            changed[at] = 1.0 - value
    return changed


def test_clear_differences_are_better_and_worse_in_both_directions() -> None:
    points = {"a": wins(0.8, 200), "b": wins(0.4, 200, seed=2)}
    assert verdict(points, "a", "b").verdict == "better"
    assert verdict(points, "b", "a").verdict == "worse"


def test_equivalence_is_the_90_percent_interval_within_the_margin() -> None:
    fp16 = wins(0.5, 1200)
    found = verdict({"fp16": fp16, "awq": with_changes(fp16, 14, 12)}, "awq", "fp16", margin=2.0)
    assert (found.verdict, found.margin) == ("equivalent", 2.0)
    assert -2.0 < found.equivalence_lower < found.difference < found.equivalence_upper < 2.0
    assert found.lower < found.equivalence_lower
    assert found.equivalence_upper < found.upper
    assert verdict({"fp16": fp16, "awq": with_changes(fp16, 14, 12)}, "awq", "fp16", margin=0.5).verdict == "undecided"


def test_the_90_percent_interval_is_about_that_of_students_t_and_never_narrower() -> None:
    fp16 = wins(0.5, 1200)
    found = verdict({"fp16": fp16, "awq": with_changes(fp16, 40, 30)}, "awq", "fp16", margin=3.0)
    reach = stats.t.ppf(0.95, 1199) * found.std_error
    assert found.equivalence_upper - found.difference == pytest.approx(reach, rel=0.1)
    assert found.difference - found.equivalence_lower == pytest.approx(reach, rel=0.1)


def test_a_named_margin_makes_smaller_differences_irrelevant_and_no_margin_does_not() -> None:
    fp16 = wins(0.5, 2000)
    points = {"fp16": fp16, "awq": with_changes(fp16, 2, 22)}
    assert verdict(points, "awq", "fp16", margin=3.0).verdict == "equivalent"
    assert verdict(points, "awq", "fp16").verdict == "worse"


def test_without_a_margin_the_usual_one_is_tried_where_nothing_else_is_shown() -> None:
    fp16 = wins(0.5, 1200)
    found = verdict({"fp16": fp16, "awq": with_changes(fp16, 13, 13)}, "awq", "fp16")
    assert (found.verdict, found.margin) == ("equivalent", DEFAULT_MARGIN)
    assert verdict({"fp16": wins(0.5, 100), "awq": wins(0.5, 100, seed=3)}, "awq", "fp16").verdict == "undecided"


def test_a_model_against_the_baseline_works_from_either_end() -> None:
    ties = [0.5] * 1180 + [1.0] * 10 + [0.0] * 10
    points = {"m": ties, "other": wins(0.8, 1200)}
    forth, back = verdict(points, "m", "base", 2.0), verdict(points, "base", "m", 2.0)
    assert forth.verdict == back.verdict == "equivalent"
    assert forth.equivalence_lower == pytest.approx(-back.equivalence_upper, abs=0.05)


@pytest.mark.parametrize(("questions", "expected"), [(400, "undecided"), (500, "equivalent")])
def test_identical_results_are_equivalent_only_once_exceptions_must_be_rare(questions: int, expected: str) -> None:
    # A share of 0.7 % of questions that one wins with strong labels and the other loses would be 2 points.
    points = {"a": wins(0.5, questions), "b": wins(0.5, questions)}
    found = verdict(points, "a", "b", 2.0)
    assert found.difference == 0.0
    assert found.verdict == expected


def test_a_judge_that_follows_the_places_shows_no_equivalence() -> None:
    builder = BattleBuilder()
    for question in range(1000):
        for model in ("a", "b"):
            builder.add(f"q{question}", "base", model, 1.0, game=1)
            builder.add(f"q{question}", "base", model, 0.0, game=2)
    (found,) = compare(builder.build(), OPTIONS, FACTS, ("a", "b"), margin=2.0).pairs
    assert found.verdict == "undecided"


@pytest.mark.parametrize("margin", [0.0, -1.0, 50.0])
def test_a_margin_out_of_range_is_refused(margin: float) -> None:
    with pytest.raises(UsageProblem, match="margin out of range"):
        verdict({"a": wins(0.5, 40)}, "a", "base", margin)


def test_rare_strong_losses_are_not_taken_for_equivalence_more_often_than_five_percent() -> None:
    """The true difference is exactly the margin: 1.5 % of the questions are lost strongly, all others are ties."""
    rng, runs, questions = np.random.default_rng(5), 300, 150
    share = 0.015
    margin = 100.0 * (0.5 - (1.0 - share) / (2.0 * (1.0 - share) + 6.0 * share))
    passed = 0
    for lost in rng.binomial(questions, share, size=runs):
        builder = BattleBuilder()
        for question in range(questions):
            for game in (1, 2):
                if question < lost:
                    builder.add(f"q{question}", "base", "m", 0.0, strong=1.0, game=game)
                else:
                    builder.add(f"q{question}", "base", "m", 0.5, game=game)
        for question in range(questions):  # another model shows that the judge sees differences
            for game in (1, 2):
                builder.add(f"q{question}", "base", "other", 1.0, game=game)
        ratings = rate_battles(builder.build(), RatingOptions(baseline="base", rounds=50))
        found = leading_verdict(ratings, OPTIONS, ("m", "base"), margin)
        assert found is not None
        passed += found.verdict == "equivalent"
    assert stats.binom.sf(passed - 1, runs, 0.055) > 0.001


def test_the_questions_still_needed_bring_the_interval_to_the_wanted_width() -> None:
    wanted, more = missing_questions(40.0, 300, 4.5, None)
    assert wanted == 2.5
    total = 300 + more
    assert stats.t.ppf(0.975, total - 1) * 40.0 / total**0.5 == pytest.approx(2.5, rel=0.005)
    assert missing_questions(40.0, 1600, 2.0, None)[0] == 1.0
    assert missing_questions(40.0, 1600, 2.0, 2.0) == (2.0, 0)
    # No question differs from another: 1 - 0.025 ** (1 / n) is the limit.
    assert missing_questions(0.0, 50, 7.1, None)[1] == pytest.approx(np.log(0.025) / np.log(0.975) - 50, abs=1)


@pytest.mark.parametrize(
    ("models", "pair"),
    [
        (["m", "base"], ("m", "base")),
        (["base", "m"], ("m", "base")),
        (["b", "base", "a"], ("b", "base")),
        (["a", "b", "base"], ("a", "b")),
        (["ckpt-2000", "ckpt-10000", "base", "ckpt-500"], ("ckpt-10000", "base")),
        (["run/checkpoint-20", "base", "run/checkpoint-3"], ("run/checkpoint-20", "base")),
        (["run-step900", "run-step12k", "base"], ("run-step12k", "base")),
        (["a-step-5", "b-step-9", "base"], ("a-step-5", "b-step-9")),
        (["Qwen-72B", "Qwen-7B", "base"], ("Qwen-72B", "Qwen-7B")),
        (["base"], None),
    ],
)
def test_the_pair_that_answers_most(models: list[str], pair: tuple[str, str] | None) -> None:
    assert leading_pair(models, "base") == pair


def test_a_leaderboard_has_the_verdict_of_its_leading_pair() -> None:
    battles = bench({"a": wins(0.8, 200), "b": wins(0.5, 200, seed=2)})
    for ci in ("question", "battle"):
        options = LeaderboardOptions(baseline="base", rounds=200, ci=ci)
        answer = leaderboard(rate_battles(battles, options), options, FACTS).answer
        assert isinstance(answer, PairVerdict)
        assert (answer.model_a, answer.verdict) == ("a", "better")


def test_a_run_with_a_stop_rule_states_its_own_limits() -> None:
    standings = {
        "m": Standing("equivalent", 400, score=50.4, lower=48.7, upper=51.9, margin=2.0),
        "loser": Standing("worse", 30, score=20.0, lower=5.0, upper=40.0, margin=2.0),
    }
    found = standing_verdict({"loser": standings["loser"]}, "base")
    assert found is not None
    assert (found.verdict, found.difference, found.lower, found.upper) == ("worse", -30.0, -45.0, -10.0)
    assert standing_verdict({"m": Standing("undecided", 0)}, "base") is None
    pair = standing_verdict({"m": standings["m"]}, "base")
    assert pair is not None
    assert (pair.verdict, pair.equivalence_upper) == ("equivalent", pytest.approx(1.9))
