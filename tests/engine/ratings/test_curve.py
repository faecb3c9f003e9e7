"""The curve of a training: bands for all checkpoints at once, gains, the plateau and the step to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from battle_builder import BattleBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RatingError
from engine.ratings.battles import Battles
from engine.ratings.checkpoint_scores import CheckpointScores
from engine.ratings.curve import curve
from engine.ratings.curve_result import Curve, StepModel
from engine.ratings.curve_tests import CurveTests, plateau_start
from engine.ratings.estimate import RatingOptions, rate_battles
from engine.ratings.limits import holm, two_sided_p
from engine.ratings.simultaneous import JointErrors, critical_value, deviate_of, step_down

BASE = "base"
OPTIONS = RatingOptions(baseline=BASE)
ROUNDS = 4000


def steps(count: int) -> list[StepModel]:
    return [StepModel(f"run-step{1000 * (at + 1)}", 1000 * (at + 1)) for at in range(count)]


def training(
    shares: Sequence[float], questions: int = 200, *, seed: int = 1, own: float = 0.3, asked: Mapping[int, int] = {}
) -> Battles:
    """Battles of checkpoints that win so large shares of the questions; `own` is how far they differ by themselves.

    `asked` says how many of the questions a checkpoint was asked, by its place.
    """
    rng = np.random.default_rng(seed)
    shared = rng.uniform(size=questions)
    builder = BattleBuilder()
    for at, share in enumerate(shares):
        mixed = np.where(rng.uniform(size=questions) < own, rng.uniform(size=questions), shared)
        for question in range(asked.get(at, questions)):
            points = float(mixed[question] < share)
            for game in (1, 2):
                builder.add(f"q{question}", BASE, f"run-step{1000 * (at + 1)}", points, game=game)
    return builder.build()


def found(battles: Battles, count: int, **options: object) -> Curve:
    return curve(battles, OPTIONS, steps(count), series="run", rounds=ROUNDS, **options)  # type: ignore[arg-type]


RISING = (0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7)


def test_bands_are_wider_than_limits_of_one_score_and_narrower_than_bonferronis() -> None:
    battles = training(RISING)
    result = found(battles, 8)
    alone = rate_battles(battles, OPTIONS)
    scores = CheckpointScores(battles, OPTIONS, [each.model for each in steps(8)])
    widest = scores.score_limits(np.ones(8, dtype=np.bool_), 0.05 / 8)
    for at, point in enumerate(result.points):
        place = alone.models.index(point.model)
        assert point.score == pytest.approx(100 * alone.rate[place])
        assert 100 * widest[0][at] < point.lower < 100 * alone.lower[place] < point.score
        assert point.score < 100 * alone.upper[place] < point.upper < 100 * widest[1][at]


def test_the_band_of_one_checkpoint_is_its_interval_on_the_leaderboard() -> None:
    battles = training([0.6])
    point = found(battles, 1).points[0]
    alone = rate_battles(battles, OPTIONS)
    place = alone.models.index(point.model)
    assert point.lower == pytest.approx(100 * alone.lower[place], abs=0.3)
    assert point.upper == pytest.approx(100 * alone.upper[place], abs=0.3)


def test_checkpoints_that_answer_alike_need_no_wider_bands() -> None:
    alike = found(training([0.6] * 6, own=0.0), 6).points
    one = found(training([0.6], own=0.0), 1).points[0]
    assert [point.lower for point in alike] == pytest.approx([one.lower] * 6, abs=0.3)


def test_bands_hold_all_true_scores_at_once_in_most_trainings() -> None:
    truth, held = np.array(RISING), 0
    for seed in range(120):
        scores = CheckpointScores(training(RISING, 60, seed=seed), OPTIONS, [each.model for each in steps(8)])
        lower, upper = CurveTests(scores, seed, ROUNDS).bands()
        held += bool(np.all((lower <= truth) & (truth <= upper)))
    assert held >= 105  # 114 are expected


def test_gains_are_over_the_first_step_on_the_questions_in_common() -> None:
    result = found(training(RISING, asked={0: 60}), 8)
    first, second, *_, last = result.points
    assert first.gain is None
    assert second.gain is not None
    assert last.gain is not None
    assert (last.gain.over, last.gain.questions, last.gain.verdict) == (1000, 60, "better")
    assert last.gain.lower < last.gain.difference < last.gain.upper
    assert last.gain.p_value is not None
    assert last.gain.p_value < 0.01 < (second.gain.p_value or 0.0)


def test_a_plateau_starts_where_no_later_step_is_better_by_the_margin() -> None:
    result = found(training(RISING, 1500), 8, margin=6.0)
    assert result.plateau.since == 5000
    assert result.plateau.later_steps == 3
    assert 0.0 < result.plateau.upper < 6.0


def test_no_difference_seen_is_no_plateau_where_questions_are_few() -> None:
    result = found(training(RISING, 60), 8, margin=2.0)
    assert result.plateau.since is None
    assert result.plateau.upper > 2.0


def test_a_plateau_says_how_many_more_questions_would_show_it() -> None:
    curves = [found(training([0.5] * 3, 200, seed=seed, own=0.2), 3, margin=3.0) for seed in range(8)]
    open_ones = [each.plateau for each in curves if each.plateau.since is None and each.plateau.later_steps]
    assert open_ones
    assert all(plateau.upper > 3.0 for plateau in open_ones)
    missing = [plateau.more_questions for plateau in open_ones if plateau.more_questions is not None]
    assert missing
    enough = 200 + max(missing)
    shown = [found(training([0.5] * 3, enough, seed=seed, own=0.2), 3, margin=3.0).plateau.since for seed in range(4)]
    assert any(each is not None for each in shown)


def test_an_improvement_at_the_end_ends_every_plateau() -> None:
    result = found(training([0.5] * 6 + [0.8], 1500), 7, margin=3.0)
    assert result.plateau.since is None
    assert result.best == result.keep.step == 7000
    assert result.keep.candidates == [7000]
    assert result.keep.loss == 0.0


def test_one_bad_checkpoint_does_not_hide_a_plateau() -> None:
    result = found(training([0.3, 0.7, 0.7, 0.4, 0.7], 1500), 5, margin=6.0)
    assert result.plateau.since == 2000


def test_a_plateau_that_is_none_is_rarely_claimed() -> None:
    shares, claims = [0.5] * 5 + [0.58], 0
    for seed in range(100):
        scores = CheckpointScores(training(shares, 600, seed=seed), OPTIONS, [each.model for each in steps(6)])
        claims += plateau_start(CurveTests(scores, seed, ROUNDS).later_steps(), 0.08) is not None
    assert claims <= 11  # 5 are allowed on average


def test_ties_in_all_questions_do_not_exclude_rare_losses() -> None:
    builder = BattleBuilder()
    for at in range(3):
        for question in range(40):
            for game in (1, 2):
                builder.add(f"q{question}", BASE, f"run-step{1000 * (at + 1)}", 0.5, game=game)
    result = found(builder.build(), 3)
    assert result.plateau.since is None
    assert result.keep.candidates == [1000, 2000, 3000]
    assert result.keep.loss > 2.0
    gain = result.points[2].gain
    assert gain is not None
    assert (gain.verdict, gain.difference) == ("undecided", 0.0)
    assert gain.lower < -2.0 < 2.0 < gain.upper


def test_the_step_to_keep_has_the_highest_score_and_the_best_is_a_candidate() -> None:
    result = found(training(RISING, 300), 8)
    highest = max(result.points, key=lambda point: point.score)
    assert (result.keep.step, result.keep.model) == (highest.step, highest.model)
    assert set(result.keep.candidates) >= {result.keep.step}
    assert 1000 not in result.keep.candidates
    assert [point.step for point in result.points if point.can_be_best] == result.keep.candidates
    assert sum(point.first_share for point in result.points) == pytest.approx(1.0)


def test_a_lucky_prefix_is_not_kept() -> None:
    battles = training([0.6, 0.7, 0.95], 400, asked={2: 8})
    result = found(battles, 3)
    assert result.points[2].score > result.points[1].score
    assert result.keep.step == 2000
    assert 3000 in result.keep.candidates
    assert any("on those in common" in warning for warning in result.warnings)


def test_limits_of_a_checkpoint_that_was_stopped_early_hold_at_every_look() -> None:
    battles = training([0.5, 0.6, 0.9], 300, asked={2: 60})
    fixed, early = (found(battles, 3, stopped=stopped) for stopped in ((), ("run-step3000",)))
    assert [point.limits for point in early.points] == ["fixed", "fixed", "any time"]
    assert early.points[2].lower < fixed.points[2].lower
    assert early.points[2].upper > fixed.points[2].upper
    gain = early.points[2].gain
    assert gain is not None
    assert (gain.p_value, gain.verdict) == (None, "better")
    assert early.keep.step == 3000
    assert 1000 not in early.keep.candidates
    assert early.plateau.since is None
    assert any("stopped early at step 3,000" in warning for warning in early.warnings)


def test_the_baseline_can_be_a_checkpoint() -> None:
    battles = training([0.6, 0.7])
    known = [StepModel(BASE, 500), *steps(2)]
    points = curve(battles, OPTIONS, known, rounds=ROUNDS).points
    assert (points[0].score, points[0].lower, points[0].upper, points[0].questions) == (50.0, 50.0, 50.0, 0)
    gain = points[2].gain
    assert gain is not None
    assert (gain.over, gain.verdict) == (500, "better")
    assert gain.difference == pytest.approx(points[2].score - 50.0)


def test_games_against_several_baselines_have_bands_too() -> None:
    battles = BattleBuilder()
    rng = np.random.default_rng(3)
    for question in range(120):
        battles.add(f"q{question}", BASE, "other", float(rng.random() < 0.4))
        for at, share in enumerate((0.4, 0.7)):
            for baseline in (BASE, "other"):
                battles.add(f"q{question}", baseline, f"run-step{1000 * (at + 1)}", float(rng.random() < share))
    result = found(battles.build(), 2)
    assert all(point.lower < point.score < point.upper for point in result.points)
    gain = result.points[1].gain
    assert gain is not None
    assert gain.verdict == "better"
    assert result.keep.candidates == [2000]


def test_checkpoints_without_labels_are_left_out_and_reported() -> None:
    result = curve(training([0.5, 0.6]), OPTIONS, [*steps(2), StepModel("absent", 9000)], rounds=ROUNDS)
    assert [point.step for point in result.points] == [1000, 2000]
    assert any("1 checkpoint" in warning for warning in result.warnings)
    with pytest.raises(RatingError, match="no checkpoint of run"):
        curve(training([0.5]), OPTIONS, [StepModel("absent", 1)], series="run")


@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(4)), seed=st.integers(0, 50))
def test_the_order_in_which_checkpoints_are_named_does_not_matter(order: list[int], seed: int) -> None:
    battles = training([0.4, 0.5, 0.6, 0.6], 50, seed=seed)
    known = steps(4)
    shuffled = curve(battles, OPTIONS, [known[at] for at in order], rounds=ROUNDS)
    straight = curve(battles, OPTIONS, known, rounds=ROUNDS)
    assert msgspec.to_builtins(shuffled) == msgspec.to_builtins(straight)
    for point in straight.points:
        assert 0.0 <= point.lower <= point.score <= point.upper <= 100.0
        if point.gain is not None:
            assert point.gain.lower <= point.gain.difference <= point.gain.upper


def test_critical_values_lie_between_those_of_one_and_of_independent_errors() -> None:
    rng = np.random.default_rng(5)
    one = rng.normal(size=(400, 1))
    joint = JointErrors(8, seed=1)
    alike = critical_value(np.abs(joint.draw(np.repeat(one, 8, axis=1))).max(axis=1), 0.05)
    apart = critical_value(np.abs(joint.draw(rng.normal(size=(400, 8)))).max(axis=1), 0.05)
    assert alike == pytest.approx(1.96, abs=0.05)
    assert apart == pytest.approx(deviate_of((1 - 0.95 ** (1 / 8)) / 2), abs=0.06)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.integers(0, 30))
def test_step_down_p_values_are_at_least_raw_ones_and_at_most_holms(statistics: list[float], seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(200, len(statistics)))
    adjusted = step_down(np.array(statistics), JointErrors(8, seed=1).draw(values))
    raw = [two_sided_p(each, 1e9) for each in statistics]
    for p, alone, by_holm in zip(adjusted, raw, holm(raw), strict=True):
        assert alone - 0.02 <= p <= by_holm + 0.02
