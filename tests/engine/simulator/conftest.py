"""A simulated server to talk to over real HTTP, and what a judge is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from engine.simulator import SimulatorConfig, running_simulator


class Served:
    """A running simulator and a client for it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def post(self, body: Any, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, Any]:
        """Status and JSON of a POST; `body` is bytes or what becomes JSON."""
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.session.post(self.url + path, headers=headers, **sent) as response:
            return response.status, await response.json(content_type=None)

    async def chat(self, model: str, *said: str, **fields: Any) -> dict[str, Any]:
        """Return the reply to a conversation that the user begins; temperature 0 unless set."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]
        status, reply = await self.post({"model": model, "messages": messages, "temperature": 0, **fields})
        assert status == 200, reply
        return reply

    async def says(self, model: str, *said: str, **fields: Any) -> str:
        """The text of the reply."""
        return (await self.chat(model, *said, **fields))["choices"][0]["message"]["content"]

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.text()

    async def number(self, name: str) -> float:
        """The sum over a metric's series whose text holds `name`."""
        _, text = await self.get("/metrics")
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if name in line and line[0] != "#")


Serve = Callable[[SimulatorConfig], Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts simulators that end with the test."""
    async with AsyncExitStack() as stack:

        async def start(config: SimulatorConfig) -> Served:
            url = await stack.enter_async_context(running_simulator(config))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Served(url, session)

        yield start


@pytest.fixture
def judge_prompt() -> Callable[[str, str, str], str]:
    """The user message of the arena-hard forks: question, answer A, answer B."""

    def prompt(question: str, answer_a: str, answer_b: str) -> str:
        places = "\n\n".join(
            f"<|The Start of Assistant {side}'s Answer|>\n{answer}\n<|The End of Assistant {side}'s Answer|>"
            for side, answer in (("A", answer_a), ("B", answer_b))
        )
        return f"<|User Prompt|>\n{question}\n\n{places}"

    return prompt
