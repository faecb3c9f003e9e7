"""The program as its users meet it: a process with arguments, files, stdout, stderr and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arena_program import ARENA, QUESTIONS, SIMULATED, Open
from pty_terminal import Terminal


@pytest.fixture
def arena() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `arena-tui` with the given arguments to its end, without a terminal."""

    def run(*arguments: object, timeout: float = 120, **options: object) -> subprocess.CompletedProcess[str]:
        command = [*ARENA, *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL, **options
        )

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `arena-tui` and lets it run; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: object, **options: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*ARENA, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def simulator(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Starts `arena-tui simulate` on a free port; returns its base URL."""

    def run(*arguments: object) -> str:
        server = start("simulate", "--port", "0", *arguments)
        assert server.stdout is not None
        return server.stdout.readline().strip()

    return run


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    """Starts `arena-tui` in a terminal; whatever still runs at the end of the test is killed."""
    opened: list[Terminal] = []

    def start(*arguments: str, **options: object) -> Terminal:
        opened.append(Terminal([*ARENA, *arguments], tmp_path, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def slow_bench(tmp_path: Path, simulator: Callable[..., str]) -> Path:
    """A config whose models take their time, so that a run can be met in its middle."""
    address = simulator("--latency", "0.4")
    models = ("sim-baseline", "sim-strong", "sim-weak", "sim-judge")
    entries = [f'[models.{name}]\nparallel = 2\nendpoints = [{{ base_url = "{address}" }}]\n' for name in models]
    (tmp_path / "config.toml").write_text(SIMULATED + "".join(entries))
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    questions = ({"question_id": f"q{n}", "turns": [{"content": f"Question {n}?"}]} for n in range(QUESTIONS))
    (bench / "question.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    return bench
