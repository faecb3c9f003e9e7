"""A comparison reads as an answer for two models, as tables for more, and as JSON for programs; a plan as a table."""

from __future__ import annotations

import json

import msgspec
import pytest

from arena_tui.board.heat_map import Met
from arena_tui.board.pairs_screen import numbers_words
from arena_tui.output.compare import format_comparison
from arena_tui.output.power import format_study_plan
from arena_tui.output.verdict import pair_words
from engine.ratings.compare import Comparison, PairComparison, RankedModel, Separable
from engine.ratings.paired import DirectGames
from engine.ratings.power import DifferencePlan, MeasuredPace, Need, StudyPlan

HOSTILE = "evil\x1b]0;title\x07\nname\u202e"


def pair(a: str = "model-a", b: str = "model-b", **changes: object) -> PairComparison:
    base = PairComparison(
        model_a=a,
        model_b=b,
        score_a=60.0,
        score_b=52.5,
        difference=7.5,
        lower=2.25,
        upper=12.75,
        verdict="better",
        margin=2.0,
        equivalence_lower=3.1,
        equivalence_upper=11.9,
        half_width=2.5,
        more_questions=1700,
        std_error=2.7,
        unpaired_std_error=3.4,
        p_value=0.0055,
        p_holm=0.0165,
        questions=500,
        won=40.0,
        tied=35.0,
        lost=25.0,
    )
    return msgspec.structs.replace(base, **changes)


def comparison(names: list[str], pairs: list[PairComparison]) -> Comparison:
    return Comparison(
        bench="bench",
        judges=["judge"],
        baseline="base",
        rounds=1000,
        seed=42,
        weight=3,
        models=[
            RankedModel(rank=rank, best_rank=1, worst_rank=rank + 1, model=name, score=60.0 - rank)
            for rank, name in enumerate(names, start=1)
        ],
        pairs=pairs,
        separable=Separable(pairs=len(pairs), paired=2, holm=1, intervals=0),
        warnings=["watch out"],
    )


def two(**changes: object) -> Comparison:
    return comparison(["model-a", "model-b"], [pair(**changes)])


def three() -> Comparison:
    names = ["model-a", "model-b", "a-model-with-a-name-that-is-rather-long-for-a-table"]
    return comparison(names, [pair(names[0], names[1]), pair(names[0], names[2]), pair(names[1], names[2])])


def test_two_models_get_an_answer_in_words() -> None:
    text = format_comparison(two(), "table")
    assert "model-a is better than model-b: +7.5 points [2.2, 12.8]." in text
    assert "95% CI [2.2, 12.8] (p = 0.0055, 500 questions)" in text
    assert "p Holm" not in text
    assert "watch out" not in text


def test_what_is_not_significant_is_called_so() -> None:
    text = format_comparison(two(p_value=0.11, difference=-3.0, lower=-7.0, verdict="undecided"), "table")
    assert (
        "model-a against model-b is undecided: -3.0 points [-7.0, 12.8]; about 1,700 more questions for ±2.5." in text
    )
    text = format_comparison(two(difference=-3.0, verdict="worse"), "table")
    assert "model-a is worse than model-b: -3.0 points" in text


def test_limits_without_zero_that_the_test_does_not_confirm_name_its_result() -> None:
    undecided = two(p_value=0.06, verdict="undecided").pairs[0]
    assert pair_words(undecided) == (
        "model-a against model-b is undecided: +7.5 points [2.2, 12.8], p > 0.05; about 1,700 more questions for ±2.5"
    )
    assert pair_words(undecided, 80) == "model-a against model-b is undecided: +7.5 points [2.2, 12.8], p > 0.05"


def test_the_numbers_below_the_map_of_all_pairs_agree_with_its_marks() -> None:
    met = Met(pair(p_value=0.03, p_holm=0.06), 1)
    assert not met.is_decided
    assert numbers_words(met).endswith("p 0.0300, corrected 0.0600: undecided")
    assert numbers_words(Met(pair(), 1)).endswith("corrected 0.0165")


