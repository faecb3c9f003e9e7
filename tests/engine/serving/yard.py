"""Models and a config for the fake `vllm`, and a look at the processes that it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engine.config.load import parse_config
from engine.events import Event
from engine.run import Run

FAKE = [sys.executable, "-S", str(Path(__file__).with_name("fake_vllm.py"))]
QUESTIONS = 4


class Yard:
    """A bench of a few questions, and folders of fake models beside it."""

    def __init__(self, folder: Path, questions: int = QUESTIONS) -> None:
        self.folder = folder
        self.bench = folder / "data" / "small"
        self.bench.mkdir(parents=True)
        lines = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n}?"}]} for n in range(questions)]
        (self.bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def model(self, name: str, **behaviour: Any) -> dict[str, Any]:
        """The entry of a fake model that behaves so."""
        folder = self.folder / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
        (folder / "fake.json").write_text(json.dumps(behaviour))
        return {"model": str(folder), "serve": {"args": []}, "parallel": 2}

    def config(self, models: dict[str, Any], judge: str = "judge", **vllm: Any) -> Any:
        document = {
            "bench": "small",
            "data": str(self.folder / "data"),
            "judge": {"model": judge, "baseline": "base"},
            "vllm": {"command": FAKE} | vllm,
            "models": models,
        }
        return parse_config(document, self.folder / "config.toml", {})

    def written(self, models: dict[str, Any]) -> Path:
        """A config file with these models."""
        tables = "".join(
            f'[models.{name}]\nmodel = "{entry["model"]}"\nserve = {{ args = [] }}\n' for name, entry in models.items()
        )
        file = self.folder / "config.toml"
        file.write_text(
            f'bench = "small"\n[judge]\nmodel = "judge"\nbaseline = "base"\n'
            f"[vllm]\ncommand = {json.dumps(FAKE)}\n{tables}"
        )
        return file

    def starts(self, name: str) -> list[str]:
        """The command lines with which a model was started, each behind the pid of its server."""
        file = self.folder / "models" / name / "starts"
        return file.read_text().splitlines() if file.exists() else []

    def pids(self, name: str) -> list[int]:
        return [int(line.split()[0]) for line in self.starts(name)]

    def seen(self, name: str) -> str:
        """The GPUs that the last server of a model could see."""
        return (self.folder / "models" / name / "gpus").read_text()

    def left(self) -> list[int]:
        """Live processes of any server that was ever started here."""
        groups = {pid for folder in (self.folder / "models").iterdir() for pid in self.pids(folder.name)}
        return live_members(groups)

    def lines(self, file: str) -> list[dict[str, Any]]:
        path = self.bench / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def live_members(groups: Iterable[int]) -> list[int]:
    """Live processes of these process groups, zombies apart."""
    wanted, found = set(groups), []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended meanwhile
            continue
        if int(group) in wanted and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def carried_out(run: Run, seconds: float = 180) -> list[Event]:
    """The events of a run that came to its end."""
    heard: list[Event] = []
    run.listen(heard.append)
    async with asyncio.timeout(seconds):
        await run.execute()
    return heard


async def listening(port: int) -> None:
    """Wait until somebody listens there."""
    async with asyncio.timeout(180):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def until(condition: Callable[[], object], seconds: float = 180) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
