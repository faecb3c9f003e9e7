"""Intervals hold what they promise, and depend on nothing but the battles and the seed."""

from __future__ import annotations

import random
from statistics import NormalDist

import numpy as np
import pytest
from battle_builder import BattleBuilder

from engine.errors import Advice, AdviceKind, RatingError
from engine.ratings.battles import Battles
from engine.ratings.estimate import RatingOptions, rate_battles
from engine.ratings.limits import interval, percentiles, resample_questions, resample_rows
from engine.ratings.outcomes import outcome_table


def simulated_verdicts(rng: np.random.Generator, models: int, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the model and strength of the verdict, [models, questions, 2 games], as judges give them.

    Both games of a question see the same difference of quality, and a clear difference makes both verdicts strong:
    so they depend on each other as real ones do.
    """
    quality = rng.normal(0.4, 1.2, size=(models, questions, 1))
    seen = quality + rng.normal(0.0, 0.7, size=(models, questions, 2))
    return np.where(np.abs(seen) < 0.1, 0.5, (seen > 0).astype(float)), (np.abs(seen) > 0.8).astype(float)


def bench_of(points: np.ndarray, strong: np.ndarray) -> Battles:
    """One bench in which every simulated model is judged on its own set of verdicts."""
    models, questions, games = points.shape
    model, question, game = (index.ravel() for index in np.indices(points.shape))
    names = ("baseline", *(f"model-{index:05}" for index in range(models)))
    count = points.size
    return Battles(
        tuple(f"q{index:05}" for index in range(questions)),
        names,
        ("judge",),
        question,
        np.zeros(count, dtype=np.int64),
        model + 1,
        np.zeros(count, dtype=np.int64),
        game + 1 if games > 1 else np.ones(count, dtype=np.int64),
        points.ravel(),
        strong.ravel(),
    )


@pytest.fixture(scope="module")
def many_benches() -> tuple[Battles, float]:
    """1,200 independent benches of 100 questions as models of one, and the win rate that all of them estimate."""
    rng = np.random.default_rng(7)
    points, strong = simulated_verdicts(rng, 1, 1_000_000)
    weight = 1 + 2 * strong
    truth = float((weight * points).sum() / weight.sum())
    return bench_of(*simulated_verdicts(rng, 1200, 100)), truth


def share_covered(battles: Battles, truth: float, options: RatingOptions) -> float:
    ratings = rate_battles(battles, options)
    return float(np.mean((ratings.lower[1:] <= truth) & (truth <= ratings.upper[1:])))


def test_intervals_over_questions_cover_the_truth_as_often_as_they_say(many_benches: tuple[Battles, float]) -> None:
    battles, truth = many_benches
    assert share_covered(battles, truth, RatingOptions(baseline="baseline", rounds=500)) == pytest.approx(
        0.95, abs=0.02
    )


def test_intervals_over_rows_do_not(many_benches: tuple[Battles, float]) -> None:
    battles, truth = many_benches
    few = battles.where(battles.model_b <= 300)
    assert share_covered(few, truth, RatingOptions(baseline="baseline", rounds=300, ci="battle")) < 0.8


def test_resampled_rows_scatter_as_drawing_the_rows_one_by_one_does() -> None:
    points, strong = simulated_verdicts(np.random.default_rng(3), 2, 40)
    battles = bench_of(points, strong)
    table = outcome_table(battles, "baseline", 3)
    ours = np.concatenate([won / total for won, total in resample_rows(table, battles, 3, 4000, seed=1)])

    repeats = (1 + 2 * battles.strong).astype(int)
    row_model, row_points = np.repeat(battles.model_b, repeats), np.repeat(battles.points, repeats)
    drawn = np.random.default_rng(2).integers(0, len(row_model), size=(4000, len(row_model)))
    for column, model in enumerate((1, 2)):
        mine = row_model[drawn] == model
        one_by_one = (mine * row_points[drawn]).sum(axis=1) / mine.sum(axis=1)
        assert ours[:, column].mean() == pytest.approx(one_by_one.mean(), abs=0.004)
        assert ours[:, column].std() == pytest.approx(one_by_one.std(), rel=0.06)


def test_resampled_questions_are_whole_questions() -> None:
    table = outcome_table(bench_of(*simulated_verdicts(np.random.default_rng(5), 3, 12)), "baseline", 3)
    for won, total in resample_questions(table, 50, seed=0):
        for round_won, round_total in zip(won, total, strict=True):
            times, *_ = np.linalg.lstsq(
                np.concatenate([table.won, table.total], axis=1).T,
                np.concatenate([round_won, round_total]),
                rcond=None,
            )
            reproduced = times @ table.total
            np.testing.assert_allclose(reproduced, round_total, atol=1e-6)
        assert total.shape == (50, 3)


def test_rounds_beyond_one_chunk_of_memory_all_come() -> None:
    table = outcome_table(bench_of(*simulated_verdicts(np.random.default_rng(5), 1, 3000)), "baseline", 3)
    sizes = [len(won) for won, _ in resample_questions(table, 3000, seed=0)]
    assert sum(sizes) == 3000
    assert len(sizes) > 1


def test_the_same_seed_gives_the_same_limits_whatever_the_order_of_the_games() -> None:
    points, strong = simulated_verdicts(np.random.default_rng(11), 4, 30)
    battles = bench_of(points, strong)
    games = list(zip(battles.question, battles.model_b, battles.points, battles.strong, strict=True))
    random.Random(1).shuffle(games)
    builder = BattleBuilder()
    for question, model, won, is_strong in games:
        builder.add(battles.questions[question], "baseline", battles.models[model], won, strong=is_strong)
    for ci in ("question", "battle"):
        options = RatingOptions(baseline="baseline", ci=ci)
        straight, shuffled = rate_battles(battles, options), rate_battles(builder.build(), options)
        np.testing.assert_array_equal(straight.lower, shuffled.lower)
        np.testing.assert_array_equal(straight.upper, shuffled.upper)
        other_seed = rate_battles(battles, RatingOptions(baseline="baseline", ci=ci, seed=1))
        assert not np.array_equal(straight.resampled, other_seed.resampled)
        assert np.array_equal(straight.lower, other_seed.lower) == (ci == "question")


def test_another_model_on_the_same_questions_does_not_move_the_limits_of_the_first() -> None:
    points, strong = simulated_verdicts(np.random.default_rng(13), 2, 40)
    both = rate_battles(bench_of(points, strong), RatingOptions(baseline="baseline"))
    alone = rate_battles(bench_of(points[:1], strong[:1]), RatingOptions(baseline="baseline"))
    assert both.lower[1] == alone.lower[1]
    assert both.upper[1] == alone.upper[1]


def test_a_model_that_wins_everything_gets_the_exact_lower_limit() -> None:
    builder = BattleBuilder()
    for question in range(20):
        for game in (1, 2):
            builder.add(f"q{question}", "baseline", "winner", 1.0, game=game)
            builder.add(f"q{question}", "baseline", "loser", 0.0, game=game)
    exact = 0.025 ** (1 / 20)  # of 20 trials all successes, whose 95 % interval is known in closed form
    with_strong_losses = exact / (exact + 3 * (1 - exact))  # as the rest of the questions may have
    for weight, expected in ((1, exact), (3, with_strong_losses)):
        ratings = rate_battles(builder.build(), RatingOptions(baseline="baseline", weight=weight))
        assert dict(zip(ratings.models, zip(ratings.lower, ratings.upper, strict=True), strict=True)) == {
            "baseline": (0.5, 0.5),
            "loser": (0.0, pytest.approx(1 - expected, abs=0.005)),
            "winner": (pytest.approx(expected, abs=0.005), 1.0),
        }


def test_a_general_table_gets_intervals_over_questions_too() -> None:
    points, strong = simulated_verdicts(np.random.default_rng(17), 3, 60)
    direct = bench_of(points, strong)
    builder = BattleBuilder()
    for index in range(len(direct)):
        question, model = direct.questions[direct.question[index]], direct.models[direct.model_b[index]]
        builder.add(question, "baseline", model, direct.points[index], strong=direct.strong[index])
        builder.add(question, "model-00000", "model-00001", float(index % 3 == 0))
    ratings = rate_battles(builder.build(), RatingOptions(baseline="baseline", rounds=200))
    assert not ratings.table.against_baseline_only
    assert np.all(ratings.lower[1:] < ratings.rate[1:])
    assert np.all(ratings.rate[1:] < ratings.upper[1:])
    assert ratings.resampled.mean(axis=0) == pytest.approx(ratings.rate, abs=0.02)


def test_rounds_that_say_nothing_about_a_model_are_passed_over() -> None:
    rounds = np.array([[0.1, np.nan, np.nan], [0.2, 0.4, np.nan], [0.3, 0.6, np.nan]])
    lower, upper = interval(rounds)
    np.testing.assert_allclose(lower, [0.105, 0.405, np.nan])
    np.testing.assert_allclose(upper, [0.295, 0.595, np.nan])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RatingOptions(baseline="baseline", rounds=0), "0 bootstrap rounds"),
        (RatingOptions(baseline="baseline", weight=0), "strong label out of range: 0"),
        (RatingOptions(baseline="baseline", seed=-1), "seed out of range: -1"),
        (RatingOptions(baseline="elsewhere"), "no battle has the baseline elsewhere"),
    ],
)
def test_options_that_cannot_work_are_refused_in_words(options: RatingOptions, words: str) -> None:
    battles = bench_of(*simulated_verdicts(np.random.default_rng(1), 1, 5))
    with pytest.raises(RatingError, match=words) as raised:
        rate_battles(battles, options)
    assert raised.value.hint


def test_without_a_single_verdict_there_is_no_rating() -> None:
    builder = BattleBuilder()
    builder.add("q1", "baseline", "model", float("nan"), game=1)
    builder.add("q2", "baseline", "baseline", 1.0, game=1)
    with pytest.raises(RatingError, match="no game between two models has a label") as raised:
        rate_battles(builder.build(), RatingOptions(baseline="baseline"))
    assert isinstance(raised.value.hint, Advice)
    assert "all 1 games are unparsed" in raised.value.hint
    assert raised.value.hint.kinds == (AdviceKind.REFRESH_UNPARSED,)


def test_limits_from_few_questions_reach_further_into_the_tails() -> None:
    assert percentiles(None) == (2.5, 97.5)
    assert percentiles(100_000)[0] == pytest.approx(2.5, abs=1e-3)
    lower, upper = percentiles(20)
    assert lower == pytest.approx(100 * NormalDist().cdf(-2.093 * (20 / 19) ** 0.5), abs=0.01)
    assert lower + upper == pytest.approx(100.0)
    resampled = np.linspace(0.0, 1.0, 1001)[:, None]
    assert interval(resampled, 20)[0][0] == pytest.approx(lower / 100)


@pytest.mark.parametrize("questions", [1, 40])
@pytest.mark.parametrize("ci", ["question", "battle", "sandwich"])
def test_games_that_are_all_alike_leave_limits_a_width(ci: str, questions: int) -> None:
    ties = bench_of(np.full((1, questions, 2), 0.5), np.zeros((1, questions, 2)))
    rated = rate_battles(ties, RatingOptions(baseline="baseline", rounds=100, ci=ci))
    model = rated.models.index("model-00000")
    assert rated.lower[model] < rated.rate[model] - 0.01
    assert rated.upper[model] > rated.rate[model] + 0.01
    assert rated.lower[rated.models.index("baseline")] == rated.upper[rated.models.index("baseline")]
