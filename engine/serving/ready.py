"""Whether a started server answers: its health endpoint, and a first call for one token."""

from __future__ import annotations

import asyncio
import re

import aiohttp
import msgspec

from engine.models.endpoint import Endpoint
from engine.models.refusal import readable
from engine.serving.server_log import NO_CHAT_TEMPLATE, Cause

POLL_SECONDS = 0.25
HEALTH_TIMEOUT = 5.0  # seconds
CALL_TIMEOUT = 300.0  # seconds; the first call may compile
_FAULTS = (aiohttp.ClientError, TimeoutError, OSError)


async def until_healthy(session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
    """Wait until `/health` returns 200; until then nothing listens there."""
    url, limit = endpoint.server_url("health"), aiohttp.ClientTimeout(total=HEALTH_TIMEOUT)
    while True:
        try:
            async with session.get(url, timeout=limit) as reply:
                if reply.status == 200:
                    return
        except _FAULTS:
            pass
        await asyncio.sleep(POLL_SECONDS)


async def first_call(session: aiohttp.ClientSession, endpoint: Endpoint, model: str) -> Cause | None:
    """Request one token; return the cause if that fails, such as a missing chat template."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0.0}
    headers = {"Content-Type": "application/json", **endpoint.headers()}
    try:
        async with session.post(
            endpoint.url("chat/completions"),
            data=msgspec.json.encode(body),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT),
        ) as reply:
            if reply.status == 200:
                return None
            refusal = endpoint.redact.body(await reply.content.read(1 << 16))
            body_text = readable(refusal.decode("utf-8", "replace"))
    except _FAULTS as error:
        return Cause(f"first call failed: {error or type(error).__name__}", "see its log")
    if re.search(r"chat[_ ]template", body_text):
        return NO_CHAT_TEMPLATE
    return Cause(f"first call refused with {reply.status}: {body_text[:200]}", "see its log")
