"""Checks an endpoint before it is called: reachable, key accepted, model served."""

from __future__ import annotations

import difflib
import math
import time
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from engine.errors import CallFailed, FailureKind
from engine.models.connection import FAULTS, failure_of, fetch
from engine.models.endpoint import Endpoint
from engine.models.reply import BASE_URL_HINT, failure_of_status, readable

TIME_LIMIT = 10.0  # seconds for each request
LARGEST_LIST = 4 * 2**20  # bytes
VERSION_TIME_LIMIT = 3.0
SHOWN_NAMES = 5
NO_SUCH_PATH = (404, 405, 501)
_SET_MODEL = "set `model` of this model in the config to"


class ServedModel(msgspec.Struct, frozen=True):
    """One name that a server accepts. `root` is the folder or repository behind it, where the server reports it."""

    id: str
    root: str | None = None
    max_model_len: int | None = None


class EndpointReport(msgspec.Struct, frozen=True):
    """The findings at `url`. When not `ok`, `error` says what is wrong and `hint` what to do.

    `max_model_len` (tokens) and `version` (of vLLM) are None where the server does not report them; `seconds` is the
    time until its answer.
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
    """Check that an endpoint answers, accepts the key, and serves `served_name` (None: any model).

    Never raises for a fault of the endpoint. A gateway without a list of models passes if it has `chat/completions`;
    its models then stay unknown.
    """
    prober = _Prober(session, endpoint, time_limit)
    started = time.monotonic()
    try:
        try:
            models = _models(await prober.ask(endpoint.url("models")))
        except CallFailed as failure:
            if failure.status not in NO_SUCH_PATH:
                raise
            await prober.find_chat(failure)
            models = ()
        seconds = time.monotonic() - started
    except CallFailed as failure:
        error, hint = endpoint.redact(failure.title), endpoint.redact(failure.hint)
        return EndpointReport(endpoint.address, False, error, hint, seconds=time.monotonic() - started)
    version = await prober.version()
    serving = _serving(models, served_name)
    if models and serving is None:
        error, hint = map(endpoint.redact, _not_served([model.id for model in models], str(served_name)))
        return EndpointReport(endpoint.address, False, error, hint, _shown(models, endpoint), version, seconds)
    context = serving.max_model_len if serving else None
    return EndpointReport(endpoint.address, True, "", "", _shown(models, endpoint), version, seconds, context)


class _Prober:
    """Small requests to one endpoint; every fault becomes a CallFailed."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, time_limit: float) -> None:
        self._session = session
        self._endpoint = endpoint
        self._time_limit = time_limit

    async def find_chat(self, missing: CallFailed) -> None:
        """Send a chat call that every server with such calls rejects; raise `missing` where there are none."""
        try:
            await self.ask(self._endpoint.url("chat/completions"), b"{}")
        except CallFailed as failure:
            if failure.status in NO_SUCH_PATH or failure.status is None:
                raise missing from None
            if failure.status in (401, 403):
                raise

    async def version(self) -> str | None:
        """Return the version of vLLM; None for other servers."""
        try:
            body = msgspec.json.decode(
                await self.ask(self._endpoint.server_url("version"), time_limit=VERSION_TIME_LIMIT)
            )
        except (CallFailed, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        version = body.get("version") if isinstance(body, dict) else None
        return readable(self._endpoint.redact(version))[:40] if isinstance(version, str) else None

    async def ask(self, url: URL, body: bytes | None = None, time_limit: float = math.inf) -> bytes:
        """Send one request and return its reply. Raises CallFailed for any status but 200."""
        started = time.monotonic()
        try:
            status, reply = await fetch(
                self._session,
                self._endpoint,
                url,
                time_limit=min(time_limit, self._time_limit),
                largest=LARGEST_LIST,
                body=body,
            )
        except FAULTS as error:
            raise failure_of(error, time.monotonic() - started) from None
        if status != 200:
            raise failure_of_status(status, self._endpoint.redact.body(reply))
        return reply


def _models(reply: bytes) -> tuple[ServedModel, ...]:
    """Decode a list of models in OpenAI's shape; skip entries of other shapes. Raises CallFailed for no such list."""
    try:
        body = msgspec.json.decode(reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    entries = body.get("data") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        raise CallFailed(
            FailureKind.MALFORMED,
            "not an OpenAI-compatible server: its /models is not a list of models",
            hint=BASE_URL_HINT,
        )
    return tuple(
        ServedModel(entry["id"], _text(entry.get("root")), _length(entry.get("max_model_len")))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    )


def _shown(models: tuple[ServedModel, ...], endpoint: Endpoint) -> tuple[ServedModel, ...]:
    """Return the models without secrets of the endpoint in their names."""
    redact = endpoint.redact
    return tuple(
        ServedModel(redact(model.id), redact(model.root) if model.root else model.root, model.max_model_len)
        for model in models
    )


def _serving(models: tuple[ServedModel, ...], served_name: str | None) -> ServedModel | None:
    if served_name is None:
        return models[0] if models else None
    names = (served_name, f"{served_name}:latest")  # Ollama lists the tag and takes the name without it
    return next((model for model in models if model.id in names), None)


def _not_served(served: list[str], wanted: str) -> tuple[str, str]:
    """Return what is wrong and what to do."""
    shown = ", ".join(readable(name) for name in served[:SHOWN_NAMES])
    more = f" and {len(served) - SHOWN_NAMES} more" if len(served) > SHOWN_NAMES else ""
    error = f"model {readable(wanted)!r} not served here (available: {shown}{more})"
    if len(served) > 1 and (close := difflib.get_close_matches(wanted, served, n=1)):
        return error, f"did you mean {readable(close[0])!r}? {_SET_MODEL} that name"
    return error, f"{_SET_MODEL} {repr(readable(served[0])) if len(served) == 1 else 'one of these names'}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _length(value: Any) -> int | None:
    return value if isinstance(value, int) and value is not True and value > 0 else None
