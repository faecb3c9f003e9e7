"""Limits of scores are never narrower than the data allow, and hold the truth where rare losses are strong ones."""

from __future__ import annotations

import numpy as np
import pytest

from engine.ratings.score_limits import ratio_limits, ratio_limits_of_kinds, unseen_limits


def column(*questions: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    points = np.array(questions, dtype=np.float64)
    return points[:, :1], points[:, 1:]


@pytest.mark.parametrize("questions", [1, 2, 12, 30, 1000])
@pytest.mark.parametrize("kind", [(1.0, 2.0), (2.0, 2.0), (0.0, 2.0), (6.0, 6.0), (3.0, 4.0)])
def test_questions_that_are_all_alike_leave_room_for_others(questions: int, kind: tuple[float, float]) -> None:
    won, total = column(*[kind] * questions)
    lower, upper = ratio_limits(won, total, np.array([6.0]))
    rate = kind[0] / kind[1]
    unseen = 1.0 - 0.025 ** (1.0 / questions)  # the exact limit of Clopper and Pearson for none in so many
    assert lower[0] <= rate * (1 - unseen) * kind[1] / ((1 - unseen) * kind[1] + 6.0 * unseen) + 1e-9
    assert 0.0 <= lower[0] <= rate <= upper[0] <= 1.0
    assert upper[0] - lower[0] > 0.5 / questions


def test_limits_of_wins_and_losses_are_nearly_those_of_clopper_and_pearson() -> None:
    won, total = column(*[(1.0, 1.0)] * 27, *[(0.0, 1.0)] * 3)
    lower, upper = ratio_limits(won, total, np.array([1.0]))
    assert (lower[0], upper[0]) == pytest.approx((0.7347, 0.9789), abs=0.01)


def test_swapping_the_sides_mirrors_the_limits() -> None:
    rng = np.random.default_rng(1)
    total = rng.integers(1, 7, (40, 3)).astype(float)
    won = total * rng.integers(0, 2, total.shape)
    lower, upper = ratio_limits(won, total, np.full(3, 6.0))
    other_lower, other_upper = ratio_limits(total - won, total, np.full(3, 6.0))
    np.testing.assert_allclose((other_lower, other_upper), (1 - upper, 1 - lower), atol=1e-6)


def test_expected_points_have_the_limits_that_labels_have() -> None:
    rng = np.random.default_rng(2)
    total = rng.integers(1, 7, (80, 2)).astype(float)
    won = total * rng.integers(0, 3, total.shape) / 2.0
    by_label = ratio_limits(won, total, np.full(2, 6.0))
    slightly_off = ratio_limits(won * (1 - 1e-9), total, np.full(2, 6.0))
    np.testing.assert_allclose(by_label, slightly_off, atol=1e-6)


def test_what_was_not_played_has_no_limits_and_moves_no_others() -> None:
    won, total = column((2.0, 2.0), (1.0, 2.0), (0.0, 2.0))
    lower, upper = ratio_limits(np.hstack([won, 0 * won]), np.hstack([total, 0 * total]), np.array([6.0, 0.0]))
    assert np.isnan([lower[1], upper[1]]).all()
    assert (lower[0], upper[0]) == pytest.approx(np.ravel(ratio_limits(won, total, np.array([6.0]))))


def test_limits_move_smoothly_to_the_ends() -> None:
    lowers = []
    for losses in range(5):
        won, total = column(*[(2.0, 2.0)] * (100 - losses), *[(0.0, 6.0)] * losses)
        lowers.append(float(ratio_limits(won, total, np.array([6.0]))[0][0]))
    assert lowers == sorted(lowers, reverse=True)


@pytest.mark.parametrize(
    ("usual", "score", "questions"),
    [((2.0, 2.0), 0.8, 30), ((2.0, 2.0), 0.95, 30), ((2.0, 2.0), 0.99, 100), ((1.0, 2.0), 0.45, 30)],
)
def test_rare_strong_losses_are_expected_before_they_are_seen(
    usual: tuple[float, float], score: float, questions: int
) -> None:
    # usual * (1 - rare) : 6 * rare points are played for, none of the latter won
    won, total = usual
    rare = (won - score * total) / (won - score * total + 6.0 * score)
    counts = np.random.default_rng(3).binomial(questions, rare, 1000).astype(float)
    lower, upper = ratio_limits_of_kinds(
        np.array([[won], [0.0]]), np.array([[total], [6.0]]), np.stack([questions - counts, counts]), np.full(1000, 6.0)
    )
    assert np.mean((lower <= score) & (score <= upper)) > 0.935


def test_unseen_questions_are_bounded_exactly() -> None:
    one, two = np.array([1.0]), np.array([2.0])
    below, above = unseen_limits(one, two, np.array([20.0]), two)
    assert (below[0], above[0]) == pytest.approx((0.025**0.05, 1.0))
