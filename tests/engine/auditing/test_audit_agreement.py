"""Agreement beyond chance, and scores corrected by what people say."""

from __future__ import annotations

import numpy as np
import pytest
from battle_builder import BattleBuilder
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from engine.auditing.agreement import agreement, judge_agreements
from engine.auditing.intervals import QuestionResampler
from engine.auditing.people import LEAST_TO_CORRECT, PeopleLabels, corrected_limits, corrected_score, people_report
from engine.ratings.battles import Battles
from engine.ratings.estimate import RatingOptions
from engine.ratings.limits import student_quantile

VERDICTS = st.integers(-2, 2)


@given(st.lists(st.tuples(VERDICTS, VERDICTS), min_size=2, max_size=60))
def test_kappa_is_that_of_scikit_learn(ratings: list[tuple[int, int]]) -> None:
    first, second = np.array(ratings, dtype=np.float64).T
    question = np.arange(len(ratings)) // 2
    found = agreement(question, first, second, QuestionResampler(int(question.max()) + 1, 20, 1))
    assert found is not None
    if len(set(np.sign(first)) | set(np.sign(second))) > 1:
        assert found.kappa.value == pytest.approx(cohen_kappa_score(np.sign(first), np.sign(second)))
    else:
        assert found.kappa.value is None
    if len(set(first) | set(second)) > 1:
        assert found.weighted_kappa is not None
        five = cohen_kappa_score(first, second, labels=[-2, -1, 0, 1, 2], weights="quadratic")
        assert found.weighted_kappa.value == pytest.approx(five)
    assert found.same_winner.value == pytest.approx(100 * np.mean(np.sign(first) == np.sign(second)))


def two_judges(noise: float) -> Battles:
    rng = np.random.default_rng(1)
    builder = BattleBuilder()
    for number in range(300):
        for game in (1, 2):
            truth = float(rng.random() < 0.6)
            for judge in ("one", "two"):
                told = truth if rng.random() > noise else float(rng.random() < 0.5)
                builder.add(f"q{number}", "base", "m", told, game=game, judge=judge)
    return builder.build()


@pytest.mark.parametrize(("noise", "low", "high"), [(0.0, 0.999, 1.001), (1.0, -0.12, 0.12), (0.3, 0.4, 0.6)])
def test_judges_are_compared_game_by_game(noise: float, low: float, high: float) -> None:
    battles = two_judges(noise)
    (found,) = judge_agreements(battles, QuestionResampler(300, 200, 1))
    assert (found.judge, found.other, found.agreement.games) == ("one", "two", 600)
    assert found.agreement.kappa.value is not None
    assert low <= found.agreement.kappa.value <= high


def test_judges_of_different_games_are_not_compared() -> None:
    builder = BattleBuilder()
    builder.add("q1", "base", "m", 1.0, game=1, judge="one")
    builder.add("q1", "base", "m", 1.0, game=2, judge="two")
    battles = builder.build()
    assert judge_agreements(battles, QuestionResampler(1, 20, 1)) == []


@pytest.mark.parametrize(("freedom", "expected"), [(5, 2.5706), (9, 2.2622), (29, 2.0452), (500, 1.9647)])
def test_quantiles_of_students_t(freedom: int, expected: float) -> None:
    assert student_quantile(freedom) == pytest.approx(expected, rel=3e-3)


def bench_of(questions: int, labelled: int, seed: int, generosity: float = 0.25) -> tuple[np.ndarray, ...]:
    """Points that people would give (truth), those they gave on some questions, and a generous judge's on all."""
    rng = np.random.default_rng(seed)
    likely = rng.beta(1.5, 1.5, questions)
    truth = (rng.random(questions) < likely).astype(float)
    judge = np.maximum(truth, (rng.random(questions) < generosity).astype(float))
    weight = np.zeros(questions)
    weight[rng.choice(questions, labelled, replace=False)] = 1.0
    return truth, truth * weight, weight, 2 * judge, np.full(questions, 2.0)


def test_labels_on_everything_leave_the_judge_no_say() -> None:
    truth, people, weight, judge, judge_weight = bench_of(200, 200, seed=1)
    score, error, _ = corrected_score(people, weight, judge, judge_weight)
    assert score == pytest.approx(truth.mean())
    assert error == pytest.approx(truth.std(ddof=1) / np.sqrt(200))


