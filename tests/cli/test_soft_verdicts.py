"""`--soft`: expected outcomes from the probabilities in judgment files, and intervals from clustered errors."""

from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import pytest

from arena_tui.cli import main
from engine.judging.probabilities import most_probable, normalised
from engine.labels import LABELS
from engine.records import Game, JudgmentRecord

CONFIG = """\
bench = "tiny"
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{ base_url = "http://localhost:1/v1" }]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A bench of 80 questions whose judge told its probabilities of every label."""
    rng = random.Random(1)
    folder = tmp_path / "data" / "tiny"
    (folder / "model_judgment" / "judge").mkdir(parents=True)
    questions = [{"question_id": f"q{n:02}", "turns": [{"content": "?"}]} for n in range(80)]
    (folder / "question.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions), "utf-8")
    for model, strength in (("good", 0.6), ("fair", 0.2)):
        records = []
        for question in questions:
            merit = strength + rng.gauss(0, 1)
            games = tuple(_game(merit if number == 1 else -merit) for number in (1, 2))
            records.append(JudgmentRecord(question["question_id"], model, "judge", games, baseline="base"))
        lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        (folder / "model_judgment" / "judge" / f"{model}.jsonl").write_bytes(lines)
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, "utf-8")
    return path


def _game(merit_of_b: float) -> Game:
    steps = zip(LABELS, (-2, -1, 0, 1, 2), strict=True)
    told = normalised({label: 2.0 ** (step * merit_of_b) for label, step in steps})
    assert told is not None
    return Game("prompt", "reply", most_probable(told), probabilities=told)


def arena(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str) -> tuple[int, str, str]:
    code = main(["-c", str(config), *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_leaderboard_by_expected_outcomes_is_another_and_narrower(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, told_by_label = arena(capsys, config, "leaderboard", "--format", "json")
    hard = json.loads(out)
    code, out, told = arena(capsys, config, "leaderboard", "--format", "json", "--soft")
    assert "320 games have the judge's probabilities; rate by expected points (--soft)" in told_by_label
    assert "--soft" not in told
    soft = json.loads(out)
    assert code == 0
    assert "soft" not in hard
    assert "label_score" not in hard["rows"][0]
    assert soft["soft"]["games"] == 320
    assert soft["soft"]["width"] < 0.9
    for row, other in zip(soft["rows"], hard["rows"], strict=True):
        assert row["label_score"] == other["score"]
        assert row["model"] == "base" or row["score"] != other["score"]
    table = arena(capsys, config, "leaderboard", "--soft")[1]
    assert "by label" in table
    assert "times as wide as by label" in table.replace("\n", " ")
    assert "label_lower" in arena(capsys, config, "leaderboard", "--soft", "--format", "csv")[1].splitlines()[0]


def test_compare_and_plan_say_that_they_are_soft(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (("compare", "good", "fair"), ("plan",)):
        assert "times as wide as by label" in arena(capsys, config, *command, "--soft")[1].replace("\n", " ")
        told = json.loads(arena(capsys, config, *command, "--soft", "--format", "json")[1])
        assert told["soft"]["by_label"] == 0
        assert "soft" not in json.loads(arena(capsys, config, *command, "--format", "json")[1])


def test_intervals_from_clustered_errors_are_near_those_of_the_bootstrap(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boards = [
        json.loads(arena(capsys, config, "leaderboard", "--format", "json", "--ci", kind)[1])
        for kind in ("question", "sandwich")
    ]
    assert [board["ci"] for board in boards] == ["question", "sandwich"]
    for one, other in zip(boards[0]["rows"], boards[1]["rows"], strict=True):
        assert one["score"] == other["score"]
        assert other["upper"] - other["lower"] == pytest.approx(one["upper"] - one["lower"], rel=0.1)
        assert (other["lower"] == 50.0) == (other["model"] == "base")
    table = arena(capsys, config, "leaderboard", "--ci", "sandwich")[1]
    assert "clustered by question (sandwich)" in table.replace("\n", " ")
