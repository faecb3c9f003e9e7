"""Kinds of verdict as a user meets them: from `simulate` and a config to soft verdicts that are rated, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

from arena_program import records

QUESTIONS = 8


def write_bench(folder: Path, url: str, judge: str, more: str = "") -> Path:
    """A folder with a config for the simulated models at `url` and a bench of its own."""
    bench = folder / "data" / "small"
    bench.mkdir(parents=True, exist_ok=True)
    lines = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n} + {n}?"}]} for n in range(QUESTIONS)]
    (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    names = ("sim-baseline", "sim-strong", "sim-judge")
    tables = "".join(f'[models."{name}"]\nendpoints = [{{ base_url = "{url}" }}]\n' for name in names)
    config = folder / "config.toml"
    named = 'bench = "small"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n'
    config.write_text(f"{named}{judge}\n{tables}{more}", "utf-8")
    return config


def test_soft_verdicts_are_made_kept_and_rated_and_a_change_of_kind_is_told(tmp_path, arena, simulator):
    url = simulator("--latency", "0", "--sharpness", "0.1")
    config = write_bench(tmp_path, url, 'verdict = "soft"')
    done = arena("-c", config, "run")
    assert done.returncode == 0, done.stderr
    judged = records(tmp_path / "data" / "small" / "model_judgment" / "sim-judge" / "sim-strong.jsonl")
    assert len(judged) == QUESTIONS
    assert all(len(game["probabilities"]) == 5 for record in judged for game in record["games"])
    soft = arena("-c", config, "leaderboard", "--soft", "--format", "json")
    assert soft.returncode == 0, soft.stderr
    write_bench(tmp_path, url, 'verdict = "constrained"')
    plan = arena("-c", config, "run", "--dry-run")
    assert "verdict=soft (now constrained)" in plan.stdout + plan.stderr
    assert "other settings than the rest" not in soft.stderr + soft.stdout
    judgments = tmp_path / "data" / "small" / "model_judgment" / "sim-judge" / "sim-strong.jsonl"
    judgments.write_text("".join(judgments.read_text("utf-8").splitlines(keepends=True)[2:]), "utf-8")
    assert arena("-c", config, "run").returncode == 0, "two are made anew, with labels"
    mixed = json.loads(arena("-c", config, "leaderboard", "--format", "json").stdout)["warnings"]
    assert any("2 of 8 judgments by sim-judge were made with other settings" in warning for warning in mixed)
    assert any("verdict=constrained (now soft)" in warning for warning in mixed)
    write_bench(tmp_path, url, 'verdict = "soft"\ntemperature = 0.7')
    told = arena("-c", config, "run", "--dry-run").stderr
    assert "6 judgments" not in told, "nothing is drawn from probabilities, so that those six are as good as new"
    assert "2 judgments of sim-strong were made with" in told


def test_doctor_says_how_verdicts_are_had_and_what_a_provider_cannot_give(tmp_path, arena, simulator):
    url = simulator("--latency", "0")
    config = write_bench(tmp_path, url, 'verdict = "constrained"\nthinking = "first"')
    done = arena("-c", config, "doctor")
    assert done.returncode == 0, done.stdout
    assert "constrained: a label and nothing else, enforced by vllm's choice, after a free text" in done.stdout
    text = config.read_text("utf-8").replace('[models."sim-judge"]', '[models."sim-judge"]\nprovider = "anthropic"')
    config.write_text(text, "utf-8")
    refused = arena("-c", config, "doctor")
    assert refused.returncode == 2
    assert 'judge.verdict: "constrained" is not possible with sim-judge: "anthropic" does not bind' in (
        refused.stdout + refused.stderr
    )
