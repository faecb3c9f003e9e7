"""A run that is killed at any moment goes on where it was: nothing lost, nothing twice, the same leaderboard."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

from arena_program import records

KILLS = 20
QUESTIONS = 30
MODELS = ("sim-strong", "sim-weak", "sim-tiny")


def write_bench(folder: Path, url: str, starter: Path) -> Path:
    """A folder with a config for the simulated models at `url` and a bench of its own."""
    lines = (starter / "starter-en" / "question.jsonl").read_text("utf-8").split("\n")[:QUESTIONS]
    bench = folder / "data" / "small"
    bench.mkdir(parents=True)
    (bench / "question.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    names = ("sim-baseline", *MODELS, "sim-judge")
    tables = "".join(f'[models."{name}"]\nparallel = 4\nendpoints = [{{ base_url = "{url}" }}]\n' for name in names)
    config = folder / "config.toml"
    config.write_text(f'bench = "small"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n{tables}', "utf-8")
    return config


def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path, arena, start, simulator, starter):
    url = simulator("--latency", "0.25")
    calm, rough = write_bench(tmp_path / "calm", url, starter), write_bench(tmp_path / "rough", url, starter)
    undisturbed = arena("-c", calm, "run", "--json")
    assert undisturbed.returncode == 0, undisturbed.stderr

    moments = random.Random(20)
    interrupted = 0
    for _ in range(KILLS):
        process = start("-c", rough, "run", "--json")
        try:
            process.communicate(timeout=moments.uniform(0.5, 3.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            interrupted += 1
    last = arena("-c", rough, "run", "--json")
    assert last.returncode == 0, last.stderr
    assert interrupted >= KILLS // 3, "the run is too short for this test: nearly every one ended by itself"

    bench = tmp_path / "rough" / "data" / "small"
    for model in ("sim-baseline", *MODELS):
        answers = Counter(record["question_id"] for record in records(bench / "model_answer" / f"{model}.jsonl"))
        assert len(answers) == QUESTIONS
        assert set(answers.values()) == {1}
    for model in MODELS:
        judgments = Counter(
            r["question_id"] for r in records(bench / "model_judgment" / "sim-judge" / f"{model}.jsonl")
        )
        assert len(judgments) == QUESTIONS
        assert set(judgments.values()) == {1}
    assert not (bench / "journal.jsonl").exists(), "every part must have found its record"
    assert json.loads(last.stdout) == json.loads(undisturbed.stdout)
