"""A judge that cannot see differences proves no equality: the gate refuses, a leaderboard and a comparison warn."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from battle_builder import BattleBuilder

from engine.errors import GateRefused
from engine.ratings.battles import Battles
from engine.ratings.compare import compare
from engine.ratings.estimate import BenchFacts, RatingOptions, rate_battles
from engine.ratings.evidence import Evidence, Origin, Result, evidence
from engine.ratings.gate import GateOptions, gate
from engine.ratings.leaderboard import LeaderboardOptions, leaderboard
from engine.ratings.sensitivity import Discrimination, pair_verdicts

OPTIONS = RatingOptions(baseline="base")


def judged(kind: str, questions: int = 300, models: tuple[str, ...] = ("far worse", "other")) -> Battles:
    """Verdicts of a judge that takes place A, ties, guesses, or sees that the models lose (3 of 4 questions)."""
    rng, builder = np.random.default_rng(1), BattleBuilder()
    for question in range(questions):
        for model in models:
            sees = 0.0 if rng.random() < 0.75 else 1.0
            for game in (1, 2):
                points = {
                    "place": float(game == 2),
                    "tie": 0.5,
                    "guess": float(rng.integers(2)),
                    "mostly place": float(game == 2) if rng.random() < 0.9 else sees,
                    "sees": sees,
                }[kind]
                builder.add(f"q{question:03}", "base", model, points, game=game)
    return builder.build()


def result(battles: Battles) -> Result:
    return Result(bench="b", judges=["j"], baseline="base", weight=3, evidence=evidence(battles, OPTIONS, Origin()))


@pytest.mark.parametrize("kind", ["place", "tie", "guess", "mostly place"])
def test_a_gate_refuses_a_judge_that_cannot_see_the_margin(kind: str) -> None:
    with pytest.raises(GateRefused, match="no assay sensitivity"):
        gate(result(judged(kind)), ["far worse"], None, GateOptions(margin=5.0))


def test_a_gate_believes_a_judge_that_sees_differences() -> None:
    now = result(judged("sees"))
    assert not gate(now, ["far worse"], None, GateOptions(margin=5.0)).passed
    assert gate(now, ["far worse"], "other", GateOptions(margin=20.0)).passed


def test_a_stored_result_without_counts_of_orders_is_judged_by_its_points() -> None:
    def without(kind: str) -> Result:
        found = result(judged(kind))
        models = {name: msgspec.structs.replace(each, orders=[]) for name, each in found.evidence.models.items()}
        return msgspec.structs.replace(found, evidence=msgspec.structs.replace(found.evidence, models=models))

    with pytest.raises(GateRefused, match="no assay sensitivity"):
        gate(without("place"), ["far worse"], None, GateOptions())
    assert gate(without("sees"), ["far worse"], None, GateOptions()).checks


def test_counts_of_orders_survive_storing_and_damaged_ones_are_reported() -> None:
    found = result(judged("place", 20)).evidence
    again = msgspec.json.decode(msgspec.json.encode(found), type=Evidence)
    assert again.discrimination() == Discrimination(pairs=40, same=0, flips=40, ties=0)
    broken = msgspec.structs.replace(again.models["other"], orders=[1, 5, 0, 0])
    assert "orders" in msgspec.structs.replace(again, models={"other": broken}).problem()


@pytest.mark.parametrize(("kind", "warned"), [("place", True), ("tie", True), ("guess", True), ("sees", False)])
def test_leaderboards_and_comparisons_warn_of_a_judge_that_sees_nothing(kind: str, warned: bool) -> None:
    battles, facts = judged(kind, 60), BenchFacts(name="b")
    options = LeaderboardOptions(baseline="base")
    board = leaderboard(rate_battles(battles, options), options, facts)
    comparison = compare(battles, OPTIONS, facts)
    for warnings in (board.warnings, comparison.warnings):
        assert any("cannot be seen to notice differences" in text for text in warnings) == warned


def test_models_with_many_flips_are_named_with_their_shares() -> None:
    noisy, clear = judged("mostly place", 100, ("noisy",)), judged("sees", 400, ("clear",))
    names = ("base", "clear", "noisy")
    builder = BattleBuilder()
    for battles in (noisy, clear):
        for index in range(len(battles)):
            builder.add(
                battles.questions[battles.question[index]], "base", battles.models[battles.model_b[index]],
                float(battles.points[index]), game=int(battles.game[index]),
            )  # fmt: skip
    both = builder.build()
    assert both.models == names
    options = LeaderboardOptions(baseline="base")
    (warning,) = [
        text
        for text in leaderboard(rate_battles(both, options), options, BenchFacts(name="b")).warnings
        if "towards 50" in text
    ]
    assert "noisy (" in warning
    assert "flips" in warning
    assert "clear" not in warning


def test_pairs_need_a_label_in_both_orders() -> None:
    builder = BattleBuilder()
    builder.add("q1", "base", "m", 1.0, game=1)
    builder.add("q2", "base", "m", 1.0, game=1)
    builder.add("q2", "base", "m", float("nan"), game=2)
    assert pair_verdicts(builder.build()).of() == Discrimination(0, 0, 0, 0)


def test_games_without_numbers_pair_by_what_they_compare() -> None:
    builder = BattleBuilder()
    for number in range(40):
        builder.add(f"q{number}", "base", "m", 0.0, game=0)  # place A won
        builder.add(f"q{number}", "m", "base", 0.0, game=0)
    assert pair_verdicts(builder.build()).of() == Discrimination(pairs=40, same=0, flips=40, ties=0)
