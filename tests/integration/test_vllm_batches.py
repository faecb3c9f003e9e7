"""`vllm run-batch` of the real program: rounds until the leaderboard is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm

QUESTIONS = 4
LIMIT = 1200.0  # seconds for all rounds; each starts the engine anew


def test_rounds_of_vllms_batch_runner_make_a_leaderboard(vllm_command: Path, tiny_model: Path, tmp_path: Path) -> None:
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n}?"}]} for n in range(QUESTIONS)]
    (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in questions))
    environment = f'{{ VLLM_CPU_KVCACHE_SPACE = "1", VLLM_CACHE_ROOT = "{tmp_path}/cache" }}'
    serve = f'model = "{tiny_model}"\nserve = {{ args = ["--enforce-eager"], env = {environment} }}\n'
    (tmp_path / "config.toml").write_text(
        'bench = "small"\n[answers]\nmodels = ["base", "brief"]\nmax_tokens = 24\n'
        '[judge]\nmodel = "judge"\nbaseline = "base"\nverdict = "constrained"\n'
        f'[vllm]\ncommand = ["{vllm_command}"]\n'
        f'[models.base]\n{serve}[models.brief]\nsystem_prompt = "Be brief."\n{serve}[models.judge]\n{serve}'
    )
    arena = [sys.executable, "-m", "arena_tui", "-c", str(tmp_path / "config.toml")]
    made = subprocess.run([*arena, "batch", "run"], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert made.returncode == 0, made.stderr
    assert f"{2 * QUESTIONS} results taken; {2 * QUESTIONS} answers saved" in made.stderr
    assert f"{2 * QUESTIONS} results taken; {QUESTIONS} judgments saved" in made.stderr
    assert "100% of answers-base-0001.jsonl" in made.stderr
    board = subprocess.run([*arena, "leaderboard", "--format", "json"], capture_output=True, text=True, check=True)
    assert {row["model"] for row in json.loads(board.stdout)["rows"]} == {"base", "brief"}
    rounds = sorted(path.name for path in (bench / "batches").iterdir())
    assert rounds == ["round-001", "round-002"]  # one start for both entries of the model, one for the judge
