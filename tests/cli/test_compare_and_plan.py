"""`compare` and `plan` on a bench that this program judged, and on a file of battles."""

from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import pytest

from arena_tui.cli import main
from engine.labels import Label
from engine.records import Game, JudgmentRecord

QUESTIONS = 60
CONFIG = """\
bench = "tiny"
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{ base_url = "http://localhost:1/v1" }]
[models.good]
endpoints = [{ base_url = "http://localhost:1/v1" }]
[models.bad]
endpoints = [{ base_url = "http://localhost:1/v1" }]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A bench on which `good` wins most questions and `bad` few, with a config two folders above it."""
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    folder = tmp_path / "data" / "tiny"
    (folder / "model_judgment" / "judge").mkdir(parents=True)
    questions = [{"question_id": f"q{n:02}", "turns": [{"content": "?"}]} for n in range(QUESTIONS)]
    (folder / "question.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions), "utf-8")
    judge(folder, "good", share=0.8)
    judge(folder, "bad", share=0.3)
    return folder


def judge(folder: Path, model: str, share: float, baseline: str = "base", begin: float = 1_000_000.0) -> None:
    """Append judgments of which the model wins about `share`, one a second."""
    rng = random.Random(model + baseline)
    with (folder / "model_judgment" / "judge" / f"{model}.jsonl").open("ab") as file:
        for number in range(QUESTIONS):
            won = rng.random() < share
            labels: tuple[Label, Label] = ("B>A", "A>B") if won else ("A>B", "B>A")
            record = JudgmentRecord(
                f"q{number:02}",
                model,
                "judge",
                tuple(Game("prompt", "reply", label) for label in labels),
                baseline=baseline,
                tstamp=begin + number,
                settings="abc",
                inputs="texts",
            )
            file.write(msgspec.json.encode(record) + b"\n")


def arena(capsys: pytest.CaptureFixture[str], *arguments: str, bench: Path | None = None) -> tuple[int, str, str]:
    """The program's exit code, stdout and stderr, with the config of `bench`."""
    config = ("-c", str(bench.parents[1] / "config.toml")) if bench else ()
    code = main([*config, *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_two_models_are_compared_as_json(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = arena(capsys, "compare", "good", "bad", "--format", "json", bench=bench)
    found = json.loads(out)
    (pair,) = found["pairs"]
    assert code == 0
    assert (found["bench"], found["judges"], found["baseline"]) == ("tiny", ["judge"], "base")
    assert (pair["model_a"], pair["model_b"], pair["questions"]) == ("good", "bad", QUESTIONS)
    assert pair["lower"] > 0 > pair["p_value"] - 0.001


def test_none_named_compares_all_with_the_baseline(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = arena(capsys, "compare", bench=bench)
    assert code == 0
    assert err.startswith("warning: 120 judgments cannot be checked")
    assert err.count("\n") == 1
    assert out.count("[") == 3  # three pairs
    assert "3 of 3 pairs are decided" in out


def test_direct_games_are_those_with_one_of_the_models_as_baseline(
    bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = arena(capsys, "compare", "good", "bad", "--direct", bench=bench)
    assert code == 2
    assert "no game was judged directly between good and bad" in err
    assert "run --baseline good --models bad" in err
    judge(bench, "bad", share=0.2, baseline="good")
    code, out, _ = arena(capsys, "compare", "good", "bad", "--direct", "--format", "json", bench=bench)
    direct = json.loads(out)["pairs"][0]["direct"]
    assert code == 0
    assert (direct["questions"], direct["games"]) == (QUESTIONS, 2 * QUESTIONS)
    assert direct["lower"] > 50.0
    assert arena(capsys, "compare", "--direct", bench=bench)[0] == 2


def test_a_misspelt_model_is_a_usage_error(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = arena(capsys, "compare", "godo", "bad", bench=bench)
    assert (code, out) == (2, "")
    assert "did you mean good?" in err


def test_a_plan_knows_how_fast_it_goes_here(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = arena(capsys, "plan", "--difference", "10,5", "--power", "0.9", "--format", "json", bench=bench)
    plan = json.loads(out)
    assert code == 0
    assert (plan["power"], plan["pilot_questions"]) == (0.9, QUESTIONS)
    assert plan["pace"]["judge_calls"] == pytest.approx(4.0, rel=0.1)  # two models, two calls a second each
    assert [each["difference"] for each in plan["plans"]] == [10.0, 5.0]
    need = plan["plans"][0]["needs"][0]
    assert need["seconds"] == pytest.approx(need["judge_calls"] / plan["pace"]["judge_calls"])


@pytest.mark.parametrize("difference", ["0", "60", "ten", "5,,3"])
def test_differences_that_cannot_be_are_refused(difference: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = arena(capsys, "plan", "--difference", difference)
    assert (code, out) == (2, "")
    assert "--difference" in err


@pytest.mark.realdata
def test_published_battles_are_compared_and_planned_on(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(shared_data / "arena-hard-ru" / "arena_hard_battles.jsonl")
    code, out, _ = arena(capsys, "compare", "--battles", file, "--format", "json")
    assert (code, json.loads(out)["separable"]["paired"]) == (0, 32)
    code, out, _ = arena(capsys, "plan", "--battles", file)
    assert code == 0
    assert "two models, same questions" in out
    assert "time is unknown" in out


def test_so_many_rounds_that_they_would_never_end_are_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["-c", str(tmp_path / "config.toml"), "leaderboard", "--rounds", str(10**30)]) == 2
    assert "is not in the range 1<=x<=1000000" in capsys.readouterr().err
