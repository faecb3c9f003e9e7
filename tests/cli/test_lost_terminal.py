"""A run without UI whose terminal is lost (an SSH connection that broke): it stops in order and saves what it has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from arena_program import ARENA, records
from test_kill_and_resume import MODELS, QUESTIONS, write_bench

LONGEST = 240  # seconds


# Makes its stdin the controlling terminal, as a shell does, and becomes the program that follows.
IN_ITS_TERMINAL = (
    sys.executable,
    "-c",
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])",
)


def answers_in(bench: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in bench.glob("model_answer/*.jsonl"))


@pytest.mark.parametrize("terminal", ["xterm", "dumb"], ids=["live table", "plain lines"])
def test_a_run_that_loses_its_terminal_stops_in_order_and_the_next_one_goes_on(
    tmp_path, arena, simulator, starter, terminal: str
):
    slow, fast = simulator("--latency", "3"), simulator("--latency", "0")
    config = write_bench(tmp_path, slow, starter)  # so slow that the terminal is lost long before the run ends
    bench = tmp_path / "data" / "small"
    ours, its = os.openpty()
    process = subprocess.Popen(
        [*IN_ITS_TERMINAL, *ARENA, "--no-ui", "-c", str(config)],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        env=os.environ | {"TERM": terminal},
    )
    os.close(its)
    until = time.monotonic() + LONGEST
    os.set_blocking(ours, False)
    while answers_in(bench) < 5 and time.monotonic() < until and process.poll() is None:
        try:
            os.read(ours, 1 << 16)
        except BlockingIOError:
            time.sleep(0.02)
    os.close(ours)
    assert process.wait(LONGEST) == 130
    saved = answers_in(bench)
    assert 5 <= saved < (1 + len(MODELS)) * QUESTIONS
    for path in bench.glob("model_answer/*.jsonl"):
        records(path)  # each line is whole

    config.write_text(config.read_text("utf-8").replace(slow, fast), "utf-8")
    finished = arena("-c", config, "run", "--json")
    assert finished.returncode == 0, finished.stderr
    assert answers_in(bench) == (1 + len(MODELS)) * QUESTIONS


def test_a_run_under_nohup_outlives_its_terminal(tmp_path, simulator, starter):
    config = write_bench(tmp_path, simulator("--latency", "0.05"), starter)
    bench = tmp_path / "data" / "small"
    process = subprocess.Popen(
        ["bash", "-c", "trap '' HUP; exec \"$@\"", "nohup", *ARENA, "-c", str(config), "run"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + LONGEST
    while answers_in(bench) < 5 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    assert process.wait(LONGEST) == 0
    assert answers_in(bench) == (1 + len(MODELS)) * QUESTIONS


def test_the_terminal_ui_ends_when_its_terminal_closes_without_a_signal(tmp_path, simulator, starter):
    """As in a container, where the program has a terminal that does not control it."""
    config = write_bench(tmp_path, simulator("--latency", "0"), starter)
    ours, its = os.openpty()
    process = subprocess.Popen(
        [*ARENA, "-c", str(config)],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(its)
    shown = 0
    while shown < 2000:  # the first screen
        shown += len(os.read(ours, 1 << 16))
    os.close(ours)
    assert process.wait(LONGEST) == 0
