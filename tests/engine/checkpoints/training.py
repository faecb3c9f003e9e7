"""Folders as trainers write them, and a bench with a fake vLLM that serves them."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from pathlib import Path
from typing import Any

from engine.checkpoints.options import WatchOptions
from engine.checkpoints.report import CheckpointReport, WatchEvent, WatchNotice
from engine.checkpoints.watch import Watch
from engine.config.load import parse_config
from engine.ratings.stop_rule import parse_stop_rule

FAKE = [sys.executable, "-S", str(Path(__file__).parents[1] / "serving" / "fake_vllm.py")]
BASELINE = "base"


def safetensors(values: bytes = b"\0" * 8) -> bytes:
    """A file of one tensor."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [len(values) // 4], "data_offsets": [0, len(values)]}}).encode()
    return struct.pack("<Q", len(header)) + header + values


def adapter_checkpoint(folder: Path, step: int | None = None, values: bytes = b"\0" * 8, rank: int = 8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    described = {"peft_type": "LORA", "r": rank, "base_model_name_or_path": "somewhere/else"}
    (folder / "adapter_config.json").write_text(json.dumps(described))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(values))
    if step is not None:
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return folder


def model_checkpoint(folder: Path, values: bytes = b"\0" * 8, **behaviour: Any) -> Path:
    """A checkpoint of a whole model, which the fake vLLM serves as `behaviour` says."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "fake.json").write_text(json.dumps(behaviour))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors(values))
    return folder


class Training:
    """A bench of `questions`, a base whose answers are on disk, a judge, and a folder of checkpoints.

    `prefers` is the text of the answers that win; the answer of a model holds its name.
    """

    def __init__(
        self, folder: Path, questions: int = 30, prefers: str = "checkpoint", judge: str = "judge", **base: Any
    ) -> None:
        self.folder = folder
        self.judge = judge
        self.runs = folder / "runs"
        self.runs.mkdir(parents=True)
        self.bench = folder / "data" / "small"
        (self.bench / "model_answer").mkdir(parents=True)
        ids = [f"q{n}" for n in range(questions)]
        asked = [{"question_id": each, "turns": [{"content": f"What is {each}?"}]} for each in ids]
        answers = [
            {
                "question_id": each,
                "answer_id": each,
                "model_id": BASELINE,
                "choices": [{"index": 0, "turns": [{"content": "An answer of the base."}]}],
            }
            for each in ids
        ]
        (self.bench / "question.jsonl").write_text("".join(json.dumps(each) + "\n" for each in asked))
        (self.bench / "model_answer" / f"{BASELINE}.jsonl").write_text(
            "".join(json.dumps(each) + "\n" for each in answers)
        )
        base |= {"prefers": prefers} if judge == "base" else {}
        self.models = {"base": self._fake("base", base), "judge": self._fake("judge", {"prefers": prefers})}
        self.events: list[WatchEvent] = []

    def _fake(self, name: str, behaviour: dict[str, Any]) -> dict[str, Any]:
        folder = self.folder / "models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "fake.json").write_text(json.dumps(behaviour))
        return {"model": str(folder), "serve": {"args": [], "memory": 0.3}, "parallel": 4}

    def config(self, **vllm: Any) -> Any:
        document = {
            "bench": "small",
            "data": str(self.folder / "data"),
            "judge": {"model": self.judge, "baseline": BASELINE},
            "vllm": {"command": FAKE} | vllm,
            "models": self.models,
        }
        return parse_config(document, self.folder / "config.toml", {})

    def watch(self, until: str = "decided", until_best: str | None = None, **more: Any) -> Watch:
        rules = {"until": parse_stop_rule(until), "until_best": parse_stop_rule(until_best) if until_best else None}
        vllm = more.pop("vllm", {})
        given = {"folder": self.runs, "once": True, "poll": 0.1} | rules | more
        return Watch(self.config(**vllm), WatchOptions(**given), self.events.append)

    async def watched(self, **options: Any) -> list[CheckpointReport]:
        """What a watch reported until nothing was left."""
        before = len(self.events)
        async with asyncio.timeout(180):
            await self.watch(**options).run()
        return [event for event in self.events[before:] if isinstance(event, CheckpointReport)]

    @property
    def said(self) -> list[str]:
        return [str(event.text) for event in self.events if isinstance(event, WatchNotice)]

    def starts(self, name: str) -> int:
        """How often the server of a model of the config was started."""
        file = self.folder / "models" / name / "starts"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def lines(self, file: str) -> list[dict[str, Any]]:
        path = self.bench / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
