"""A bench that was judged, with a config that names no server: what a reviewer may find on disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession

PATIENCE = 240  # seconds: tests hold on a slow machine
CALM = 2  # looks in a row that find nothing to do
CONFIG = """
bench = "small"
[judge]
model = "the-judge"
baseline = "base"
[models.the-judge]
endpoints = [{ base_url = "http://127.0.0.1:9/v1", api_key = "${A_KEY_THAT_NOBODY_HAS}" }]
"""
QUESTIONS = {
    "q1": ("science", "Why is the sky blue?\n\nExplain it to a child of five, in **three** sentences."),
    "q2": ("poetry", "Напиши короткое стихотворение о море."),
    "q3": ("science", "How far away is the moon, and how do we know?"),
}
ANSWERS = {
    "base": "The answer of base, which is plain.\n\n1. It has a list.\n2. With two items.",
    "good-model": "## Well\n\nA good answer with `code` and **weight**.\n\n```python\nprint('hello')\n```\n\nThe end.",
    "bad-model": "Hm. Nobody knows.",
}
LABELS = {
    ("good-model", "q1"): ("B>>A", "A>B"),
    ("good-model", "q2"): ("B>A", "B>A"),
    ("good-model", "q3"): ("A=B", None),
    ("bad-model", "q1"): ("A>>B", "B>>A"),
    ("bad-model", "q2"): ("A>B", "B>A"),
    ("bad-model", "q3"): ("A>B", "A=B"),
}


def write(path: Path, *records: dict[str, Any]) -> None:
    """Append records as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.writelines(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def answer(model: str, question_id: str, text: str) -> dict[str, Any]:
    turns = [{"content": text, "token_len": len(text) // 4}]
    return {"question_id": question_id, "model_id": model, "choices": [{"index": 0, "turns": turns}]}


def judgment(model: str, question_id: str) -> dict[str, Any]:
    base, ours = ANSWERS["base"], ANSWERS[model]
    games = [
        {
            "user_prompt": f"<|User Prompt|>\n{QUESTIONS[question_id][1]}\n\n"
            f"<|The Start of Assistant A's Answer|>\n{a}\n<|The End of Assistant A's Answer|>\n\n"
            f"<|The Start of Assistant B's Answer|>\n{b}\n"
            "<|The End of Assistant B's Answer|>",
            "judgment": f"I compared both. My final verdict is: [[{label or '?'}]]",
            "score": label,
            "reasoning": f"First I thought about {question_id}.",
        }
        for label, (a, b) in zip(LABELS[model, question_id], ((base, ours), (ours, base)), strict=True)
    ]
    return {"question_id": question_id, "model": model, "judge": "the-judge", "games": games, "baseline": "base"}


def make_bench(folder: Path, *, judged: bool = True) -> Path:
    """Write `config.toml` and the bench; returns the bench's folder."""
    (folder / "config.toml").write_text(CONFIG)
    bench = folder / "data" / "small"
    for key, (category, text) in QUESTIONS.items():
        write(bench / "question.jsonl", {"question_id": key, "category": category, "turns": [{"content": text}]})
    for model, text in ANSWERS.items():
        for key in QUESTIONS:
            write(bench / "model_answer" / f"{model}.jsonl", answer(model, key, text))
    if judged:
        for model, key in LABELS:
            write(bench / "model_judgment" / "the-judge" / f"{model}.jsonl", judgment(model, key))
    return bench


@asynccontextmanager
async def opened(
    folder: Path,
    mode: str,
    size: tuple[int, int] = (118, 40),  # the list alone: from 120 on, the detail is beside it
    reviewer: str = "anna",
    ready: Callable[[ArenaApp], bool] = lambda app: getattr(app.screen, "is_read", False),
) -> AsyncIterator[tuple[ArenaApp, Pilot[None]]]:
    """The app on a bench in `folder`, when it has read the judgments (or is otherwise `ready`)."""
    session = ArenaSession(Invocation(folder / "config.toml"))
    session.reviewer = reviewer
    app = ArenaApp(session, mode)
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: ready(app))
            await settle(pilot)
            yield app, pilot
    finally:
        await session.close()


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await pilot.pause(0.02)


async def settle(pilot: Pilot[None]) -> None:
    """Until nothing is loading and everything is painted.

    `Pilot.pause` alone takes an app for idle that merely got no processor, so messages and workers are looked at.
    """
    calm = 0
    async with asyncio.timeout(PATIENCE):
        while calm < CALM:
            await pilot.pause()
            await pilot.app.workers.wait_for_complete()
            calm = 0 if is_busy(pilot.app) else calm + 1


def is_busy(app: App[None]) -> bool:
    """Whether a message waits to be handled, or a worker works."""
    pumps = [app, *(node for screen in app.screen_stack for node in screen.walk_children(with_self=True))]
    return any(pump.message_queue_size for pump in pumps) or any(not worker.is_finished for worker in app.workers)


def painted(app: ArenaApp) -> str:
    """What stands on the screen, line by line."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())
