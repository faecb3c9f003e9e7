"""Battles between any pairs of models: from a file, and from judgments against several baselines."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from arena_tui.cli import main

SKILL = {"ash": 0.0, "birch": 0.8, "cedar": -0.5, "dogwood": 0.3}


def battles_file(path: Path, pairs: Iterable[tuple[str, str]], questions: int = 60) -> Path:
    """Two games for each pair on each question, with the ties of every arena's spelling."""
    rng = random.Random(7)
    rows = []
    for question in range(questions):
        skill = {name: value + rng.gauss(0, 1) for name, value in SKILL.items()}
        for a, b in pairs:
            for _ in range(2):
                margin = skill[b] - skill[a] + rng.gauss(0, 0.5)
                tie = rng.choice(["tie", "tie (bothbad)", "both_bad"])
                winner = tie if abs(margin) < 0.2 else "model_b" if margin > 0 else "model_a"
                rows.append({"question_id": question, "model_a": a, "model_b": b, "winner": winner})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


ALL_PAIRS = [(a, b) for a in SKILL for b in SKILL if a < b]


def arena(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_round_robin_is_rated_against_the_named_anchor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = battles_file(tmp_path / "battles.jsonl", ALL_PAIRS)
    code, _, err = arena(capsys, "leaderboard", "--battles", file)
    assert code == 2
    assert "name the baseline (--baseline)" in err
    boards = {
        (anchor, kind): json.loads(
            arena(
                capsys,
                *("leaderboard", "--battles", file, "--baseline", anchor, "--ci", kind, "--elo", "--format", "json"),
            )[1]
        )
        for anchor, kind in (("ash", "question"), ("ash", "sandwich"), ("cedar", "question"))
    }
    first = boards["ash", "question"]
    assert first["rows"][0]["model"] == "birch"
    assert {row["games"] for row in first["rows"]} == {3 * 2 * 60}  # the anchor plays like all others
    rows = {row["model"]: row for row in first["rows"]}
    assert (rows["ash"]["score"], rows["ash"]["lower"], rows["ash"]["upper"]) == (50.0, 50.0, 50.0)
    for row, other in zip(first["rows"], boards["ash", "sandwich"]["rows"], strict=True):
        assert other["score"] == row["score"]
        assert (other["upper"] - other["lower"]) == pytest.approx(row["upper"] - row["lower"], rel=0.15)
    moved = {row["model"]: row["elo"] for row in boards["cedar", "question"]["rows"]}
    assert moved["birch"] - moved["ash"] == pytest.approx(rows["birch"]["elo"] - rows["ash"]["elo"], abs=1e-3)


def test_of_a_file_only_games_with_one_of_the_baselines_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = battles_file(tmp_path / "all.jsonl", ALL_PAIRS)
    code, out, _ = arena(capsys, "leaderboard", "--battles", everything, "--baseline", "ash,cedar", "--format", "json")
    found = json.loads(out)
    games = {row["model"]: row["games"] for row in found["rows"]}
    assert code == 0
    assert (found["baseline"], found["baselines"]) == ("ash", ["ash", "cedar"])
    assert games == {"ash": 360, "cedar": 360, "birch": 240, "dogwood": 240}
    err = arena(capsys, "leaderboard", "--battles", everything, "--baseline", "ash,elm")[2]
    assert "warning: no battle has elm in it" in err
    table = arena(capsys, "leaderboard", "--battles", everything, "--baseline", "ash,cedar")[1]
    assert "games against cedar too" in table.replace("\n", " ")
    for command in (("compare", "birch", "dogwood"), ("plan",)):
        arguments = (*command, "--battles", everything, "--baseline", "ash,cedar")
        assert "games against cedar too" in arena(capsys, *arguments)[1].replace("\n", " ")
        assert json.loads(arena(capsys, *arguments, "--format", "json")[1])["baselines"] == ["ash", "cedar"]


def test_what_a_place_is_worth_is_told_by_where_the_model_stood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A judge that always prefers the first place: model_a in the first row of a pair, model_b in the second."""
    rows = [
        {"question_id": f"q{number}", "model_a": a, "model_b": b, "winner": winner}
        for number in range(30)
        for a, b in (("ash", "birch"), ("birch", "cedar"), ("ash", "cedar"))
        for winner in ("model_a", "model_b")
    ]
    file = tmp_path / "battles.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    out = arena(capsys, "leaderboard", "--battles", file, "--baseline", "ash", "--full-stats", "--format", "json")[1]
    stats = {row["model"]: row["stats"] for row in json.loads(out)["rows"]}
    assert {(each["game_1"], each["game_2"]) for each in stats.values()} == {(0.0, 100.0)}


def test_parts_that_never_met_are_an_error_that_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = battles_file(tmp_path / "apart.jsonl", [("ash", "birch"), ("cedar", "dogwood")])
    code, out, err = arena(capsys, "leaderboard", "--battles", file, "--baseline", "ash")
    assert (code, out) == (2, "")
    assert "2 parts that no game connects: cedar, dogwood met neither" in err


def test_a_model_that_won_everything_is_told_to_have_no_finite_strength(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"question_id": f"q{number}", "model_a": a, "model_b": b, "winner": winner}
        for number in range(40)
        for a, b, winner in (
            ("ash", "birch", "model_b"),
            ("ash", "cedar", "model_a" if number % 3 else "model_b"),
            ("cedar", "birch", "model_b"),
        )
    ]
    file = tmp_path / "battles.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    code, out, _ = arena(capsys, "leaderboard", "--battles", file, "--baseline", "ash", "--elo", "--format", "json")
    found = json.loads(out)
    top = found["rows"][0]
    assert code == 0
    assert (top["model"], top["score"], top["elo"]) == ("birch", 100.0, None)
    assert 75.0 < top["lower"] < 100.0  # by profile likelihood: the links of the chain are uncertain too
    assert any("won every chain of games to the baseline" in text for text in found["warnings"])


def test_a_generation_2_bench_with_a_baseline_for_each_category_is_rated_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every model meets both baselines, though never on the same questions: that connects the baselines too."""
    folder = tmp_path / "data" / "second"
    (folder / "model_judgment" / "judge").mkdir(parents=True)
    baselines = {"hard_prompt": "o3", "creative_writing": "gemini"}
    questions = [
        {"uid": f"{category}-{number}", "prompt": "?", "category": category}
        for category in baselines
        for number in range(40)
    ]
    (folder / "question.jsonl").write_text("".join(json.dumps(each) + "\n" for each in questions), "utf-8")
    rng = random.Random(3)
    for model, share in (("good", 0.6), ("poor", 0.3)):
        records = [
            {
                "uid": each["uid"],
                "category": each["category"],
                "judge": "judge",
                "model": model,
                "baseline": baselines[each["category"]],
                "games": [
                    {"score": score, "judgment": {"answer": score}, "prompt": []}
                    for score in (("B>A", "A>B") if rng.random() < share else ("A>B", "B>A"))
                ],
            }
            for each in questions
        ]
        file = folder / "model_judgment" / "judge" / f"{model}.jsonl"
        file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    config = tmp_path / "config.toml"
    config.write_text(
        'bench = "second"\n[judge]\nmodel = "judge"\nbaseline = ["o3", "gemini"]\n'
        '[models.judge]\nendpoints = [{ base_url = "http://localhost:1/v1" }]\n',
        "utf-8",
    )
    code, out, _ = arena(capsys, "-c", config, "leaderboard", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["baselines"] == ["o3", "gemini"]
    assert {row["model"]: row["games"] for row in found["rows"]} == {"good": 160, "poor": 160, "o3": 160, "gemini": 160}
    rows = {row["model"]: row for row in found["rows"]}
    assert rows["good"]["score"] > rows["poor"]["score"]
    assert rows["gemini"]["lower"] < 50.0 < rows["gemini"]["upper"]
    err = arena(capsys, "-c", config, "leaderboard", "--baseline", "o3,gemmini")[2]
    assert "warning: no model was judged against gemmini" in err
    single = json.loads(arena(capsys, "-c", config, "leaderboard", "--baseline", "gemini", "--format", "json")[1])
    assert {row["model"]: row["games"] for row in single["rows"]} == {"good": 80, "poor": 80, "gemini": 0}
