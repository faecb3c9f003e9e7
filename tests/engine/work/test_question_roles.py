"""Questions that begin with a system prompt or given turns: sent in their roles, and shown to the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from desk import Desk

from engine.work.plan import Scope

QUESTIONS = [
    {"question_id": "q0", "turns": [{"role": "user", "content": "plain"}]},
    {
        "question_id": "q1",
        "turns": [{"role": "system", "content": "Be a pirate."}, {"role": "user", "content": "Hello"}],
    },
    {
        "question_id": "q2",
        "turns": [
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "5"},
            {"role": "user", "content": "Are you sure?"},
        ],
    },
]


@pytest.fixture
async def desk(tmp_path: Path) -> Any:
    """A bench of these questions, and a server that keeps what it is sent in `desk.sent`."""
    sent: list[list[tuple[str, str]]] = []

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in ("base", "good", "poor", "judge")]})

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        sent.append([(message["role"], message["content"]) for message in body["messages"]])
        text = "[[A=B]]" if body["model"] == "judge" else f"answer of {body['model']}"
        message = {"role": "assistant", "content": text}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": {}})

    app = web.Application()
    app.add_routes([web.get("/v1/models", models), web.post("/v1/chat/completions", chat)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk = Desk(tmp_path, f"http://127.0.0.1:{runner.addresses[0][1]}")
    desk.write("question.jsonl", QUESTIONS)
    try:
        yield desk, sent
    finally:
        await runner.cleanup()


ANSWERS = {"models": ["base", "good"], "system_prompt": "Be brief."}


async def test_each_message_is_sent_in_its_role_and_the_judge_sees_all_of_them(desk):
    bench, sent = desk
    await bench.run(answers=ANSWERS)
    answered = [messages for messages in sent if not any("Assistant A" in text for _, text in messages)]
    brief = ("system", "Be brief.")
    assert sorted(answered) == sorted(
        2
        * [
            [brief, ("user", "plain")],
            [("system", "Be a pirate."), ("user", "Hello")],
            [brief, ("user", "2+2?"), ("assistant", "5"), ("user", "Are you sure?")],
        ]
    )
    judged = [messages[-1][1] for messages in sent if messages not in answered]
    assert len(judged) == 6
    assert sum("[System]\nBe a pirate.\n\n[User]\nHello" in text for text in judged) == 2
    assert sum("[User]\n2+2?\n\n[Assistant]\n5\n\n[User]\nAre you sure?" in text for text in judged) == 2


async def test_a_run_resumes_and_notices_another_system_prompt(desk):
    bench, sent = desk
    await bench.run(answers=ANSWERS)
    count = len(sent)
    await bench.run(answers=ANSWERS)
    assert len(sent) == count
    poet = [{"role": "system", "content": "Be a poet."}, {"role": "user", "content": "Hello"}]
    bench.write("question.jsonl", [QUESTIONS[0], {"question_id": "q1", "turns": poet}, QUESTIONS[2]])
    await bench.run(Scope(refresh=frozenset({"stale"})), answers=ANSWERS)
    assert len(sent) == count + 4  # both answers to this question and both games
    assert sent[count][0] == ("system", "Be a poet.")
