"""LoRA adapters on a running server: loading them, and whether the base is still itself beside them.

vLLM loads adapters while it runs if it was started with VLLM_ALLOW_RUNTIME_LORA_UPDATING, which only servers of our own
are. One that cannot be loaded fails alone; named on the command line it would end the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import msgspec

from engine.errors import CallFailed
from engine.models.connection import FAULTS, failure_of, fetch
from engine.models.endpoint import Endpoint
from engine.models.refusal import failure_of_status
from engine.models.reply import read_reply
from engine.serving.plan import ServedAdapter

RUNTIME_LOADING = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
LOAD_SECONDS = 600.0  # a hub name may be downloaded
CALL_SECONDS = 300.0
_LARGEST_REPLY = 1 << 20  # bytes
_PROMPTS = ("Name three rivers.", "Write a line about the sea.", "What is 17 times 23?")
_PROBE_TOKENS = 12
_PROBED_BESIDE = 3  # adapters that are called together with the base


async def load_adapter(session: aiohttp.ClientSession, endpoint: Endpoint, adapter: ServedAdapter) -> str:
    """Have a server load an adapter; return what is wrong with it, "" if it is loaded."""
    if adapter.problem:
        return adapter.problem
    body = msgspec.json.encode({"lora_name": adapter.served_name, "lora_path": adapter.path})
    url = endpoint.url("load_lora_adapter")
    try:
        status, reply = await fetch(session, endpoint, url, time_limit=LOAD_SECONDS, largest=_LARGEST_REPLY, body=body)
        if status != 200:
            raise failure_of_status(status, reply)
    except CallFailed as failure:
        return f"the server does not load it: {endpoint.redact(failure.title)}"
    except FAULTS as error:
        return f"the server does not load it: {failure_of(error, 0.0).title}"
    return ""


async def base_stays_itself(
    session: aiohttp.ClientSession, endpoint: Endpoint, base: str, adapters: Sequence[str]
) -> bool:
    """Return whether the base writes the same alone and in batches with adapters.

    vLLM 0.32 on a CPU applies an adapter's weights to requests of the base in a mixed batch
    (https://github.com/vllm-project/vllm/pull/48421). A reply that cannot be had counts as another one.
    """
    try:
        alone = [await _written(session, endpoint, base, prompt) for prompt in _PROMPTS]
        for prompt, expected in zip(_PROMPTS, alone, strict=True):
            beside = [_written(session, endpoint, name, prompt) for name in adapters[:_PROBED_BESIDE]]
            mixed, *_ = await asyncio.gather(_written(session, endpoint, base, prompt), *beside)
            if mixed != expected:
                return False
    except (CallFailed, *FAULTS):
        return False
    return True


async def _written(session: aiohttp.ClientSession, endpoint: Endpoint, model: str, prompt: str) -> str:
    """Return the likeliest text of a few tokens. Raises CallFailed and `FAULTS`."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": _PROBE_TOKENS,
        "temperature": 0.0,
        "seed": 0,
    }
    status, reply = await fetch(
        session,
        endpoint,
        endpoint.url("chat/completions"),
        time_limit=CALL_SECONDS,
        largest=_LARGEST_REPLY,
        body=msgspec.json.encode(body),
    )
    return read_reply(status, reply).content
