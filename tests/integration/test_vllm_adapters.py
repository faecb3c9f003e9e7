"""LoRA adapters on a real vLLM server: one start, every adapter its own text, a wrong one alone left out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.vllm

QUESTIONS = 4
LIMIT = 1200.0  # seconds for a run that starts one server


@pytest.fixture
def adapter(vllm_command: Path, tiny_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes an adapter of the tiny model."""

    def make(name: str, *arguments: object) -> Path:
        script = Path(__file__).with_name("tiny_adapter.py")
        folder = tmp_path / "runs" / name
        command = [vllm_command.with_name("python"), script, tiny_model, folder, *arguments]
        subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=120)
        return folder

    return make


def answers(bench: Path, model: str) -> list[str]:
    path = bench / "model_answer" / f"{model}.jsonl"
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line["choices"][0]["turns"][0]["content"] for line in sorted(lines, key=lambda line: line["question_id"])]


def test_adapters_of_one_training_share_a_server(
    vllm_command: Path, tiny_model: Path, adapter: Callable[..., Path], tmp_path: Path
) -> None:
    adapter("checkpoint-100", 1)
    adapter("checkpoint-200", 2, 16)
    adapter("checkpoint-300", 3, 8, 32)  # of a model half as wide
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n}?"}]} for n in range(QUESTIONS)]
    (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in questions))
    environment = f'{{ VLLM_CPU_KVCACHE_SPACE = "1", VLLM_CACHE_ROOT = "{tmp_path}/cache" }}'
    (tmp_path / "config.toml").write_text(
        'bench = "small"\n[answers]\nmodels = ["base", "sft"]\nmax_tokens = 16\n'
        '[judge]\nmodel = "base"\nbaseline = "base"\nverdict = "constrained"\nmax_tokens = 24\n'
        f'[vllm]\ncommand = ["{vllm_command}"]\n'
        f'[models.base]\nmodel = "{tiny_model}"\nserve = {{ args = ["--enforce-eager"], env = {environment} }}\n'
        '[models.sft]\nadapters = "runs/checkpoint-*"\nbase = "base"\n'
    )
    arena = [sys.executable, "-m", "arena_tui", "-c", str(tmp_path / "config.toml")]
    run = subprocess.run([*arena, "run"], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert run.returncode == 1, run.stderr  # one adapter cannot be used
    assert run.stderr.count("adapter cannot be used") == 1, run.stderr
    assert "sft-checkpoint-300: adapter cannot be used" in run.stderr
    written = {name: answers(bench, name) for name in ("base", "sft-checkpoint-100", "sft-checkpoint-200")}
    assert [len(texts) for texts in written.values()] == [QUESTIONS] * 3
    assert len({tuple(texts) for texts in written.values()}) == 3
    assert answers(bench, "sft-checkpoint-300") == []
    log = (bench / "logs" / "base.log").read_text()
    assert log.count("=== ") == 1  # one start
    for name in ("sft-checkpoint-100", "sft-checkpoint-200"):
        assert len((bench / "model_judgment" / "base" / f"{name}.jsonl").read_text().splitlines()) == QUESTIONS

    # The base alone, without any adapter, writes what it wrote beside them.
    (bench / "model_answer" / "base.jsonl").rename(bench / "beside.jsonl")
    alone = subprocess.run(
        [*arena, "run", "--models", "base", "--stage", "answers"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert alone.returncode == 0, alone.stderr
    assert answers(bench, "base") == written["base"]
