"""A real training with `transformers.Trainer`, whose checkpoints a watch evaluates on a real vLLM server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.vllm

QUESTIONS = 12
PATIENCE = 420.0  # seconds
TOKEN = "a-token-of-the-tests"


@pytest.fixture
def trainer(vllm_command: Path) -> list[str]:
    """The command that trains; skips where the environment cannot."""
    python = str(vllm_command.with_name("python"))
    if subprocess.run([python, "-c", "import accelerate, peft"], capture_output=True, check=False).returncode:
        pytest.skip("accelerate and peft are not in vLLM's environment: .ci/vllm-env installs them")
    return [python, str(Path(__file__).with_name("tiny_training.py"))]


@pytest.fixture
def judge() -> Iterator[str]:
    """The address of a simulated judge."""
    command = [sys.executable, "-m", "arena_tui", "simulate", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture
def config(vllm_command: Path, tiny_model: Path, judge: str, tmp_path: Path) -> Path:
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n}?"}]} for n in range(QUESTIONS)]
    (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in questions))
    environment = f'{{ VLLM_CPU_KVCACHE_SPACE = "1", VLLM_CACHE_ROOT = "{tmp_path}/cache" }}'
    file = tmp_path / "config.toml"
    file.write_text(
        'bench = "small"\n[answers]\nmax_tokens = 16\n'
        f'[judge]\nmodel = "sim-judge"\nbaseline = "base"\n[vllm]\ncommand = ["{vllm_command}"]\n'
        f'[models.sim-judge]\nendpoints = [{{ base_url = "{judge}" }}]\n'
        f'[models.base]\nmodel = "{tiny_model}"\nserve = {{ args = ["--enforce-eager"], env = {environment} }}\n'
    )
    return file


class Watching:
    """`arena-tui watch` as a process, until the block ends."""

    def __init__(self, config: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "arena_tui", "-c", str(config), "watch", "--json", "--like", "base"]
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"ARENA_TUI_WATCH_TOKEN": TOKEN},
        )
        self.said: list[str] = []
        self.listens = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("POST "):
                self.address = line.split()[1].removesuffix("/evaluate")
                self.listens.set()

    def reports(self, count: int) -> list[dict[str, Any]]:
        """The next reports."""
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(count)]
        timer.cancel()
        assert all(lines), "".join(self.said)
        return [json.loads(line) for line in lines]

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)


def trained(trainer: list[str], *arguments: object, url: str) -> str:
    """What a training printed."""
    environment = os.environ | {"ARENA_TUI_WATCH_URL": url, "ARENA_TUI_WATCH_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*trainer, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "[]" in done.stdout  # nothing of this program is in the trainer's process but the callback
    return done.stdout + done.stderr


def test_adapters_that_a_trainer_saves_are_evaluated_on_one_server(
    trainer: list[str], config: Path, tiny_model: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    with Watching(config, "--port", 0, "--order", "oldest") as watch:
        assert watch.listens.wait(60)
        said = trained(trainer, tiny_model, runs, "--lora", url=watch.address)
        assert "the watch at" not in said
        reports = watch.reports(3)
        trained(trainer, tiny_model, tmp_path / "more", "--lora", "--steps", 1, "--every", 1, url=watch.address)
        (last,) = watch.reports(1)
    assert [each["step"] for each in reports] == [2, 4, 6]
    assert {each["state"] for each in (*reports, last)} == {"evaluated"}, reports
    assert {each["kind"] for each in reports} == {"adapter"}
    log = (tmp_path / "data" / "small" / "logs" / "base.log").read_text()
    assert log.count("=== ") == 1  # one start
    answers = tmp_path / "data" / "small" / "model_answer"
    assert len({(answers / f"{each['model']}.jsonl").read_text() for each in reports}) == 3
    beside = last["waited"] + last["seconds_beside_calls"]
    print(f"\nlast file of an adapter -> verdict, on a running server: {beside:.2f} s beside the calls")
    assert beside < 60.0


def test_whole_models_that_a_trainer_saves_are_evaluated_and_a_watch_that_is_down_disturbs_no_training(
    trainer: list[str], config: Path, tiny_model: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    said = trained(trainer, tiny_model, runs, "--steps", 2, url="http://127.0.0.1:9")
    assert "was not reached" in said
    with Watching(config, runs, "--once") as watch:
        (report,) = watch.reports(1)
        assert watch.process.wait(PATIENCE) == 0
    assert (report["kind"], report["step"], report["state"]) == ("model", 2, "evaluated"), watch.said
