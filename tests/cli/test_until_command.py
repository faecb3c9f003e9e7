"""`run --until` as a program: what it says before, while and after, and that kills do not change what it decides."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest
from arena_program import records

MODELS = ("sim-strong", "sim-tiny")
QUESTIONS = 300


def write_bench(folder: Path, url: str) -> Path:
    """A folder with a config for the simulated models at `url` and a bench of its own."""
    bench = folder / "data" / "small"
    bench.mkdir(parents=True)
    lines = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n} + {n}?"}]} for n in range(QUESTIONS)]
    (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    names = ("sim-baseline", *MODELS, "sim-judge")
    tables = "".join(f'[models."{name}"]\nparallel = 4\nendpoints = [{{ base_url = "{url}" }}]\n' for name in names)
    config = folder / "config.toml"
    config.write_text(f'bench = "small"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n{tables}', "utf-8")
    return config


def records_in(folder: Path) -> int:
    """Answers and judgments on disk."""
    return sum(path.read_bytes().count(b"\n") for path in (folder / "data" / "small").glob("model_*/**/*.jsonl"))


def verdicts(stdout: str) -> list[tuple[str, str, int]]:
    return [(m["model"], m["verdict"], m["decided_after"]) for m in json.loads(stdout)["until"]["models"]]


def test_it_says_what_it_can_spare_then_what_is_decided_and_stores_it(tmp_path, arena, simulator):
    config = write_bench(tmp_path, simulator("--latency", "0"))
    plan = arena("-c", config, "run", "--until", "decided", "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert "a model is stopped when it is decided to be better or worse than sim-baseline." in plan.stdout
    assert "49 to 2100 calls instead of 2100" in plan.stdout
    done = arena("-c", config, "run", "--until", "decided", "--json")
    assert done.returncode == 0, done.stderr
    board = json.loads(done.stdout)
    assert {"bench", "judges", "baseline", "ci", "rounds", "seed", "weight", "rows", "warnings"} <= set(board)
    assert (board["until"]["rule"], board["until"]["opponent"]) == ("decided", "sim-baseline")
    assert (board["until"]["alpha"], board["until"]["family"]) == (0.05, 2)
    assert "--until decided: wrong decisions: at most 5% of runs have any among 2 models" in done.stderr
    assert [(model, verdict) for model, verdict, _ in verdicts(done.stdout)] == [
        ("sim-strong", "better"),
        ("sim-tiny", "worse"),
    ]
    assert any("stopped early by decided" in warning for warning in board["warnings"])
    assert "decided: sim-strong is better than sim-baseline after" in done.stderr
    bench = tmp_path / "data" / "small"
    assert len(records(bench / "model_answer" / "sim-strong.jsonl")) < 60
    assert len(records(bench / "model_judgment" / "sim-judge" / "sim-strong.jsonl")) < 60
    again = arena("-c", config, "run", "--until", "decided")
    assert "done: 0 calls" in again.stderr
    assert "any-time 95% limits" in again.stdout
    settled = arena("-c", config, "run", "--until", "decided", "--dry-run")
    assert "already settled: sim-strong is better than sim-baseline" in settled.stdout


def test_each_model_can_have_the_level_on_its_own(tmp_path, arena, simulator):
    config = write_bench(tmp_path, simulator("--latency", "0"))
    plan = arena("-c", config, "run", "--until", "decided", "--per-model", "--dry-run")
    assert "wrong decisions: at most 5% of runs, for each model alone." in plan.stdout
    done = arena("-c", config, "run", "--until", "decided,alpha:0.01", "--per-model", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["until"]
    assert (report["rule"], report["alpha"], report["family"]) == ("decided,alpha:0.01,per-model", 0.01, 1)


def test_kills_do_not_change_what_is_decided(tmp_path, arena, start, simulator):
    url = simulator("--latency", "0.1")
    calm, rough = write_bench(tmp_path / "calm", url), write_bench(tmp_path / "rough", url)
    undisturbed = arena("-c", calm, "run", "--until", "decided", "--json")
    moments = random.Random(6)
    killed = 0
    for _ in range(6):
        wanted = records_in(rough.parent) + moments.randint(1, 40)
        process = start("-c", rough, "run", "--until", "decided", "--json")
        while process.poll() is None and records_in(rough.parent) < wanted:
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    last = arena("-c", rough, "run", "--until", "decided", "--json")
    assert last.returncode == 0, last.stderr
    assert killed, "every run ended before it was killed"
    assert verdicts(last.stdout) == verdicts(undisturbed.stdout)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--until", "decide"], "unknown condition 'decide'"),
        (["--until", "decided:nobody"], "no such model is judged"),
        (["--until", "decided", "--stage", "answers"], "nothing is judged in this run"),
        (["--per-model"], "--per-model is about a stop rule"),
        (["--until", "ci:2", "--per-model"], "per-model needs decided or equivalent"),
    ],
)
def test_a_rule_that_cannot_be_is_a_usage_error(tmp_path, arena, arguments, told):
    config = write_bench(tmp_path, "http://127.0.0.1:9/v1")
    for more in ([], ["--dry-run"]):
        done = arena("-c", config, "run", *arguments, *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert "Traceback" not in done.stderr
