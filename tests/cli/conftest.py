"""The program as its users meet it: a process with arguments, files, stdout, stderr and an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from arena_program import ARENA


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
