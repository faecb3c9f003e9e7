"""`arena-tui watch`: lines for people and for programs, exit codes, the token."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession

FAKE = [sys.executable, "-S", str(Path(__file__).parents[1] / "engine" / "serving" / "fake_vllm.py")]
Arena = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A bench whose baseline is answered, and a base and a judge that a fake vLLM serves."""
    bench = tmp_path / "data" / "small"
    (bench / "model_answer").mkdir(parents=True)
    questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n}?"}]} for n in range(30)]
    (bench / "question.jsonl").write_text("".join(json.dumps(each) + "\n" for each in questions))
    answer = {"model_id": "base", "choices": [{"index": 0, "turns": [{"content": "Of the base."}]}]}
    lines = [json.dumps(answer | {"question_id": f"q{n}", "answer_id": str(n)}) + "\n" for n in range(30)]
    (bench / "model_answer" / "base.jsonl").write_text("".join(lines))
    tables = ""
    for name, behaviour in (("base", {}), ("judge", {"prefers": "checkpoint"})):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "fake.json").write_text(json.dumps(behaviour))
        tables += f'[models.{name}]\nmodel = "{folder}"\nserve = {{ memory = 0.4 }}\n'
    file = tmp_path / "config.toml"
    head = f'bench = "small"\n[judge]\nmodel = "judge"\nbaseline = "base"\n[vllm]\ncommand = {json.dumps(FAKE)}\n'
    file.write_text(head + tables)
    return file


def adapter(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    values = folder.name.encode()[-8:]
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + values)
    return folder


def test_each_checkpoint_is_a_line_with_its_verdict_in_words(arena: Arena, config: Path, tmp_path: Path) -> None:
    adapter(tmp_path / "runs" / "checkpoint-100")
    done = arena("-c", config, "watch", tmp_path / "runs", "--once", "--like", "base")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("step 100: base-checkpoint-100 is better than base after 21 questions: score 100.0 [")
    assert "best so far" in line
    assert "beside the calls" in line
    again = arena("-c", config, "watch", tmp_path / "runs", "--once", "--like", "base")
    assert (again.returncode, again.stdout) == (0, "")
    assert "1 checkpoint was evaluated before" in again.stderr
    board = arena("-c", config, "leaderboard", "--format", "json")
    assert "base-checkpoint-100" in [row["model"] for row in json.loads(board.stdout)["rows"]]


def test_each_checkpoint_is_an_object_for_programs(arena: Arena, config: Path, tmp_path: Path) -> None:
    for step in (100, 200):
        adapter(tmp_path / "runs" / f"step_{step}")
    broken = adapter(tmp_path / "runs" / "step_300")
    (broken / "broken").touch()
    done = arena("-c", config, "watch", tmp_path / "runs", "--once", "--json", "--order", "oldest", "--like", "base")
    assert done.returncode == 1, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["step"], each["state"]) for each in found] == [
        (100, "evaluated"),
        (200, "evaluated"),
        (300, "failed"),
    ]
    assert found[0]["best"] is None
    assert found[1]["best"]["step"] == 100
    assert {"verdict", "score", "lower", "upper", "questions", "calls", "seconds_beside_calls"} <= found[0].keys()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name the folder of a training, or a --port"),
        (["absent"], "no such folder"),
        (["runs", "--until", "decided:base"], "compared with the baseline"),
        (["runs", "--gpus", "a"], "not a list of GPUs"),
        (["runs", "--until", "nonsense"], "unknown condition"),
        (["--port", "0", "--token-file", "open-token"], "others may read the token"),
    ],
)
def test_wrong_usage_is_said(arena: Arena, config: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "open-token").write_text("a-token-of-the-tests")
    (tmp_path / "open-token").chmod(0o644)
    done = arena("-c", config, "watch", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_trainers_name_checkpoints_and_an_interrupt_ends_the_watch(start: Start, config: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "elsewhere" / "checkpoint-5")
    token = "a-token-of-the-tests"
    environment = os.environ | {"ARENA_TUI_WATCH_TOKEN": token}
    watch = start("-c", str(config), "watch", "--port", "0", "--json", "--like", "base", env=environment)
    assert watch.stderr is not None
    assert watch.stdout is not None
    said = ""
    while "/evaluate" not in said:
        said = watch.stderr.readline()
        assert token not in said
    address = said.split()[1].removesuffix("/evaluate")
    body = json.dumps({"model": str(folder), "step": 5}).encode()
    request = urllib.request.Request(f"{address}/evaluate", body, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status == 202
    assert json.loads(watch.stdout.readline())["verdict"] == "better"
    watch.send_signal(signal.SIGINT)
    assert watch.wait(60) == 130
    assert not left_of(tmp_path)
    environments = [json.loads((tmp_path / "models" / name / "environment").read_text()) for name in ("base", "judge")]
    assert not any("ARENA_TUI_WATCH_TOKEN" in names for names in environments)


async def test_the_session_of_a_terminal_shows_each_run_of_a_watch(start: Start, config: Path, tmp_path: Path) -> None:
    for step in (100, 200):
        adapter(tmp_path / "runs" / f"step_{step}")
    (tmp_path / "models" / "base" / "fake.json").write_text('{"latency": 1.0}')
    watch = start("-c", str(config), "watch", str(tmp_path / "runs"), "--once", "--like", "base")
    lock = tmp_path / "data" / "small" / ".watch.lock"
    session = ArenaSession(Invocation(config))
    async with asyncio.timeout(120):
        while not lock.exists():
            await asyncio.sleep(0.05)
        await session.open()
        shown: set[str] = set()
        while shown != {"base-step_100", "base-step_200"}:
            assert watch.poll() is None, "the watch ended before both of its runs were shown"
            shown |= {task.model for task in session.state.tasks}
            await asyncio.sleep(0.05)
        await session.close()
    assert watch.wait(60) == 0


def test_stopping_its_run_ends_the_watch(arena: Arena, start: Start, config: Path, tmp_path: Path) -> None:
    adapter(tmp_path / "runs" / "step_100")
    (tmp_path / "models" / "base" / "fake.json").write_text('{"latency": 1.0}')
    watch = start("-c", str(config), "watch", str(tmp_path / "runs"), "--like", "base")
    while arena("-c", config, "status").returncode:
        assert watch.poll() is None
    assert arena("-c", config, "stop").returncode == 0
    assert watch.wait(60) == 130


def left_of(folder: Path) -> list[str]:
    """Command lines of processes that serve a model of the test; they may take a moment to be gone."""
    deadline = time.monotonic() + 30
    while True:
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = file.read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder / "models") in line:
                found.append(line)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
