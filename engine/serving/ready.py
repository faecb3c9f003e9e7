"""Whether a server that was started serves: its health, and one call that makes a single token."""

from __future__ import annotations

import asyncio
import re

import aiohttp
import msgspec

from engine.models.endpoint import Endpoint
from engine.models.reply import readable
from engine.serving.server_log import Cause

LOOK_SECONDS = 0.25
LOOK_LIMIT = 5.0  # seconds that one question about its health may take
CALL_LIMIT = 300.0  # the first call may compile
_FAULTS = (aiohttp.ClientError, TimeoutError, OSError)


async def until_healthy(session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    """Wait until `/health` says that all is well. Until it is ready, nothing listens there."""
    url, limit = endpoint.server_url("health"), aiohttp.ClientTimeout(total=LOOK_LIMIT)
    while True:
        try:
            async with session.get(url, timeout=limit) as reply:
                if reply.status == 200:
                    return
        except _FAULTS:
            pass
        await asyncio.sleep(LOOK_SECONDS)


async def until_it_chats(session: aiohttp.ClientSession, endpoint: Endpoint, model: str) -> Cause | None:
    """Ask for one token; what is wrong if none comes, such as a model that has no chat template."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0.0}
    headers = {"Content-Type": "application/json", **endpoint.headers()}
    try:
        async with session.post(
            endpoint.url("chat/completions"),
            data=msgspec.json.encode(body),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=CALL_LIMIT),
        ) as reply:
            if reply.status == 200:
                return None
            told = readable((await reply.content.read(1 << 16)).decode("utf-8", "replace"))
    except _FAULTS as error:
        return Cause(f"its first call failed: {error or type(error).__name__}", "its log tells more")
    if re.search(r"chat[_ ]template", told):
        return Cause(
            "the model has no chat template, so it cannot hold a conversation",
            'give it one: args = ["--chat-template", "FILE.jinja"]; a base model is no chat model',
        )
    return Cause(f"its first call was refused with {reply.status}: {endpoint.redact(told)[:200]}", "its log tells more")
