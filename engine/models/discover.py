"""Looking at an endpoint before calling it: is it there, does it take our key, does it serve the model."""

from __future__ import annotations

import difflib
import math
import time
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from engine.errors import CallFailed, FailureKind
from engine.models.connection import FAULTS, failure_of, proxy_for, read_body
from engine.models.endpoint import Endpoint
from engine.models.reply import failure_of_status, readable

TIME_LIMIT = 10.0  # seconds for each question
LARGEST_LIST = 4 * 2**20  # bytes
VERSION_TIME_LIMIT = 3.0
SHOWN_NAMES = 5


class ServedModel(msgspec.Struct, frozen=True):
    """One name that a server answers to. `root` is the folder or repository behind it, where the server says so."""

    id: str
    root: str | None = None
    max_model_len: int | None = None


class EndpointReport(msgspec.Struct, frozen=True):
    """What was found at `url`. When not `ok`, `error` says what is wrong and `hint` what to do.

    `max_model_len` (tokens) and `version` (of vLLM) are None where the server does not tell them; `seconds` is how long
    it took to answer.
    """

    url: str
    ok: bool
    error: str = ""
    hint: str = ""
    models: tuple[ServedModel, ...] = ()
    version: str | None = None
    seconds: float = 0.0
    max_model_len: int | None = None


async def probe(
    session: aiohttp.ClientSession, endpoint: Endpoint, served_name: str | None = None, time_limit: float = TIME_LIMIT
) -> EndpointReport:
    """Ask an endpoint what it serves, and whether that is `served_name` (None: whatever it is).

    Never raises for what is wrong with the endpoint. A gateway without a list of models is there when its
    `chat/completions` is; what it serves then stays unknown.
    """
    asker = _Asker(session, endpoint, time_limit)
    started = time.monotonic()
    try:
        try:
            models = _models(await asker.get("models"))
        except CallFailed as failure:
            if failure.status not in (404, 405, 501):
                raise
            await asker.find_chat(failure)
            models = ()
        seconds = time.monotonic() - started
    except CallFailed as failure:
        error, hint = endpoint.redact(failure.title), failure.hint
        return EndpointReport(endpoint.address, False, error, hint, seconds=time.monotonic() - started)
    version = await asker.version()
    serving = _serving(models, served_name)
    if models and serving is None:
        names = [model.id for model in models]
        error, hint = f"it does not serve {readable(str(served_name))!r}", _name_hint(names, str(served_name))
        return EndpointReport(endpoint.address, False, error, hint, models, version, seconds)
    context = serving.max_model_len if serving else None
    return EndpointReport(endpoint.address, True, "", "", models, version, seconds, context)


class _Asker:
    """Small requests to one endpoint; every fault becomes a CallFailed."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, time_limit: float) -> None:
        self._session = session
        self._endpoint = endpoint
        self._time_limit = time_limit

    async def get(self, path: str) -> bytes:
        return await self._ask("GET", self._endpoint.url(path))

    async def find_chat(self, missing: CallFailed) -> None:
        """Send a chat call that every server refuses as bad if it knows such calls; raises `missing` if it does not."""
        try:
            await self._ask("POST", self._endpoint.url("chat/completions"), b"{}")
        except CallFailed as failure:
            if failure.status in (404, 405, 501) or failure.status is None:
                raise missing from None
            if failure.status in (401, 403):
                raise

    async def version(self) -> str | None:
        """vLLM's version; None where the server is another one."""
        try:
            reply = await self._ask("GET", self._endpoint.server_url("version"), limit=VERSION_TIME_LIMIT)
            told = msgspec.json.decode(reply)
        except (CallFailed, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        version = told.get("version") if isinstance(told, dict) else None
        return readable(version)[:40] if isinstance(version, str) else None

    async def _ask(self, method: str, url: URL, body: bytes | None = None, limit: float = math.inf) -> bytes:
        started = time.monotonic()
        try:
            headers = self._endpoint.headers()
            if body is not None:
                headers["Content-Type"] = "application/json"
            async with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                proxy=proxy_for(url),
                timeout=aiohttp.ClientTimeout(total=min(limit, self._time_limit)),
                allow_redirects=False,
            ) as response:
                reply = self._endpoint.redact_body(await read_body(response, LARGEST_LIST))
        except FAULTS as error:
            raise failure_of(error, time.monotonic() - started) from None
        if response.status != 200:
            raise failure_of_status(response.status, reply)
        return reply


def _models(reply: bytes) -> tuple[ServedModel, ...]:
    """The models of a list in OpenAI's shape; entries of other shapes are left out. Raises CallFailed otherwise."""
    try:
        told = msgspec.json.decode(reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = None
    entries = told.get("data") if isinstance(told, dict) else None
    if not isinstance(entries, list):
        raise CallFailed(
            FailureKind.MALFORMED,
            "what answers there is no OpenAI-compatible server",
            hint="base_url should be the address under which chat/completions lies; it usually ends in /v1",
        )
    return tuple(
        ServedModel(entry["id"], _text(entry.get("root")), _length(entry.get("max_model_len")))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    )


def _serving(models: tuple[ServedModel, ...], served_name: str | None) -> ServedModel | None:
    if served_name is None:
        return models[0] if models else None
    names = (served_name, f"{served_name}:latest")  # Ollama lists the tag and takes the name without it
    return next((model for model in models if model.id in names), None)


def _name_hint(served: list[str], wanted: str) -> str:
    if len(served) == 1:
        return f"it serves {readable(served[0])!r}: set `model` of this entry to that"
    close = difflib.get_close_matches(wanted, served, n=1)
    if close:
        return f"did you mean {readable(close[0])!r}? Set `model` of this entry to that"
    shown = ", ".join(repr(readable(name)) for name in served[:SHOWN_NAMES])
    more = f" and {len(served) - SHOWN_NAMES} more" if len(served) > SHOWN_NAMES else ""
    return f"it serves {shown}{more}: set `model` of this entry to one of them"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _length(value: Any) -> int | None:
    return value if isinstance(value, int) and value is not True and value > 0 else None
