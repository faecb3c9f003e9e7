"""The simulated server: vLLM's routes, errors and numbers, without a model behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hmac import compare_digest
from typing import Any

from aiohttp import web

from engine.simulator.cast import Cast
from engine.simulator.chat import ChatCalls
from engine.simulator.config import SimulatorConfig
from engine.simulator.metrics import ServerMetrics
from engine.simulator.replies import json_response
from engine.simulator.requests import Refusal, prompt_tokens, read_tokenize
from engine.simulator.text import count_tokens, pieces, token_id

VERSION = "simulated"
_LARGEST_BODY = 64 * 1024 * 1024
_LEAVE_SECONDS = 0.2  # for requests in flight when the server stops

RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(config: SimulatorConfig) -> web.Application:
    """Return the application that serves `config`: chat calls, models, tokens, health and metrics."""
    cast = Cast(config)
    metrics = ServerMetrics(cast.names, config.kv_cache_tokens)
    chat = ChatCalls(config, cast, metrics)

    async def health(_: web.Request) -> web.Response:
        return web.Response()

    async def version(_: web.Request) -> web.Response:
        return json_response({"version": VERSION})

    async def models(_: web.Request) -> web.Response:
        return json_response({"object": "list", "data": [_model_card(name, config) for name in cast.names]})

    async def tokenize(request: web.Request) -> web.Response:
        return json_response(_tokens(await request.read(), cast, config))

    async def numbers(_: web.Request) -> web.Response:
        return web.Response(text=metrics.text(), content_type="text/plain")

    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_guard(config.api_key)])
    app.router.add_post("/v1/chat/completions", chat.handle)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/health", health)
    app.router.add_get("/version", version)
    app.router.add_get("/metrics", numbers)
    app.router.add_post("/tokenize", tokenize)
    return app


@asynccontextmanager
async def running_simulator(config: SimulatorConfig, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `config` in this event loop; yields the server's root, such as `http://127.0.0.1:43210`.

    Chat and models are below its `/v1`. Port 0 picks a free one. Raises OSError for a port that is taken.
    """
    runner = web.AppRunner(
        create_app(config),
        access_log=None,
        handler_cancellation=True,  # a client that leaves aborts its request, as in vLLM
        keepalive_timeout=config.keepalive,
        shutdown_timeout=_LEAVE_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=2048)
        await site.start()
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"http://{shown}:{bound[1]}"
    finally:
        await runner.cleanup()


def _guard(api_key: str | None) -> Any:
    """Return the middleware that turns refusals into replies and, with a key, guards everything below /v1."""
    expected = f"Bearer {api_key}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: RequestHandler) -> web.StreamResponse:
        if api_key is not None and request.path.startswith("/v1/"):
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not compare_digest(given, expected):
                return json_response({"error": "Unauthorized"}, 401)
        try:
            return await handler(request)
        except Refusal as refusal:
            return json_response(refusal.body, refusal.status)
        except web.HTTPNotFound:
            return json_response({"detail": "Not Found"}, 404)
        except web.HTTPMethodNotAllowed:
            return json_response({"detail": "Method Not Allowed"}, 405)

    return guard


def _model_card(name: str, config: SimulatorConfig) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "arena-tui simulator",
        "root": f"simulated/{name}",
        "parent": None,
        "max_model_len": config.max_model_len,
        "permission": [],
    }


def _tokens(body: bytes, cast: Cast, config: SimulatorConfig) -> dict[str, Any]:
    asked = read_tokenize(body)
    cast.resolve(asked.model)
    if asked.messages is not None:
        text, count = "".join(message.text for message in asked.messages), prompt_tokens(asked.messages)
    else:
        text = asked.prompt or ""
        count = count_tokens(text)
    parts = pieces(text)
    parts += [""] * (count - len(parts))  # the template's own tokens
    tokens: dict[str, Any] = {"count": count, "max_model_len": config.max_model_len}
    tokens["tokens"] = [token_id(part) for part in parts]
    tokens["token_strs"] = parts if asked.return_token_strs else None
    return tokens
