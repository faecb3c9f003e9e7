"""One chat call from its bytes to its reply: queue, prefix cache, faults, text, delays, metrics."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from engine.simulator.cast import Cast
from engine.simulator.config import SimulatorConfig
from engine.simulator.draws import uniform
from engine.simulator.faults import Altered, Disconnect, Dribble, Fault, FaultPlan, Hang, Status
from engine.simulator.metrics import ModelMetrics, ServerMetrics
from engine.simulator.replies import ChatReply, altered, disconnect, dribble, encode, fault_response, hang, stream
from engine.simulator.requests import ChatRequest, Refusal, error_body, prompt_tokens, read_chat, room_for_reply

BLOCK_TOKENS = 128
_BLOCK_CHARACTERS = 512  # of about BLOCK_TOKENS tokens


class PrefixCache:
    """The blocks of past prompts, up to `tokens` in all, the oldest dropped first."""

    def __init__(self, tokens: int) -> None:
        self._most = max(1, tokens // BLOCK_TOKENS)
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def admit(self, prompt: str) -> int:
        """Return how many tokens at the beginning of `prompt` are cached, and cache all its whole blocks."""
        blocks, known, unbroken, key = self._blocks, 0, True, 0
        for start in range(0, len(prompt) - _BLOCK_CHARACTERS + 1, _BLOCK_CHARACTERS):
            key = hash((key, prompt[start : start + _BLOCK_CHARACTERS]))
            if key in blocks:
                blocks.move_to_end(key)
                known += unbroken
            else:
                blocks[key] = None
                unbroken = False
        while len(blocks) > self._most:
            blocks.popitem(last=False)
        return known * BLOCK_TOKENS


class ChatCalls:
    """Answers POST /v1/chat/completions."""

    def __init__(self, config: SimulatorConfig, cast: Cast, metrics: ServerMetrics) -> None:
        self._config = config
        self._cast = cast
        self._metrics = metrics
        self._faults = FaultPlan(config.all_faults(), config.seed)
        self._prefixes = PrefixCache(config.kv_cache_tokens)
        self._slots = asyncio.Semaphore(config.max_running)
        self._waiting = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call. Raises Refusal for one that cannot be served."""
        self._metrics.arrive()
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            self._metrics.statuses[str(refusal.status)] += 1
            raise
        finally:
            self._metrics.leave()
        closed = request.transport is None or request.transport.is_closing()
        self._metrics.statuses["closed" if closed else str(response.status)] += 1
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        body = await request.read()
        asked = read_chat(body)
        name = self._cast.resolve(asked.model)
        fault = self._faults.fault_for(name, body)
        if fault is not None:
            self._metrics.faults[type(fault).__name__.lower()] += 1
        if isinstance(fault, Status):
            return fault_response(fault)
        if isinstance(fault, Hang):
            return await hang(request, fault)
        if isinstance(fault, Disconnect) and fault.after_bytes is None:
            return await disconnect(request, fault, b"")
        prompt = prompt_tokens(asked.messages)
        room = room_for_reply(asked, prompt, self._config.max_model_len)
        seen = self._metrics.models[name]
        async with self._slot(seen, prompt):
            seen.prompt_tokens += prompt
            seen.prefix_queries += prompt
            seen.prefix_hits += self._prefixes.admit("\n".join(message.text for message in asked.messages))
            key = self._cast.key(name, asked)
            choices = self._cast.reply(name, asked, room, key)
            if delay := self._first_token_after(key):
                await asyncio.sleep(delay)
            seen.first_token.observe(time.perf_counter() - began)
            reply = ChatReply(f"chatcmpl-{key.hex()}", name, prompt, choices)
            response = await self._send(request, asked, reply, fault)
        seen.whole_reply.observe(time.perf_counter() - began)
        for choice in choices:
            seen.generation_tokens += choice.tokens
            seen.finished[choice.finish_reason] += 1
        return response

    async def _send(
        self, request: web.Request, asked: ChatRequest, reply: ChatReply, fault: Fault | None
    ) -> web.StreamResponse:
        speed = self._config.tokens_per_second
        if asked.stream and fault is None:
            with_usage = asked.stream_options is not None and asked.stream_options.include_usage
            return await stream(request, reply, speed, with_usage=with_usage)
        if speed:
            await asyncio.sleep(max(choice.tokens for choice in reply.choices) / speed)
        if isinstance(fault, Altered):
            return web.Response(body=altered(fault, reply), content_type="application/json")
        body = encode(reply.completion())
        if isinstance(fault, Disconnect):
            return await disconnect(request, fault, body)
        if isinstance(fault, Dribble):
            return await dribble(request, fault, body)
        return web.Response(body=body, content_type="application/json")

    def _first_token_after(self, key: bytes) -> float:
        config = self._config
        return config.latency * (1 + config.jitter * (2 * uniform(key) - 1)) if config.latency else 0.0

    @asynccontextmanager
    async def _slot(self, seen: ModelMetrics, tokens: int) -> AsyncIterator[None]:
        """Hold a slot among the running requests, in order of arrival. Raises Refusal (503) when the queue is full."""
        if self._slots.locked():
            if self._config.max_queued and self._waiting >= self._config.max_queued:
                self._metrics.refused += 1
                raise Refusal(503, error_body("The request queue is full.", "Service Unavailable", 503))
            self._waiting += 1
            seen.waiting += 1
            try:
                await self._slots.acquire()
            finally:
                self._waiting -= 1
                seen.waiting -= 1
        else:
            await self._slots.acquire()
        seen.running += 1
        seen.tokens_held += tokens
        try:
            yield
        finally:
            seen.running -= 1
            seen.tokens_held -= tokens
            self._slots.release()
