"""The HTTP interface of a watch, on this machine alone: trainers name checkpoints, and ask how far they are.

    POST /evaluate {"model": "/runs/x/checkpoint-500", "step": 500}   202: the checkpoint is taken
    GET  /status                                                      200: what is evaluated, waits, and stands where

Every request needs `Authorization: Bearer TOKEN`. Whatever is wrong is answered with {"error": {"message", "hint"}}.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web

from engine.bench.atomic import storage_error
from engine.bench.lines import encode_json
from engine.errors import ArenaError, UsageProblem
from engine.opening import open_to_write, read_whole
from engine.places import state_folder
from engine.serving.process import LOOPBACK

if TYPE_CHECKING:
    from engine.checkpoints.watch import Watch

LARGEST_BODY = 1 << 16  # bytes
SHORTEST_TOKEN = 16  # characters
_LARGEST_TOKEN = 1 << 12  # bytes
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class EvaluationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /evaluate`: the folder of a checkpoint, and its step where its trainer knows it."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    step: Annotated[int, msgspec.Meta(ge=0, le=10**12)] | None = None


_decoder = msgspec.json.Decoder(EvaluationRequest)


def default_token_file() -> Path:
    """Return the file of the token where no other is named: one for each user, outside of all benches."""
    return state_folder() / "watch-token"


def read_token(file: Path) -> str:
    """Return the token in a file, which is made with a random one, readable by its owner alone, if it is missing.

    Raises UsageProblem for one that others may read or that is too short, and StorageError.
    """
    try:
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = open_to_write(file, os.O_WRONLY | os.O_EXCL)
            try:
                os.fchmod(descriptor, 0o600)
                os.write(descriptor, secrets.token_urlsafe(32).encode() + b"\n")
            finally:
                os.close(descriptor)
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise UsageProblem(f"{file}: others may read the token in it", f"chmod 600 {file}")
        token = read_whole(file, _LARGEST_TOKEN, pipes=False).decode("ascii", "replace").strip()
    except OSError as error:
        raise storage_error(file, error) from error
    return require_token(token, str(file))


def require_token(token: str, source: str) -> str:
    """Return a token. Raises UsageProblem if it is too short for a secret or cannot be sent in a header."""
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageProblem(
            f"{source} holds no usable token", f"set at least {SHORTEST_TOKEN} letters and digits, or remove it"
        )
    return token


class Listener:
    """Listens on the loopback address. `port` 0 is any free one; `address` is known once `listening` is entered."""

    def __init__(self, watch: Watch, token: str, port: int) -> None:
        self.address = ""
        self._watch = watch
        self._token = token
        self._port = port

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for the length of the block. Raises UsageProblem if the port is in use."""
        application = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._guard])
        application.router.add_post("/evaluate", self._evaluate)
        application.router.add_get("/status", self._status)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, LOOPBACK, self._port)
            try:
                await site.start()
            except OSError as error:
                hint = "choose another port"
                raise UsageProblem(f"cannot listen on {LOOPBACK}:{self._port} ({error.strerror})", hint) from None
            self.address = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Check the token, and answer whatever is wrong in JSON."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token.encode())
        if scheme.lower() != "bearer" or not known:
            hint = "send the header `Authorization: Bearer TOKEN`"
            return _error(401, "the token is missing or wrong", hint, {"WWW-Authenticate": "Bearer"})
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return _error(413, f"the body has more than {LARGEST_BODY} bytes", "send the path of the checkpoint alone")
        except web.HTTPMethodNotAllowed as wrong:
            allowed = ", ".join(sorted(wrong.allowed_methods))
            return _error(405, f"{request.path} takes no {request.method[:20]}", f"use {allowed}", {"Allow": allowed})
        except web.HTTPNotFound:
            return _error(404, f"no such path: {request.path[:200]}", "POST /evaluate and GET /status exist")
        except msgspec.DecodeError as wrong:
            return _error(400, f"the body is not such a request: {wrong}", 'send {"model": "FOLDER", "step": 500}')
        except ArenaError as wrong:
            return _error(400, wrong.title, str(wrong.hint))

    async def _evaluate(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = _decoder.decode(await request.read())
        except UnicodeDecodeError:
            return _error(400, "the body is not UTF-8 text", 'send {"model": "FOLDER", "step": 500}')
        path = Path(asked.model)
        if "\0" in asked.model or not path.is_absolute():
            raise UsageProblem("`model` is not an absolute path", "name the folder of the checkpoint from / on")
        model = self._watch.request(path, asked.step)
        return _json(202, {"model": model, "step": asked.step, "path": str(path), "state": "waiting"})

    async def _status(self, _: web.Request) -> web.StreamResponse:
        watch = self._watch
        reports = list(watch.reports.values())
        evaluating = next((each.model for each in reports if each.state == "evaluating"), None)
        status = {"bench": watch.bench.name, "evaluating": evaluating, "best": watch.best, "waiting": watch.waiting()}
        return _json(200, status | {"checkpoints": reports})


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=encode_json(body), content_type="application/json", headers=headers)


def _error(status: int, message: str, hint: str, headers: dict[str, str] | None = None) -> web.Response:
    return _json(status, {"error": {"message": message, "hint": hint}}, headers)
