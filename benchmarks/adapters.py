"""Eight LoRA adapters of one base at one real vLLM server, against the base alone with as many answers.

    python benchmarks/adapters.py --vllm /path/to/vllm [--adapters 8] [--questions 100] [--rounds 2]

Both runs start their server; the base answers adapters x questions questions, each adapter a share of them. The model
is tiny and its weights are noise, so that the time is that of servers and calls. Runs alternate.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAKERS = Path(__file__).resolve().parent.parent / "tests" / "integration"
TOKENS = 32  # of an answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--vllm", type=Path, required=True)
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, python = Path(scratch), options.vllm.with_name("python")
        subprocess.run([python, MAKERS / "tiny_model.py", folder / "base"], check=True, capture_output=True)
        for number in range(options.adapters):
            made = folder / "adapters" / f"step-{number}"
            command = [python, MAKERS / "tiny_adapter.py", folder / "base", made, str(number)]
            subprocess.run(command, check=True, capture_output=True)
        alone, shared = [], []
        for number in range(options.rounds):
            alone.append(answer(folder / f"alone-{number}", options.vllm, options.adapters * options.questions))
            shared.append(answer(folder / f"shared-{number}", options.vllm, options.questions, has_adapters=True))
            print(f"base alone {alone[-1]}, {options.adapters} adapters {shared[-1]}", flush=True)
    for what in ("whole", "calls"):
        ratio = statistics.median(getattr(one, what) for one in shared) / statistics.median(
            getattr(one, what) for one in alone
        )
        print(f"{what}: adapters take {ratio:.2f} times as long")


class Took:
    """Seconds of a whole run, and of its calls alone, from the server being ready."""

    def __init__(self, whole: float, calls: float, starts: int) -> None:
        self.whole, self.calls, self.starts = whole, calls, starts

    def __str__(self) -> str:
        return f"{self.whole:.1f} s ({self.calls:.1f} s of calls, {self.starts} start)"


def answer(folder: Path, vllm: Path, questions: int, *, has_adapters: bool = False) -> Took:
    """Carry out a run of answers."""
    bench = folder / "data" / "small"
    bench.mkdir(parents=True)
    lines = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n} plus {n}?"}]} for n in range(questions)]
    (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    environment = f'{{ VLLM_CPU_KVCACHE_SPACE = "1", VLLM_CACHE_ROOT = "{folder.parent}/cache" }}'
    adapters = f'[models.sft]\nadapters = "{folder.parent}/adapters/step-*"\nbase = "base"\n' if has_adapters else ""
    (folder / "config.toml").write_text(
        f'bench = "small"\n[answers]\nmodels = ["{"sft" if has_adapters else "base"}"]\nmax_tokens = {TOKENS}\n'
        f'[judge]\nmodel = "base"\nbaseline = "{"sft-step-0" if has_adapters else "base"}"\n'
        f'[vllm]\ncommand = ["{vllm}"]\n[models.base]\nmodel = "{folder.parent}/base"\n'
        f'serve = {{ args = ["--enforce-eager"], env = {environment} }}\n{adapters}'
    )
    command = [sys.executable, "-m", "arena_tui", "-c", str(folder / "config.toml"), "run", "--stage", "answers"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}\n{done.stderr}")
    (record,) = [json.loads(file.read_bytes()) for file in (bench / "runs").glob("*.json")]
    starts = sum(server["starts"] for server in record["servers"])
    return Took(whole, whole - record["servers"][0]["started_in"], starts)


if __name__ == "__main__":
    main()
