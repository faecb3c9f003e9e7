"""Strengths of models: closed form, regression and Newton's method are one and the same maximum."""

from __future__ import annotations

import numpy as np
import pytest
from battle_builder import BattleBuilder
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.errors import RatingError
from engine.ratings.battles import Battles
from engine.ratings.bradley_terry import components, elo, resampled_win_rates, win_rates
from engine.ratings.estimate import RatingOptions, rate_battles
from engine.ratings.outcomes import OutcomeTable, outcome_table

MODELS = ("anchor", "brick", "cedar", "drift", "ember")

games = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(MODELS), st.sampled_from(MODELS), st.sampled_from((0.0, 0.5, 1.0))),
    min_size=20,
    max_size=120,
)


def battles_of(rows: list[tuple[int, str, str, float]], strong: float = 0.0) -> Battles:
    builder = BattleBuilder()
    for question, model_a, model_b, points in rows:
        builder.add(f"q{question}", model_a, model_b, points, strong=strong)
    return builder.build()


def with_baseline(rows: list[tuple[int, str, str, float]]) -> list[tuple[int, str, str, float]]:
    """The same games with one win and one loss against the baseline for everyone, so that all ratings are finite."""
    anchored = [(0, "anchor", model, points) for model in MODELS[1:] for points in (0.0, 1.0)]
    return anchored + [row for row in rows if row[1] != row[2]]


def sums(table: OutcomeTable) -> tuple[np.ndarray, np.ndarray]:
    return table.won.sum(axis=0)[None], table.total.sum(axis=0)[None]


@given(rows=games)
@settings(max_examples=40, deadline=None)
def test_the_general_fit_satisfies_the_likelihood_equations(rows: list[tuple[int, str, str, float]]) -> None:
    table = outcome_table(battles_of(with_baseline(rows)), "anchor", 3)
    strength = np.log(win_rates(table)) - np.log1p(-win_rates(table))
    won, total = sums(table)
    expected = total[0] / (1 + np.exp(strength[table.pairs[:, 0]] - strength[table.pairs[:, 1]]))
    surplus = np.zeros(len(table.models))
    np.add.at(surplus, table.pairs[:, 1], won[0] - expected)
    np.add.at(surplus, table.pairs[:, 0], expected - won[0])
    assert np.abs(surplus).max() < 1e-6  # every model won exactly what its strength says


@given(rows=games)
@settings(max_examples=25, deadline=None)
def test_the_general_fit_is_sklearns_unpenalised_regression_on_single_rows(
    rows: list[tuple[int, str, str, float]],
) -> None:
    from sklearn.linear_model import LogisticRegression

    anchored = with_baseline(rows)
    assume(any("anchor" not in row[1:3] for row in anchored))
    ours = win_rates(outcome_table(battles_of(anchored), "anchor", 3))

    place = {name: index for index, name in enumerate(MODELS)}
    twice = anchored + anchored
    design = np.zeros((len(twice), len(MODELS)))
    for line, (_, model_a, model_b, _) in enumerate(twice):
        design[line, place[model_b]], design[line, place[model_a]] = 1.0, -1.0
    won_by_b = [points == 1.0 or (points == 0.5 and line < len(anchored)) for line, (*_, points) in enumerate(twice)]
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=10_000)
    strength = fit.fit(design, won_by_b).coef_[0]
    theirs = 1 / (1 + np.exp(strength[0] - strength))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@given(rows=games)
@settings(max_examples=40, deadline=None)
def test_newtons_method_finds_what_the_regression_finds_from_any_start(rows: list[tuple[int, str, str, float]]) -> None:
    table = outcome_table(battles_of(with_baseline(rows)), "anchor", 3)
    far_off = np.linspace(0.001, 0.999, len(table.models))
    np.testing.assert_allclose(resampled_win_rates(table, *sums(table), far_off)[0], win_rates(table), atol=1e-8)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 9), st.just("anchor"), st.sampled_from(MODELS[1:]), st.sampled_from((0.0, 0.5, 1.0))),
        min_size=1,
    )
)
@settings(deadline=None)
def test_against_one_baseline_the_win_rate_is_the_share_of_the_points(rows: list[tuple[int, str, str, float]]) -> None:
    table = outcome_table(battles_of(rows), "anchor", 3)
    assert table.against_baseline_only
    for name, rate in zip(table.models, win_rates(table), strict=True):
        shares = [points for _, _, model, points in rows if model == name]
        assert rate == pytest.approx(np.mean(shares) if shares else 0.5)


def test_the_side_on_which_the_baseline_stands_does_not_matter() -> None:
    rows = [
        (0, "anchor", "brick", 1.0),
        (1, "anchor", "brick", 0.5),
        (2, "anchor", "brick", 0.0),
        (3, "anchor", "brick", 0.0),
    ]
    swapped = [(question, b, a, 1.0 - points) for question, a, b, points in rows]
    rates = [win_rates(outcome_table(battles_of(each), "anchor", 3)) for each in (rows, swapped)]
    np.testing.assert_array_equal(*rates)
    assert rates[0][1] == 0.375


def test_a_strong_verdict_counts_as_many_plain_ones_as_its_weight() -> None:
    builder = BattleBuilder()
    builder.add("q", "anchor", "brick", 1.0, strong=1.0)
    builder.add("q", "anchor", "brick", 0.0)
    battles = builder.build()
    assert win_rates(outcome_table(battles, "anchor", 3))[1] == 0.75
    assert win_rates(outcome_table(battles, "anchor", 1))[1] == 0.5


