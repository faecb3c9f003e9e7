"""Whether the place of an answer decides: flips, the taste for a place, and the same text in both places."""

from __future__ import annotations

import numpy as np
import pytest
from battle_builder import BattleBuilder

from engine.auditing.intervals import QuestionResampler
from engine.auditing.verdicts import game_pairs, position_report
from engine.ratings.battles import Battles

NEVER = lambda question, one, other: False  # noqa: E731 - a table of no equal answers


def battles_of(*pairs: tuple[str, str, float, float]) -> Battles:
    """Both games of each (question, model, points of the model in game 1 and in game 2)."""
    builder = BattleBuilder()
    for question, model, first, second in pairs:
        builder.add(question, "base", model, first, game=1)
        builder.add(question, "base", model, second, game=2)
    return builder.build()


def resampler_of(battles: Battles) -> QuestionResampler:
    return QuestionResampler(len(battles.questions), 300, 1)


def test_a_pair_flips_when_each_game_has_another_winner() -> None:
    battles = battles_of(("q1", "m", 1, 1), ("q2", "m", 1, 0), ("q3", "m", 0, 1), ("q4", "m", 0.5, 1))
    report = position_report(battles, resampler_of(battles), NEVER)
    assert report is not None
    assert report.pairs == 4
    assert report.flips.value == pytest.approx(50.0)
    assert report.unstable.value == pytest.approx(75.0)
    assert report.models[0].flips.value == pytest.approx(50.0)


def test_the_first_place_is_the_baselines_in_game_one_and_the_models_in_game_two() -> None:
    battles = battles_of(("q1", "m", 0, 1), ("q2", "m", 0, 1), ("q3", "m", 1, 0), ("q4", "m", 1, 1))
    report = position_report(battles, resampler_of(battles), NEVER)
    assert report is not None
    assert report.first_place.value == pytest.approx(100 * 2.5 / 4)


def test_a_fair_judge_takes_no_side_and_a_biased_one_is_found_out() -> None:
    rng = np.random.default_rng(5)
    for bias, fair in ((0.0, True), (0.8, False)):
        builder = BattleBuilder()
        for number in range(600):
            skill = rng.normal()
            for game, sign in ((1, -1), (2, 1)):
                won = rng.random() < 1 / (1 + np.exp(-skill - sign * bias))
                builder.add(f"q{number}", "base", "m", float(won), game=game)
        battles = builder.build()
        report = position_report(battles, resampler_of(battles), NEVER)
        assert report is not None
        assert report.first_place.lower is not None
        assert (report.first_place.lower < 50.5) is fair


def test_equal_answers_are_a_control_and_no_part_of_the_flips() -> None:
    battles = battles_of(
        ("q1", "m", 0.5, 0.5), ("q2", "m", 0, 1), ("q3", "m", 1, 0), ("q4", "m", 0.5, 1), ("q5", "m", 1, 0)
    )
    same = {"q1", "q2", "q3", "q4"}
    report = position_report(battles, resampler_of(battles), lambda question, one, other: question in same)
    assert report is not None
    assert report.pairs == 1
    assert report.flips.value == 100.0
    control = report.identical
    assert control is not None
    assert (control.pairs, control.double_ties, control.first_twice, control.second_twice, control.mixed) == (
        4,
        1,
        1,
        1,
        1,
    )


def test_a_model_against_itself_is_such_a_control_too() -> None:
    battles = battles_of(("q1", "base", 0.5, 0.5), ("q1", "m", 1, 1))
    report = position_report(battles, resampler_of(battles), NEVER)
    assert report is not None
    assert report.identical is not None
    assert report.identical.pairs == 1
    assert [row.model for row in report.models] == ["m"]


def test_games_without_a_verdict_or_without_their_twin_say_nothing() -> None:
    builder = BattleBuilder()
    builder.add("q1", "base", "m", float("nan"), game=1)
    builder.add("q1", "base", "m", 1.0, game=2)
    builder.add("q2", "base", "m", 1.0, game=1)
    builder.add("q3", "base", "m", 1.0, game=0)
    builder.add("q3", "base", "m", 1.0, game=0)
    battles = builder.build()
    assert not len(game_pairs(battles).question)
    assert position_report(battles, resampler_of(battles), NEVER) is None
