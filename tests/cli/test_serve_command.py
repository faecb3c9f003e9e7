"""The program and the servers it starts, with a fake `vllm` of real processes: `serve`, `runs`, and sudden ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine" / "serving"))

from yard import QUESTIONS, Yard

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def written(yard: Yard, **behaviour: object) -> Path:
    """A config file with three models that behave so."""
    return yard.written({name: yard.model(name, **behaviour) for name in ("judge", "base", "good")})


@contextmanager
def arena(config: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, which a test that fails does not leave running."""
    program = subprocess.Popen(
        [sys.executable, "-m", "arena_tui", "-c", config, *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        try:
            yield program
        finally:
            program.kill()


def wait_for(condition: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_serve_prints_the_address_once_the_model_answers_and_ends_with_all_of_it(yard):
    with arena(written(yard), "serve", "good") as program:
        assert program.stdout is not None
        address = program.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}/models", timeout=10) as reply:
            assert json.load(reply)["data"][0]["root"].endswith("good")
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=180)
    assert program.returncode == 0, err
    assert out == ""
    assert "server good: ready" in err
    assert not yard.left()


@pytest.mark.parametrize(
    ("model", "told"), [("godo", "did you mean 'good'?"), ("bad", "good: cannot read the weights")]
)
def test_serve_says_what_is_wrong(yard, model, told):
    config = written(yard, fail=["SafetensorError: incomplete metadata"])
    with arena(config, "serve", "good" if model == "bad" else model) as program:
        _, err = program.communicate(timeout=180)
    assert told in err
    assert program.returncode == (1 if model == "bad" else 2)
    assert "Traceback" not in err


@pytest.mark.parametrize("moment", ["starting", "serving"])
def test_a_program_that_is_killed_leaves_no_server_behind(yard, moment):
    config = written(yard, stage_seconds=0.3 if moment == "starting" else 0.02)
    with arena(config, "serve", "good") as program:
        if moment == "serving":
            assert program.stdout is not None
            assert program.stdout.readline()
        wait_for(yard.left)
        program.kill()
        program.communicate(timeout=180)
    wait_for(lambda: not yard.left())


def test_a_run_that_is_interrupted_while_a_server_starts_ends_it_and_says_so(yard):
    with arena(written(yard, stage_seconds=0.3), "--no-ui", "run") as program:
        wait_for(yard.left)
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=180)
    assert program.returncode == 130
    assert "stopping" in err
    assert not yard.left()


def test_the_next_start_ends_a_server_whose_warden_was_killed_with_its_owner(yard):
    config = written(yard)
    with arena(config, "serve", "good") as program:
        assert program.stdout is not None
        assert program.stdout.readline()
        (server,) = yard.pids("good")
        warden = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(program.pid, signal.SIGSTOP)  # so that it cannot do the warden's duty before it is killed itself
        os.kill(warden, signal.SIGKILL)
        program.kill()
        program.communicate(timeout=180)
    assert yard.left()
    with arena(config, "serve", "base") as program:
        assert program.stdout is not None
        assert program.stdout.readline()
        assert not set(yard.left()) & {server}
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=180)
    assert "left running" in err
    assert not yard.left()


def test_runs_lists_the_runs_and_tells_in_what_two_of_them_differ(yard):
    config = written(yard)
    with arena(config, "--no-ui", "run") as program:
        program.communicate(timeout=120)
    config.write_text(config.read_text().replace("[judge]", "[judge]\ntemperature = 0.5", 1))
    with arena(config, "--no-ui", "run", "--refresh", "stale") as program:
        program.communicate(timeout=120)
    with arena(config, "runs") as program:
        out, _ = program.communicate(timeout=180)
    first, second = (line.split()[0] for line in out.splitlines()[1:])
    assert out.count("vLLM 0.32.0") == 2
    with arena(config, "runs", first, second) as program:
        out, _ = program.communicate(timeout=180)
    assert "config.judge.temperature: 0.0 -> 0.5" in out.splitlines()
    assert "port" not in out
    with arena(config, "runs", first) as program:
        out, _ = program.communicate(timeout=180)
    assert json.loads(out)["calls"] == 4 * QUESTIONS


def test_a_dry_run_tells_which_servers_are_started_when(yard):
    with arena(written(yard), "run", "--dry-run") as program:
        out, _ = program.communicate(timeout=180)
    assert "3 servers are started" in out
    assert f"vllm serve {yard.folder}/models/judge" in out
    assert not yard.starts("base")
