"""Real vLLM servers that arena-tui starts, swaps, mends and ends; each test looks at the processes that remain."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.vllm

REPOSITORY = Path(__file__).resolve().parents[2]
QUESTIONS = 6
PATIENCE = 420.0  # seconds for a start or an end; 30 to 80 are usual


class Yard:
    """A folder with a bench, a config for the tiny model, and an eye on every server that is started from it."""

    def __init__(self, folder: Path, vllm: Path, tiny: Path) -> None:
        self.folder, self.vllm, self.tiny = folder, vllm, tiny
        self.bench = folder / "data" / "small"
        self.bench.mkdir(parents=True)
        self.sessions: set[int] = set()
        questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n}?"}]} for n in range(QUESTIONS)]
        (self.bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in questions))

    def config(self, models: dict[str, dict[str, Any]], answering: list[str], verdict: str = "constrained") -> Path:
        """A config file; every model is the tiny one unless it says otherwise."""
        environment = f'{{ VLLM_CPU_KVCACHE_SPACE = "1", VLLM_CACHE_ROOT = "{self.folder}/cache" }}'
        tables = ""
        for name, entry in models.items():
            arguments = json.dumps(["--enforce-eager", *entry.pop("args", [])])
            keys = {"model": str(self.tiny), "parallel": 1} | entry
            lines = "".join(f"{key} = {written(value)}\n" for key, value in keys.items())
            tables += f"[models.{name}]\n{lines}serve = {{ args = {arguments}, env = {environment} }}\n"
        file = self.folder / "config.toml"
        file.write_text(
            f'bench = "small"\n[answers]\nmodels = {json.dumps(answering)}\nmax_tokens = 96\n'
            f'[judge]\nmodel = "judge"\nbaseline = "{answering[0]}"\nmax_tokens = 24\nverdict = "{verdict}"\n'
            f"[vllm]\ncommand = {json.dumps([str(self.vllm)])}\n{tables}"
        )
        return file

    def start(self, config: Path, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "arena_tui", "-c", config, *arguments],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "stderr").open("w"),
            text=True,
        )

    def told(self) -> str:
        """What the program has written to stderr so far."""
        return (self.folder / "stderr").read_text()

    def processes(self) -> dict[int, str]:
        """Live processes of any server that was seen so far, whatever became of their parents.

        The ledger beside the logs tells the session of each server while it runs.
        """
        for file in (self.bench / "logs").glob("server-*.json"):
            self.sessions.add(int(file.stem.removeprefix("server-")))
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                state, _parent, _group, session = (place / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) in self.sessions and state not in "ZX":
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it ended meanwhile
                continue
        return found

    def records(self, file: str) -> list[dict[str, Any]]:
        path = self.bench / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def written(value: object) -> str:
    if isinstance(value, list):  # of endpoints
        return "[" + ", ".join(f'{{ base_url = "{address}" }}' for address in value) + "]"
    return json.dumps(value)


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture
def yard(vllm_command: Path, tiny_model: Path, tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path, vllm_command, tiny_model)
    yield made
    left = made.processes()
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert not left, "a server was left behind"


def test_one_command_answers_swaps_to_the_judge_and_mends_an_engine_that_is_killed_on_the_way(yard: Yard) -> None:
    models = {"north": {}, "south": {"system_prompt": "You are the other one."}, "judge": {"args": ["--seed", "1"]}}
    config = yard.config(models, ["north", "south"])
    with yard.start(config, "--no-ui", "run", "--json") as program:
        wait_for(lambda: yard.records("model_answer/north.jsonl"), "a first answer comes")
        (engine,) = (pid for pid, command in yard.processes().items() if "EngineCore" in command)
        os.kill(engine, signal.SIGKILL)
        wait_for(lambda: yard.processes() and len(yard.sessions) == 2, "it is started again")
        wait_for(lambda: yard.processes() and len(yard.sessions) == 3, "the judge is started")
        out, _ = program.communicate(timeout=3 * PATIENCE)
    told = yard.told()
    assert program.returncode == 0, told
    assert "server exited and is restarted" in told
    assert len(yard.sessions) == 3, "a first server, the same again, and the judge's"
    assert not yard.processes()
    assert not (yard.bench / "errors.jsonl").exists(), "no call was lost with the engine"
    for model in ("north", "south"):
        answers = yard.records(f"model_answer/{model}.jsonl")
        assert sorted(answer["question_id"] for answer in answers) == [f"q{n}" for n in range(QUESTIONS)]
    games = [game for line in yard.records("model_judgment/judge/south.jsonl") for game in line["games"]]
    assert len(games) == 2 * QUESTIONS
    assert all(game["score"] in ("A>>B", "A>B", "A=B", "B>A", "B>>A") for game in games)
    assert {row["model"] for row in json.loads(out)["rows"]} == {"north", "south"}
    (file,) = (yard.bench / "runs").iterdir()
    run = json.loads(file.read_text())
    assert [(server["name"], server["starts"]) for server in run["servers"]] == [("north", 2), ("judge", 1)]
    (served,) = run["models"]["judge"]
    assert (served["root"], served["max_model_len"]) == (str(yard.tiny), 8192)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", served["vllm"])
    assert served["system_fingerprints"]
    assert (yard.bench / "logs" / "judge.log").exists()


def test_what_keeps_a_server_from_starting_is_told_in_one_line_each(yard: Yard, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    shutil.copytree(yard.tiny, torn)
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        models = {
            "busy": {"endpoints": [f"http://127.0.0.1:{port}/v1"]},
            "long": {"args": ["--max-model-len", "20000"]},
            "torn": {"model": str(torn)},
            "judge": {},
        }
        config = yard.config(models, ["busy", "long", "torn"])
        with yard.start(config, "--no-ui", "run") as program:
            program.communicate(timeout=2 * PATIENCE)
    told = yard.told()
    assert program.returncode in (1, 2)
    assert "Traceback" not in told
    for name, line in {
        "busy": f"port {port} is in use by another program",
        "long": "--max-model-len 20000 exceeds the model's context of 8192 tokens",
        "torn": "cannot read the weights",
    }.items():
        (line_told,) = [text for text in told.splitlines() if text.startswith(f"error: {name}: ")]
        assert line in line_told
    nowhere = yard.config({"nowhere": {"model": "/no/such/model"}, "judge": {}}, ["nowhere"])
    with yard.start(nowhere, "serve", "nowhere") as program:
        program.communicate(timeout=PATIENCE)
    assert program.returncode == 2
    assert "/no/such/model not found" in yard.told()


@pytest.mark.parametrize(
    "moment",
    ["importing Python packages", "reading the model's config", "starting the engine", "loading weights", "warming up"],
)
def test_an_interrupt_at_any_moment_of_a_start_leaves_nothing_behind(yard: Yard, moment: str) -> None:
    config = yard.config({"north": {}, "judge": {}}, ["north"])
    with yard.start(config, "serve", "north") as program:
        wait_for(lambda: yard.processes() and moment in yard.told(), f"it comes to {moment}")
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=PATIENCE)
    assert not yard.processes()
    assert out == "", "it never served"
    assert program.returncode == 0, yard.told()