def test_equivalence_names_the_margin_and_the_limits_of_its_tests() -> None:
    limits = {"lower": -0.3, "upper": 1.9, "equivalence_lower": -0.1, "equivalence_upper": 1.7}
    text = format_comparison(two(verdict="equivalent", difference=0.8, **limits), "table")
    assert "model-a and model-b are equivalent within ±2 points: +0.8 [-0.1, 1.7], 90% CI." in text
    assert "95% CI [-0.3, 1.9] (p = 0.0055, 500 questions)" in text
    limits["lower"] = 0.1
    text = format_comparison(two(verdict="equivalent", difference=0.8, **limits), "table", ascii_only=True)
    assert "equivalent within +-2 points: +0.8 [-0.1, 1.7], 90% CI (better by less than that)." in text


def test_direct_games_are_told() -> None:
    direct = DirectGames(questions=50, games=100, score=61.0, lower=52.0, upper=70.0, p_value=0.00001)
    text = format_comparison(two(direct=direct), "table")
    assert "In 100 games against each other on 50 questions it scores 61.0 [52.0, 70.0] (p <0.0001)." in text
    assert "A against B" in text


def test_more_models_get_ranks_with_their_range_and_every_pair() -> None:
    text = format_comparison(three(), "table")
    assert "1-2" in text
    assert text.count("+7.50") == 3
    assert "2 of 3 pairs are decided" in text
    assert "0.0165" in text


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_of_pairs_fits_the_terminal(width: int) -> None:
    lines = format_comparison(three(), "table", width=width).splitlines()
    table = [line for line in lines if "7.50" in line or line.startswith("model A")]
    assert len(table) == 4
    assert max(map(len, table)) <= width


def test_json_holds_everything() -> None:
    found = json.loads(format_comparison(two(), "json"))
    assert found["pairs"][0]["difference"] == 7.5
    assert "direct" not in found["pairs"][0]
    assert found["separable"] == {"pairs": 1, "paired": 2, "holm": 1, "intervals": 0}
    assert found["warnings"] == ["watch out"]
    assert [model["worst_rank"] for model in found["models"]] == [2, 3]


@pytest.mark.parametrize("names", [[HOSTILE, "b"], [HOSTILE, "b", "c"]])
def test_a_name_cannot_steer_the_terminal(names: list[str]) -> None:
    result = comparison(names, [pair(HOSTILE, "b")])
    for form in ("table", "json"):
        text = format_comparison(result, form)
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert "\nname" not in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert format_comparison(three(), "table", width=80, ascii_only=True).isascii()
    assert format_study_plan(study(), "table", ascii_only=True).isascii()


def study(**changes: object) -> StudyPlan:
    needs = [
        Need(
            design="paired",
            questions=600,
            fewest=300,
            most=800,
            judge_calls=2400,
            answers=1200,
            seconds=90.0,
            until_decided=800,
        ),
        Need(
            design="unpaired",
            questions=900,
            fewest=500,
            most=1300,
            judge_calls=3600,
            answers=1800,
            seconds=9000.0,
            until_decided=None,
        ),
    ]
    base = StudyPlan(
        bench="bench",
        judges=["judge"],
        baseline="base",
        weight=3,
        power=0.8,
        alpha=0.05,
        pilot_questions=500,
        pilot_models=8,
        pairing=0.81,
        games_each=2.0,
        pace=MeasuredPace(30.0, 10.0),
        plans=[DifferencePlan(5.0, needs)],
        warnings=[],
    )
    return msgspec.structs.replace(base, **changes)


def test_a_plan_says_questions_calls_and_time() -> None:
    text = format_study_plan(study(), "table")
    assert "80% power" in text
    for told in (
        "600",
        "(300 - 800)",
        "2400",
        "1200",
        "2 min",
        "2.5 h",
        "about 800",
        "30.0 judge calls and 10.0 answers",
    ):
        assert told in text
    assert "0.81" in text


def test_without_a_pace_there_is_no_time() -> None:
    needs = [msgspec.structs.replace(study().plans[0].needs[0], seconds=None)]
    text = format_study_plan(study(pace=MeasuredPace(), plans=[DifferencePlan(5.0, needs)]), "table")
    assert "time here" not in text
    assert "is unknown" in text
    assert json.loads(format_study_plan(study(), "json"))["plans"][0]["needs"][1]["until_decided"] is None
