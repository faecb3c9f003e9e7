"""The split of noise into questions, answers and the judge: exact where it can be computed, right on average."""

from __future__ import annotations

from statistics import fmean, variance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RatingError
from engine.ratings.battles import Battles, battles_from_labels
from engine.ratings.estimate import BenchFacts, RatingOptions, rate_battles
from engine.ratings.noise import noise_report
from engine.ratings.variance import JudgmentValues, half_width, judgment_values, variance_components
from engine.repeats import Replicate, parse_repeats


def values_of(rows: list[tuple[int, int, int, float]]) -> JudgmentValues:
    question, choice, repeat = (np.array([row[at] for row in rows], dtype=np.int64) for at in range(3))
    return JudgmentValues(question, choice, repeat, np.array([row[3] for row in rows], dtype=np.float64))


@st.composite
def benches(draw: st.DrawFn) -> list[tuple[int, int, int, float]]:
    """Two questions or more with one to three answers of one to three judgments; the first has two of both."""
    number = st.floats(-1.0, 1.0).map(lambda value: round(value, 3))
    rows = [(0, 0, 0, draw(number)), (0, 0, 1, draw(number)), (0, 1, 0, draw(number))]
    for question in range(1, draw(st.integers(2, 7))):
        for choice in range(draw(st.integers(1, 3))):
            rows += [(question, choice, repeat, draw(number)) for repeat in range(draw(st.integers(1, 3)))]
    return rows