def test_a_generous_judge_is_corrected_and_still_makes_the_interval_narrower() -> None:
    scores, narrower = [], []
    for seed in range(200):
        _, people, weight, judge, judge_weight = bench_of(500, 80, seed)
        score, error, share = corrected_score(people, weight, judge, judge_weight)
        labels = people[weight > 0]
        scores.append(score)
        narrower.append(error / (labels.std(ddof=1) / np.sqrt(80)))
        assert 0 <= share <= 1
        assert judge.sum() / judge_weight.sum() > 0.55
    assert np.mean(scores) == pytest.approx(0.5, abs=0.01)
    assert np.mean(narrower) < 0.85


def test_a_judge_that_knows_nothing_gets_no_weight() -> None:
    rng = np.random.default_rng(2)
    weight = np.zeros(2000)
    weight[:1000] = 1.0
    people = (rng.random(2000) < 0.3) * weight
    _, _, share = corrected_score(people, weight, (rng.random(2000) < 0.5) * 1.0, np.ones(2000))
    assert share < 0.1


def test_corrected_intervals_cover_what_people_would_have_said() -> None:
    """A small version of benchmarks/audit_coverage.py; 95 % of 400 is 380, with a standard deviation of 4.4."""
    covered = 0
    for seed in range(400):
        _, people, weight, judge, judge_weight = bench_of(400, 40, seed)
        score, error, _ = corrected_score(people, weight, judge, judge_weight)
        half = student_quantile(39) * error
        covered += score - half <= 0.5 <= score + half
    assert 364 <= covered <= 396


def judged(questions: int = 60) -> Battles:
    """A judge that always prefers the model, strongly in every other question."""
    builder = BattleBuilder()
    for number in range(questions):
        for game in (1, 2):
            builder.add(f"q{number:03}", "base", "m", 1.0, strong=float(number % 2), game=game)
    return builder.build()


def labels_on(battles: Battles, count: int, points: float) -> PeopleLabels:
    model = battles.models.index("m")
    game = np.arange(count) % 2 + 1
    return PeopleLabels(np.arange(count), np.full(count, model), game, np.full(count, points), np.zeros(count))


def test_people_are_compared_with_the_judge_on_the_games_that_they_saw() -> None:
    battles = judged()
    report = people_report(
        battles, RatingOptions(baseline="base"), labels_on(battles, 20, 0.0), QuestionResampler(60, 50, 1)
    )
    assert report is not None
    assert report.labels == 20
    assert report.agreement is not None
    assert report.agreement.same_winner.value == 0.0
    assert report.too_generous.value == 100.0
    (row,) = report.models
    assert row.judged == 100.0
    assert row.corrected.value == pytest.approx(0.0, abs=1e-9)


def test_a_few_labels_give_no_corrected_score() -> None:
    battles = judged()
    few = labels_on(battles, LEAST_TO_CORRECT - 1, 1.0)
    report = people_report(battles, RatingOptions(baseline="base"), few, QuestionResampler(60, 50, 1))
    assert report is not None
    assert not report.models[0].corrected.known


def test_labels_on_what_was_never_judged_are_nothing_to_compare_with() -> None:
    battles = judged()
    none = PeopleLabels(*(np.empty(0, dtype=np.int64) for _ in range(3)), np.empty(0), np.empty(0))
    assert people_report(battles, RatingOptions(baseline="base"), none, QuestionResampler(60, 50, 1)) is None


@pytest.mark.parametrize("share_won", [0.5, 0.9, 0.98, 0.995])
@pytest.mark.parametrize("labels", [10, 12, 30])
def test_limits_of_corrected_scores_hold_at_few_labels_and_high_scores(share_won: float, labels: int) -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        merit = rng.random(300)
        people, judge = (merit < share_won) * 1.0, (merit + 0.05 * rng.normal(size=300) < share_won) * 1.0
        chosen = np.zeros(300)
        chosen[rng.choice(300, labels, replace=False)] = 1.0
        lower, upper = corrected_limits(people * chosen, chosen, judge, np.ones(300), 3.0)
        held += lower <= share_won <= upper
        assert upper - lower > 0.01
    assert held >= 184, held


def test_twelve_labels_that_all_agree_leave_room_for_others() -> None:
    battles = judged()
    labels = labels_on(battles, 12, 1.0)
    report = people_report(battles, RatingOptions(baseline="base"), labels, QuestionResampler(60, 50, 1))
    assert report is not None
    (row,) = report.models
    for estimate in (row.labelled, row.corrected):
        assert estimate.value == pytest.approx(100.0)
        assert estimate.lower is not None
        assert estimate.lower < 75.0
    assert report.too_generous.lower is not None
    assert report.too_generous.lower < -1.0
