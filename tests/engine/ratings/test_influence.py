"""Influence values say what a score would be with other questions, for one baseline and for any pairs of models."""

from __future__ import annotations

import numpy as np
import pytest
from battle_builder import BattleBuilder

from engine.ratings.battles import Battles
from engine.ratings.bradley_terry import win_rates
from engine.ratings.estimate import RatingOptions, rate_battles
from engine.ratings.limits import influence, standard_error
from engine.ratings.outcomes import OutcomeTable, outcome_table

MODELS = ("base", "strong", "weak", "middle")
STRENGTH = dict(zip(MODELS, (0.0, 1.0, -1.0, 0.3), strict=True))


def round_robin(questions: int = 120, seed: int = 5) -> Battles:
    """Every pair of models plays two games a question, which share how hard the question is."""
    rng = np.random.default_rng(seed)
    builder = BattleBuilder()
    for question in range(questions):
        skill = {model: STRENGTH[model] + rng.normal() for model in MODELS}
        for at, a in enumerate(MODELS):
            for b in MODELS[at + 1 :]:
                for game in (1, 2):
                    margin = skill[b] - skill[a] + 0.5 * rng.normal()
                    points = 0.5 if abs(margin) < 0.2 else float(margin > 0)
                    builder.add(f"q{question:03}", a, b, points, strong=float(abs(margin) > 1.5), game=game)
    return builder.build()


def against_baseline(battles: Battles) -> Battles:
    return battles.where(battles.model_a == battles.models.index("base"))


def without(table: OutcomeTable, question: int) -> OutcomeTable:
    keep = np.arange(len(table.won)) != question
    return OutcomeTable(table.models, table.pairs, table.won[keep], table.total[keep], table.baseline)


@pytest.mark.parametrize("only_baseline", [True, False])
def test_leaving_a_question_out_moves_a_score_as_its_influence_says(only_baseline: bool) -> None:
    battles = round_robin()
    table = outcome_table(against_baseline(battles) if only_baseline else battles, "base", 3)
    assert table.against_baseline_only == only_baseline
    rate = win_rates(table)
    values = influence(table, rate)
    assert values.sum(axis=0) == pytest.approx(np.zeros(len(MODELS)), abs=1e-5)
    for question in (0, 17, 80):
        moved = rate - win_rates(without(table, question))
        assert moved == pytest.approx(values[question] / (len(table.won) - 1), abs=3e-4)


@pytest.mark.parametrize("only_baseline", [True, False])
def test_the_standard_error_is_that_of_the_bootstrap(only_baseline: bool) -> None:
    battles = round_robin(300)
    ratings = rate_battles(
        against_baseline(battles) if only_baseline else battles, RatingOptions(baseline="base", rounds=2000)
    )
    errors = standard_error(influence(ratings.table, ratings.rate))
    assert errors == pytest.approx(ratings.resampled.std(axis=0), rel=0.06)


def test_a_model_that_won_everything_has_no_influence_to_show() -> None:
    builder = BattleBuilder()
    for question in range(5):
        builder.add(str(question), "base", "champion", 1.0, game=1)
        builder.add(str(question), "base", "other", float(question % 2), game=1)
        builder.add(str(question), "other", "champion", 1.0, game=1)
    table = outcome_table(builder.build(), "base", 3)
    values = influence(table, win_rates(table))
    assert not values[:, table.models.index("champion")].any()
    assert values[:, table.models.index("other")].any()


def test_one_question_gives_no_standard_error() -> None:
    assert np.isnan(standard_error(np.zeros((1, 3)))).all()
