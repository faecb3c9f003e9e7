"""`arena-tui curve` on a bench of checkpoints."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from training_bench import SHARES, make_training

from arena_tui.cli import main


@pytest.fixture
def curve(tmp_path: Path) -> Callable[..., int]:
    """Run the command on a bench, and return its exit code."""
    make_training(tmp_path)
    return lambda *arguments: main(["-c", str(tmp_path / "config.toml"), "curve", *arguments])


def test_it_says_first_what_the_training_shows(curve: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert curve() == 0
    out, err = capsys.readouterr()
    assert out.startswith("Best so far: step 4,000")
    assert "No plateau shown" in out
    assert "Keep step 4,000" in out
    assert "warning" not in out
    assert "warning: 300 judgments cannot be checked" in err


def test_json_and_csv_hold_the_same_numbers(curve: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert curve("--format", "json") == 0
    (found,) = json.loads(capsys.readouterr().out)["curves"]
    assert curve("--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [point["step"] for point in found["points"]] == [int(row["step"]) for row in rows] == list(SHARES)
    assert [point["lower"] for point in found["points"]] == [float(row["lower"]) for row in rows]
    assert found["keep"]["step"] == 4000
    assert found["plateau"]["since"] is None


def test_a_picture_goes_to_a_file(
    curve: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "curve.svg"
    assert curve("--format", "svg", "--output", str(file)) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert f"written: {file}" in err
    assert file.read_text("utf-8").startswith("<?xml")


def test_a_wide_margin_shows_a_plateau(curve: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert curve("--margin", "25", "--models", "*-step[2345]*") == 0
    out = capsys.readouterr().out
    assert "No further improvement since step" in out
    assert "beyond 25 points" in out
    assert "over 2,000" in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--series", "absent"], "no training is named absent"),
        (["--models", "absent"], "no checkpoint is named absent"),
        (["--margin", "70"], "--margin"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    curve: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert curve(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert problem in err


def test_an_output_that_cannot_be_written_is_an_error(
    curve: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve("--format", "csv", "--output", str(tmp_path / "config.toml" / "curve.csv")) in (1, 2)
    assert "curve.csv" in capsys.readouterr().err
