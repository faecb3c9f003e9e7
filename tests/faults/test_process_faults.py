"""The program ended in every way at random moments, again and again: what it announced is there, whole and once.

`ARENA_TUI_KILLS=100` asks for as many ends as the full trial has; the default is what a test run can spare.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_bench import answers, judgments, lines

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("forking_program.py")
ENDS = int(os.environ.get("ARENA_TUI_KILLS", "24"))
QUESTIONS = 20
MODELS = ("sim-baseline", "sim-strong", "sim-weak")
JUDGED = MODELS[1:]
LONGEST_LIFE = 60  # seconds: an end that was asked for comes far sooner
MEMORY = (70 << 20, 250 << 20)  # bytes that a life may take before its limit: some come through

WAYS = {
    "kill -9": [signal.SIGKILL],
    "SIGTERM": [signal.SIGTERM],
    "lost terminal": [signal.SIGHUP],
    "Ctrl-C": [signal.SIGINT],
    "Ctrl-C twice": [signal.SIGINT, signal.SIGINT],
    "out of memory": [signal.SIGKILL],  # by a limit of its own, or else as the system does it
}


class Program:
    """The forking program and its lives."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._read()

    def live(self, order: dict[str, object], signals: list[int], moment: float) -> int:
        """A life that gets `signals` after `moment` seconds; how it ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = int(self._read())
        time.sleep(moment)  # the moment is what is tried
        for number in signals:
            os.kill(pid, number)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said, "the forking program has died"
        return said.strip()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with (tmp_path / "stderr.txt").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )
        with process:
            yield Program(process)
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture
def simulator() -> Iterator[str]:
    """The base URL of a simulated server in a process of its own."""
    command = [sys.executable, "-m", "arena_tui", "simulate", "--port", "0", "--latency", "0.03"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def make_bench(folder: Path, url: str) -> Path:
    """A folder with a bench and a config; gives the config."""
    bench = folder / "data" / "bench"
    bench.mkdir(parents=True)
    rows = ({"question_id": f"q{n}", "turns": [{"content": f"What is {n} + {n}?"}]} for n in range(QUESTIONS))
    (bench / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    tables = "".join(
        f'[models."{name}"]\nparallel = 3\nendpoints = [{{ base_url = "{url}" }}]\n' for name in (*MODELS, "sim-judge")
    )
    config = folder / "config.toml"
    config.write_text(f'bench = "bench"\n[judge]\nmodel = "sim-judge"\nbaseline = "{MODELS[0]}"\n{tables}', "utf-8")
    return config


def stored(bench: Path) -> dict[str, str]:
    """Every record on disk, as the program announces them, with what it says. A torn last line is passed over."""
    found = {}
    for path in [*bench.glob("model_answer/*.jsonl"), *bench.glob("model_judgment/sim-judge/*.jsonl")]:
        stage = "answers" if path.parent.name == "model_answer" else "judgments"
        for line in path.read_bytes().split(b"\n")[:-1]:
            record = json.loads(line)
            name = f"{stage} {path.stem} {record['question_id']}"
            assert name not in found, f"{name} stands twice"
            found[name] = line.decode()
    return found


def verdicts(bench: Path) -> dict[tuple[str, str], list[object]]:
    """What a leaderboard is made of."""
    return {
        (model, question): [game["score"] for game in row["games"]]
        for model in JUDGED
        for question, row in judgments(bench, model, "sim-judge").items()
    }


def test_whatever_ends_the_program_nothing_announced_is_lost(tmp_path: Path, program: Program, simulator: str):
    chance = random.Random(int(os.environ.get("ARENA_TUI_SEED", "5")))
    order = {"told": "", "memory": None, "grace": 0.5}
    calm = make_bench(tmp_path / "calm", simulator)
    began = time.monotonic()
    assert program.live(order | {"config": str(calm), "told": str(tmp_path / "calm.txt")}, [], 0.0) == 0
    whole_life = time.monotonic() - began
    undisturbed = verdicts(calm.parent / "data" / "bench")
    assert len(undisturbed) == len(JUDGED) * QUESTIONS

    ended: Counter[str] = Counter()
    rounds = 0
    while ended.total() < ENDS:
        rounds += 1
        config = make_bench(tmp_path / f"round-{rounds}", simulator)
        bench, told = config.parent / "data" / "bench", config.parent / "told.txt"
        order |= {"config": str(config), "told": str(told)}
        code, kept = -1, {}
        while code != 0:
            way = chance.choice(list(WAYS)) if ended.total() < ENDS else ""
            memory = chance.randrange(*MEMORY) if way == "out of memory" else None
            moment = chance.uniform(0.0, 0.6 * whole_life) if way else 0.0
            code = program.live(order | {"memory": memory}, WAYS.get(way, []), moment)
            ended[way] += 1
            there = stored(bench)
            announced = told.read_text().split("\n")[:-1] if told.exists() else []
            assert len(announced) == len(set(announced)), "a record was announced twice"
            assert set(announced) <= there.keys(), f"lost by {way} ({code})"
            assert kept.items() <= there.items(), f"{way} ({code}) changed what was there"
            kept = there
            said = (tmp_path / "stderr.txt").read_text()[-2000:]
            assert code in allowed_codes(way), f"{way} ended with {code}: {said}"
        for model in MODELS:
            assert answers(bench, model).keys() == {f"q{n}" for n in range(QUESTIONS)}
        assert verdicts(bench) == undisturbed
        assert not (bench / "journal.jsonl").exists(), "every part has found its record"
        assert lines(bench / "errors.jsonl") == []
    print(f"{dict(ended)} in {rounds} rounds, {time.monotonic() - began:.0f} s")


def allowed_codes(way: str) -> set[int]:
    """Done in time, as its way has it, or killed before it could listen for signals."""
    if way == "out of memory":
        return {0, 1, 70, -signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGTRAP}
    unheard = {-number for number in WAYS.get(way, [])}
    return {0} if not way else {0, 130, *unheard}