@given(benches(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_components_follow_the_scale_and_neither_the_place_nor_the_order_of_values(rows, random):
    found = variance_components(values_of(rows), rounds=2)
    moved = [(question + 5, choice, repeat, 10.0 * value + 3.0) for question, choice, repeat, value in rows]
    random.shuffle(moved)
    other = variance_components(values_of(moved), rounds=2)
    assert other.raw == pytest.approx([100.0 * (each or 0.0) for each in found.raw], abs=1e-9)
    assert other.total == pytest.approx(100.0 * found.total, abs=1e-9)
    assert (other.answers, other.judgments) == pytest.approx((found.answers, found.judgments))


@given(benches())
@settings(max_examples=60, deadline=None)
def test_the_parts_add_up_to_the_clustered_variance_of_question_means(rows):
    found = variance_components(values_of(rows), rounds=2)
    by_answer: dict[tuple[int, int], list[float]] = {}
    for question, choice, _, value in rows:
        by_answer.setdefault((question, choice), []).append(value)
    by_question: dict[int, list[float]] = {}
    for (question, _), said in by_answer.items():
        by_question.setdefault(question, []).append(fmean(said))
    assert found.total == pytest.approx(variance(map(fmean, by_question.values())), abs=1e-12)
    assert sum(found.parts) >= found.total - 1e-12
    if found.question > 0.0:
        assert sum(found.parts) == pytest.approx(found.total)
    assert min(found.parts) >= 0.0
    assert all((low or 0.0) <= (high or 0.0) for low, high in zip(found.lower, found.upper, strict=True))


def test_a_balanced_design_gives_the_mean_squares_of_the_textbook():
    rng = np.random.default_rng(3)
    table = rng.normal(size=(12, 3, 4)) + rng.normal(size=(12, 3, 1)) + rng.normal(size=(12, 1, 1))
    rows = [(q, c, r, float(table[q, c, r])) for q in range(12) for c in range(3) for r in range(4)]
    found = variance_components(values_of(rows), rounds=2)
    cells, results = table.mean(axis=2), table.mean(axis=(1, 2))
    of_judge = ((table - cells[:, :, None]) ** 2).sum() / (12 * 3 * 3)
    of_answers = 4 * ((cells - results[:, None]) ** 2).sum() / (12 * 2)
    of_questions = 12 * results.var(ddof=1)
    wanted = (of_questions - of_answers) / 12, (of_answers - of_judge) / 4, of_judge
    assert found.raw == pytest.approx(wanted)
    assert (found.answers, found.judgments) == pytest.approx((3.0, 12.0))


@pytest.mark.parametrize("repeats", ["3", "2x2", "5x1", "1x3"])
def test_estimates_are_right_on_average_with_lost_judgments_too(repeats):
    rng = np.random.default_rng(11)
    truth = np.array([0.09, 0.04, 0.06])
    replicates = np.array(parse_repeats(repeats).replicates(9))
    found = []
    for _ in range(300):
        value = rng.exponential(0.3, (60, 1)) + rng.normal(0.0, 0.2, (60, 9))[:, replicates[:, 0]]
        value = (value + rng.normal(0.0, truth[2] ** 0.5, value.shape)).ravel()
        kept = rng.uniform(size=len(value)) > 0.1
        question = np.repeat(np.arange(60), len(replicates))[kept]
        choice, repeat = np.tile(replicates, (60, 1)).T[:, kept]
        got = variance_components(JudgmentValues(question, choice, repeat, value[kept]), rounds=1)
        found.append([each or 0.0 for each in got.raw])
    question, answer, judge = np.mean(found, axis=0)
    if repeats == "5x1":  # the judge's noise is part of that of answers
        assert answer == pytest.approx(truth[1] + truth[2], rel=0.1)
        assert question == pytest.approx(truth[0], rel=0.1)
    elif repeats == "1x3":  # that of answers is part of the questions'
        assert question == pytest.approx(truth[0] + truth[1], rel=0.1)
        assert judge == pytest.approx(truth[2], rel=0.1)
    else:
        assert (question, answer, judge) == pytest.approx(truth, rel=0.1)


def test_without_repeats_nothing_is_split_and_the_hint_says_what_to_do():
    with pytest.raises(RatingError, match="no question here has a second answer") as raised:
        variance_components(values_of([(0, 0, 0, 1.0), (1, 0, 0, 0.0)]))
    assert "again" in raised.value.hint


def test_an_estimate_below_zero_is_set_to_zero_and_said():
    rows = [(q, 0, r, value) for q in range(40) for r, value in enumerate((0.0, 1.0))]  # no question differs
    rows[0] = (0, 0, 0, 0.1)
    found = variance_components(values_of(rows), rounds=50)
    assert (found.raw[0] < 0.0, found.question, found.lower[0]) == (True, 0.0, 0.0)


def drawn_battles(rng: np.random.Generator, questions: int, replicates: list[Replicate]) -> Battles:
    """Games of models `one` and `two` against `base`, with noise of all kinds."""
    rows = []
    for question in range(questions):
        easy = rng.normal(0.0, 0.7)
        for model, skill in ((1, 0.3), (2, -0.2)):
            of_answer = rng.normal(0.0, 0.5, 10)
            for choice, repeat in replicates:
                for game in (1, 2):
                    lead = easy + skill + of_answer[choice] + rng.normal(0.0, 0.6)
                    label = int(np.clip(round(2 + (lead if game == 1 else -lead)), 0, 4))
                    rows.append((question, model, choice, repeat, game, label))
    question, model, choice, repeat, game, label = np.array(rows).T
    names = [f"q{n:03d}" for n in range(questions)], ["base", "one", "two"], ["judge"]
    judge = np.zeros(len(rows), dtype=np.int64)
    how = {"question": question, "model": model, "baseline": 0, "judge": judge, "game": game, "label": label}
    return battles_from_labels(*names, **how, choice=choice, repeat=repeat)


def test_the_values_of_judgments_average_to_the_influence_that_the_interval_rests_on():
    battles = drawn_battles(np.random.default_rng(5), 120, parse_repeats("3").replicates(3))
    options = RatingOptions(baseline="base", ci="sandwich", rounds=1)
    rated = rate_battles(battles, options)
    report = noise_report(battles, options, BenchFacts(name="drawn"))
    for row in report.rows:
        at = rated.models.index(row.model)
        width = 50.0 * float(rated.upper[at] - rated.lower[at])
        assert row.half_width == pytest.approx(width, rel=0.02)
        assert sum(each.share for each in row.sources) == pytest.approx(1.0)
        assert sum(each.half_width**2 for each in row.sources) == pytest.approx(row.half_width**2, rel=1e-6)


def test_the_difference_of_two_models_leaves_out_what_they_have_in_common():
    battles = drawn_battles(np.random.default_rng(6), 200, parse_repeats("2x2").replicates(2))
    options = RatingOptions(baseline="base", rounds=1)
    of_one, of_two = (judgment_values(battles, name, "base", 3) for name in ("one", "two"))
    found = variance_components(of_one.minus(of_two), rounds=1)
    single = variance_components(of_one, rounds=1)
    assert found.question < 0.3 * single.question, "the ease of a question is common to both"
    assert found.judge == pytest.approx(2.0 * (single.judge or 0.0), rel=0.3)
    (row,) = noise_report(battles, options, BenchFacts(name="drawn"), ["one", "two"]).rows
    assert row.half_width == pytest.approx(100.0 * half_width(found.total, 200))


@given(st.integers(0, 1000), st.sampled_from(["1", "2", "3", "2x2", "1x3"]))
@settings(max_examples=30, deadline=None)
def test_games_of_a_question_share_the_weight_of_one_judgment(seed, repeats):
    rng = np.random.default_rng(seed)
    battles = drawn_battles(rng, 5, parse_repeats(repeats).replicates(3))
    assert battles.choice is not None
    assert battles.repeat is not None
    code = ((battles.question * 3 + battles.model_b) * 10 + battles.choice) * 10 + battles.repeat
    lost = np.unique(code)[rng.uniform(size=len(np.unique(code))) > 0.6]
    is_first = (battles.choice == 0) & (battles.repeat == 0)
    kept = battles.where(is_first | ~np.isin(code, lost))
    assert kept.choice is not None
    weights = np.bincount(kept.question * 3 + kept.model_b, kept.shares)
    assert weights[weights > 0] == pytest.approx(np.full(10, 2.0))
    of_answers = np.bincount((kept.question * 3 + kept.model_b) * 10 + kept.choice, kept.shares, 150).reshape(-1, 10)
    for answers in of_answers[of_answers.sum(axis=1) > 0]:
        assert answers[answers > 0] == pytest.approx(np.full((answers > 0).sum(), 2.0 / (answers > 0).sum()))
