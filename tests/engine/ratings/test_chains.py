"""A model that won every chain of games is as certain as the weakest link of it."""

from __future__ import annotations

import numpy as np
import pytest
from battle_builder import BattleBuilder
from scipy import stats

from engine.ratings.chains import chain_limits, chain_p_value
from engine.ratings.compare import compare
from engine.ratings.estimate import BenchFacts, RatingOptions, rate_battles
from engine.ratings.outcomes import OutcomeTable

B, X, Y = range(3)


def table(*links: tuple[int, int, int, int]) -> OutcomeTable:
    """Links (opponent, model, won, played), each on questions of its own."""
    questions = sum(played for *_, played in links)
    won, total = np.zeros((questions, len(links))), np.zeros((questions, len(links)))
    begin = 0
    for column, (_, _, wins, played) in enumerate(links):
        total[begin : begin + played, column] = 2.0
        won[begin : begin + wins, column] = 2.0
        begin += played
    return OutcomeTable(("b", "x", "y"), np.array([link[:2] for link in links]), won, total, B)


def lower_limit(played: OutcomeTable) -> float:
    nothing = np.array([0.5, 1.0, 1.0]), np.array([0.5, 1.0, 1.0])
    return float(chain_limits(played, np.array([0.5, 1.0, 0.5]), nothing)[0][X])


def test_wins_over_the_baseline_have_the_sign_test_and_the_exact_limit() -> None:
    assert chain_p_value(table((B, X, 5, 5)), X, B) == pytest.approx(2 * 0.5**5, rel=1e-4)
    assert lower_limit(table((B, X, 40, 40))) == pytest.approx(0.025 ** (1 / 40), abs=1e-6)


def test_a_chain_proves_no_more_than_its_weaker_link() -> None:
    alone = chain_p_value(table((B, X, 5, 5)), X, B)
    assert chain_p_value(table((Y, X, 5, 5), (B, Y, 500, 1000)), X, B) == pytest.approx(alone, rel=0.05)
    both = chain_p_value(table((Y, X, 5, 5), (B, Y, 5, 5)), X, B)
    assert both == pytest.approx(2 * 0.25**5, rel=1e-3)  # evenly strong, all ten games are as likely to be lost


@pytest.mark.parametrize("won", [2, 8, 12])
def test_wins_over_a_poor_model_prove_as_little_as_its_exact_comparison_with_the_baseline(won: int) -> None:
    weak = table((Y, X, 40, 40), (B, Y, won, 40))
    exact = stats.fisher_exact([[0, 40], [won, 40 - won]]).pvalue
    assert chain_p_value(weak, X, B) == pytest.approx(exact, rel=0.15)
    assert (lower_limit(weak) > 0.5) == (exact < 0.05)
    assert lower_limit(weak) < 0.8 < 0.025 ** (1 / 40)


def test_ratings_and_comparisons_of_an_indirect_chain_count_the_uncertainty_of_what_connects_it() -> None:
    builder = BattleBuilder()
    for question in range(40):
        for game in (1, 2):
            builder.add(f"q{question}", "base", "middle", float(question % 5 == 0), game=game)
            builder.add(f"q{question}", "middle", "top", 1.0, game=game)
            builder.add(f"q{question}", "base", "low", 0.0, game=game)
    battles, options = builder.build(), RatingOptions(baseline="base", rounds=200)
    ratings = rate_battles(battles, options)
    top, low = ratings.models.index("top"), ratings.models.index("low")
    assert (ratings.rate[top], ratings.rate[low]) == (1.0, 0.0)
    assert 0.5 < ratings.lower[top] < 0.75
    assert ratings.upper[low] >= 1.0 - 0.025 ** (1 / 40)
    (pair,) = compare(battles, options, BenchFacts(name="bench"), ["top", "base"]).pairs
    assert 0.001 < pair.p_value < 0.02
    assert pair.lower == pytest.approx(100 * ratings.lower[top] - 50.0)
