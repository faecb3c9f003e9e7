"""A bench of checkpoints that were judged, with a config that names no server."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.labels import Label
from engine.records import Game, JudgmentRecord

QUESTIONS = 60
CONFIG = """\
bench = "tiny"
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{ base_url = "http://127.0.0.1:9/v1" }]
[models.base]
endpoints = [{ base_url = "http://127.0.0.1:9/v1" }]
"""
SHARES = {1000: 0.3, 2000: 0.5, 3000: 0.8, 4000: 0.8, 5000: 0.75}
NAME = "run-step{}"


def make_training(folder: Path, shares: Mapping[int, float] = SHARES, name: str = NAME, config: str = CONFIG) -> Path:
    """Write `config.toml` and a bench on which checkpoints win such shares of the questions; return its folder."""
    (folder / "config.toml").write_text(config, "utf-8")
    bench = folder / "data" / "tiny"
    (bench / "model_judgment" / "judge").mkdir(parents=True, exist_ok=True)
    questions = [{"question_id": f"q{n:02}", "turns": [{"content": "?"}]} for n in range(QUESTIONS)]
    (bench / "question.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions), "utf-8")
    for step, share in shares.items():
        judge_checkpoint(bench, name.format(step), share)
    return bench


def judge_checkpoint(bench: Path, model: str, share: float, questions: int = QUESTIONS) -> None:
    """Append judgments of the first questions; questions that are easy for one checkpoint are easy for all."""
    difficulty, own = random.Random("questions"), random.Random(model)
    with (bench / "model_judgment" / "judge" / f"{model}.jsonl").open("ab") as file:
        for number in range(questions):
            shared, mine = difficulty.random(), own.random()
            won = (mine if own.random() < 0.2 else shared) < share
            labels: tuple[Label, Label] = ("B>A", "A>B") if won else ("A>B", "B>A")
            record = JudgmentRecord(
                f"q{number:02}",
                model,
                "judge",
                tuple(Game("prompt", "reply", label) for label in labels),
                baseline="base",
                tstamp=1_000_000.0 + number,
                settings="abc",
                inputs="texts",
            )
            file.write(msgspec.json.encode(record) + b"\n")