def test_a_chain_of_models_carries_the_strength_to_the_baseline() -> None:
    three_to_one = [1.0, 1.0, 1.0, 0.0]
    rows = [(q, "anchor", "brick", points) for q, points in enumerate(three_to_one)]
    rows += [(q, "brick", "cedar", points) for q, points in enumerate(three_to_one)]
    rates = win_rates(outcome_table(battles_of(rows), "anchor", 3))
    np.testing.assert_allclose(rates, [0.5, 0.75, 0.9], atol=1e-9)  # odds 3 and 3 x 3


def test_models_that_only_win_or_only_lose_get_the_limits_and_leave_the_others_alone() -> None:
    middle = [(q, "anchor", "brick", points) for q, points in enumerate([1.0, 1.0, 0.0])]
    ends = [(3, "brick", "cedar", 1.0), (3, "drift", "brick", 1.0)]
    table = outcome_table(battles_of(middle + ends), "anchor", 3)
    np.testing.assert_allclose(win_rates(table), [0.5, 2 / 3, 1.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(
        resampled_win_rates(table, *sums(table), np.full(4, 0.5))[0], [0.5, 2 / 3, 1.0, 0.0], atol=1e-9
    )


def test_parts_that_no_game_connects_are_named() -> None:
    rows = [(0, "anchor", "brick", 1.0), (0, "anchor", "brick", 0.0), (1, "cedar", "drift", 0.5)]
    with pytest.raises(RatingError, match="2 parts that no game connects: cedar, drift met neither") as raised:
        rate_battles(battles_of(rows), RatingOptions(baseline="anchor"))
    assert "leave them out" in raised.value.hint
    part = rate_battles(battles_of(rows[2:]), RatingOptions(baseline="cedar"))
    assert part.rate.tolist() == [0.5, 0.5]


def test_models_that_only_ever_meet_over_a_loser_cannot_be_compared() -> None:
    rows = [(0, "brick", "anchor", 1.0), (1, "brick", "cedar", 1.0)]
    with pytest.raises(RatingError, match="do not compare cedar with the baseline anchor: no chain of wins") as raised:
        rate_battles(battles_of(rows), RatingOptions(baseline="anchor"))
    assert "on more questions" in raised.value.hint


@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_components_are_those_that_a_walk_along_the_games_reaches(pairs: list[tuple[int, int]]) -> None:
    part = components(np.array(pairs, dtype=np.int64).reshape(-1, 2), 10)
    for start in range(10):
        reached, new = {start}, {start}
        while new:
            new = {b for a, b in [*pairs, *((b, a) for a, b in pairs)] if a in reached} - reached
            reached |= new
        assert reached == {index for index in range(10) if part[index] == part[start]}


@pytest.mark.parametrize("seed", range(12))
def test_random_designs_come_out_as_in_scikit_learn_to_a_millionth(seed: int) -> None:
    """From sparse to full round robins of up to 15 models, strong verdicts and ties among them."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    models, games = int(rng.integers(3, 16)), int(rng.integers(200, 1500))
    names = [f"m{index:02}" for index in range(models)]
    strength = rng.normal(0.0, rng.uniform(0.2, 1.5), models)
    chain = [(index, index + 1) for index in range(models - 1)]
    pairs = chain + [(a, b) for a in range(models) for b in range(a) if rng.random() < rng.uniform(0.1, 1.0)]
    builder = BattleBuilder()
    rows, won, weights = [], [], []
    for game in range(games):
        a, b = pairs[int(rng.integers(len(pairs)))] if game >= 4 * len(chain) else chain[game % len(chain)]
        chance = 1.0 / (1.0 + np.exp(strength[a] - strength[b]))
        points = (0.0, 0.5, 1.0)[int(rng.random() < chance) + int(rng.random() < chance)]
        strong = float(points != 0.5 and rng.random() < 0.4)
        builder.add(f"q{rng.integers(80)}", names[a], names[b], points, strong=strong)
        row = np.zeros(models)
        row[b], row[a] = 1.0, -1.0
        for outcome, share in ((1, points), (0, 1.0 - points)):
            rows.append(row[1:])
            won.append(outcome)
            weights.append(share * (3.0 if strong else 1.0))
    ours = rate_battles(builder.build(), RatingOptions(baseline="m00", rounds=2)).rate
    assert ((ours > 0.0) & (ours < 1.0)).all(), "the design is to have a finite maximum"
    fit = LogisticRegression(C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    fit.fit(np.array(rows), won, sample_weight=weights)
    theirs = np.concatenate([[0.5], 1.0 / (1.0 + np.exp(-fit.coef_[0]))])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(np.log(ours[1:] / (1.0 - ours[1:])), fit.coef_[0], atol=1e-6)


def test_a_resample_that_loses_the_tie_to_the_baseline_says_nothing_about_the_model() -> None:
    rows = [(0, "anchor", "brick", 1.0), (0, "anchor", "brick", 0.0), (1, "brick", "cedar", 0.5)]
    table = outcome_table(battles_of(rows), "anchor", 3)
    only_first_question = (table.won[:1], table.total[:1])
    rates = resampled_win_rates(table, *only_first_question, win_rates(table))
    np.testing.assert_array_equal(rates[0], [0.5, 0.5, np.nan])


def test_elo_is_400_points_a_factor_of_ten_around_1000() -> None:
    np.testing.assert_allclose(elo(np.array([0.5, 10 / 11, 1 / 11])), [1000.0, 1400.0, 600.0])
    np.testing.assert_array_equal(elo(np.array([1.0, 0.0])), [np.inf, -np.inf])
