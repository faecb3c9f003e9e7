"""kill -9 at random moments of a real process that writes: what was announced is there, whole, once."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import writing_child

from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock
from engine.bench.repair import recover
from engine.bench.run_files import load_journal
from engine.bench.stored import load_answers

REPOSITORY = Path(__file__).resolve().parents[3]
KILLS = 10


def write_until_killed(bench: BenchPaths, first: int, seconds: float) -> list[int]:
    """Let a process write records from `first` on, kill it after so many seconds; what it announced."""
    command = [sys.executable, writing_child.__file__, str(bench.root), str(first)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PYTHONPATH": str(REPOSITORY)}
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        started = child.stdout.readline()
        assert started == "ready\n", child.stderr.read()
        timer = threading.Timer(seconds, child.kill)
        timer.start()
        said = child.stdout.read()
        timer.cancel()
    lines = said.split("\n")[:-1]  # a last line that the kill cut short announces nothing
    return [int(number) for line in lines for number in line.split()]


def test_nothing_announced_is_lost_and_nothing_is_torn_or_doubled_after_kill_9(bench: BenchPaths):
    moments = random.Random(20)
    announced: list[int] = []
    stored: dict[str, str] = {}
    for _ in range(KILLS):
        first = max(map(int, stored), default=-1) + 1
        announced += write_until_killed(bench, first, moments.uniform(0.0, 0.35))
        with BenchLock(bench):  # free again, although it was not released
            recover(bench)
        stored = {}
        for model in bench.models_with_answers():
            path = bench.answers(model)
            loaded = load_answers(path)
            assert loaded.problems == ()
            assert path.read_bytes().endswith(b"\n")
            assert len(loaded.items) == path.read_bytes().count(b"\n"), "a record stands twice"
            stored |= {key: answer.turns[0] for key, answer in loaded.items.items()}
        assert load_journal(bench.journal).problems == ()
        assert set(announced) <= set(map(int, stored))

    assert len(announced) > 100
    assert len(announced) == len(set(announced))
    assert all(text == writing_child.text_of(int(number)) for number, text in stored.items())
