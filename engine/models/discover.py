"""Checks an endpoint before it is called: reachable, key accepted, model served.

The list of models is a hint and no gate: proxies list patterns, gateways hide the list or write it in a shape of their
own, and adapters and deployments are often not listed. Where the list leaves a doubt, one tiny chat call decides.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from engine.errors import CallFailed, FailureKind, as_line
from engine.models.connection import FAULTS, failure_of, fetch
from engine.models.endpoint import Endpoint
from engine.models.health import DOWN
from engine.models.refusal import BASE_URL_HINT, failure_of_status, readable
from engine.models.reply import read_reply
from engine.models.stream import ReplyForm, form_after

TIME_LIMIT = 10.0  # seconds for each request
TRIAL_TIME_LIMIT = 60.0  # seconds for the trial call: a first token may take long
TRIALS_OF_SILENCE = 3  # time limits that it has where the list did not come in one
LARGEST_LIST = 4 * 2**20  # bytes
MAX_MODELS = 10_000  # of a list; the rest is not read
LONGEST_NAME = 500  # characters; a longer one is no name
VERSION_TIME_LIMIT = 3.0
SHOWN_NAMES = 5
STARTING = (502, 503, 504)  # of a proxy whose server does not answer, of a server that loads its model
NO_SUCH_PATH = (404, 405, 501)
_LISTS = ("data", "models", "items", "value", "result", "results", "modelSummaries", "deployments")
_NAMES = ("id", "name", "model", "key", "modelId", "slug")
_SET_MODEL = "set `model` of this model in the config to"
_NO_SUCH_MODEL = re.compile(
    r"model.{0,200}(not (?:found|exist|available|supported|served|valid)|does(?: not|n't) exist)"
    r"|model.{0,200}(unknown|no such|invalid)"
    r"|(unknown|no such|invalid|unsupported|unavailable|not a valid) (?:model|deployment)"
    r"|deployment.{0,80}(?:not found|does(?: not|n't) exist)|no endpoints found for",
    re.IGNORECASE | re.DOTALL,
)


class ServedModel(msgspec.Struct, frozen=True):
    """One name that a server accepts. `root` is the folder or repository behind it, where the server reports it."""

    id: str
    root: str | None = None
    max_model_len: int | None = None
    parent: str | None = None  # of an adapter


class EndpointReport(msgspec.Struct, frozen=True):
    """The findings at `url`. When not `ok`, `error` says what is wrong and `hint` what to do.

    `warning` says why an endpoint is used in spite of a doubt. `may_pass`: nothing answers there, or only a proxy, so a
    later check may find a server. `max_model_len` (tokens) and `version` (of vLLM) are
    None where the server does not report them; `seconds` is the time until its answer.
    """

    url: str
    ok: bool
    error: str = ""
    hint: str = ""
    models: tuple[ServedModel, ...] = ()
    version: str | None = None
    seconds: float = 0.0
    max_model_len: int | None = None
    warning: str = ""
    may_pass: bool = False


class _NotReady(CallFailed):
    """Nothing answers yet: a server may start later."""


async def probe(
    session: aiohttp.ClientSession,
    endpoint: Endpoint,
    served_name: str | None = None,
    time_limit: float = TIME_LIMIT,
    limit_field: str = "max_tokens",
) -> EndpointReport:
    """Check that an endpoint answers, accepts the key, and serves `served_name` (None: any model).

    Never raises for a fault of the endpoint. If the list of models is missing, refused, unreadable or without the name,
    a chat call for one token (`limit_field` is how the server calls that bound) decides; its success is a warning.
    """
    prober = _Prober(session, endpoint, time_limit)
    started = time.monotonic()
    models: tuple[ServedModel, ...] = ()
    unlisted: CallFailed | None = None
    warning = ""
    try:
        try:
            models = _models(await prober.ask(endpoint.url("models")))
        except CallFailed as failure:
            if failure.status is None and (failure.kind is not FailureKind.TIMEOUT or served_name is None):
                raise  # nothing answered
            unlisted = failure
        seconds = time.monotonic() - started
        serving = _serving(models, served_name)
        if served_name is None and unlisted is not None:
            await prober.find_chat(unlisted)
        elif served_name is not None and serving is None:
            warning = await prober.try_call(served_name, limit_field, models, unlisted)
    except CallFailed as failure:
        error, hint = endpoint.redact(failure.title), endpoint.redact(failure.hint)
        version = await prober.version() if models else None
        shown = _shown(models, endpoint)
        may_pass = isinstance(failure, _NotReady)
        return EndpointReport(
            endpoint.address, False, error, hint, shown, version, time.monotonic() - started, may_pass=may_pass
        )
    context = _context(serving, models) if serving else None
    return EndpointReport(
        endpoint.address,
        True,
        models=_shown(models, endpoint),
        version=await prober.version(),
        seconds=seconds,
        max_model_len=context,
        warning=endpoint.redact(warning),
        may_pass=prober.is_starting,
    )


async def list_models(
    session: aiohttp.ClientSession, endpoint: Endpoint, time_limit: float = TIME_LIMIT
) -> tuple[tuple[ServedModel, ...], str | None]:
    """Return the models that a server lists, and its version if it is vLLM; sends GET requests only.

    Raises CallFailed if nothing answers, or something else than a list of models.
    """
    prober = _Prober(session, endpoint, time_limit)
    models = _models(await prober.ask(endpoint.url("models")))
    return _shown(models, endpoint), await prober.version()


class _Prober:
    """Small requests to one endpoint; every fault becomes a CallFailed."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, time_limit: float) -> None:
        self._session = session
        self._endpoint = endpoint
        self._time_limit = time_limit
        self.is_starting = False  # a trial call found a proxy without a server, or a server that still loads

    async def find_chat(self, missing: CallFailed) -> None:
        """Send a chat call that every server with such calls rejects; raise `missing` where there are none."""
        try:
            await self.ask(self._endpoint.url("chat/completions"), b"{}")
        except CallFailed as failure:
            if failure.status in NO_SUCH_PATH or failure.status is None:
                raise missing from None
            if failure.status in (401, 403):
                raise

    async def try_call(
        self, name: str, limit_field: str, models: Sequence[ServedModel], unlisted: CallFailed | None
    ) -> str:
        """Request one token of the model `name` that no list vouches for, and return what stays in doubt.

        Raises CallFailed if the server does not serve it: `unlisted` where that says more than the refusal.
        """
        listed = [model.id for model in models]
        doubt = f"model {readable(name)!r} is not in the list of models"
        time_limit = TRIAL_TIME_LIMIT
        if unlisted is not None:
            doubt = f"the list of models cannot be read ({as_line(unlisted.title)})"
            if unlisted.status is None:  # it did not come in time: nothing may answer at all
                time_limit = min(TRIAL_TIME_LIMIT, TRIALS_OF_SILENCE * self._time_limit)
        body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], limit_field: 1}
        try:
            reply = await self.ask(self._endpoint.url("chat/completions"), msgspec.json.encode(body), time_limit)
            _require_no_error(self._endpoint.redact.body(reply))
        except CallFailed as refusal:
            if refusal.status is None and unlisted is not None and unlisted.status is None:
                raise unlisted from None
            if form_after(ReplyForm.WHOLE, refusal):  # it only streams
                return f"{doubt}, but takes calls; it is used"
            self.is_starting = refusal.status in STARTING
            if refusal.status is None or refusal.status == 429 or (refusal.status >= 500 and refusal.status != 501):
                return f"{doubt}, and a trial call gave no answer ({as_line(refusal.title)}); it is used anyway"
            if refusal.kind in (FailureKind.UNAUTHORIZED, FailureKind.QUOTA):
                raise
            is_of_model = _NO_SUCH_MODEL.search(refusal.title) is not None
            if refusal.status not in NO_SUCH_PATH and not is_of_model:
                is_list_odd = unlisted is not None and unlisted.kind is FailureKind.MALFORMED
                if refusal.kind is not FailureKind.MALFORMED and not is_list_odd:
                    return f"{doubt}, and a trial call was rejected ({as_line(refusal.title)}); it is used anyway"
                raise unlisted or refusal from None
            if listed:
                error, hint = _not_served(listed, name, refusal)
                raise CallFailed(refusal.kind, error, status=refusal.status, hint=hint) from None
            raise refusal if is_of_model else unlisted or refusal from None
        return f"{doubt}, but takes calls; it is used"

    async def version(self) -> str | None:
        """Return the version of vLLM; None for other servers."""
        try:
            body = msgspec.json.decode(
                await self.ask(
                    self._endpoint.server_url("version"), time_limit=min(VERSION_TIME_LIMIT, self._time_limit)
                )
            )
        except (CallFailed, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        version = body.get("version") if isinstance(body, dict) else None
        return readable(self._endpoint.redact(version))[:40] if isinstance(version, str) else None

    async def ask(self, url: URL, body: bytes | None = None, time_limit: float | None = None) -> bytes:
        """Send one request and return its reply. Raises CallFailed for any status but 200."""
        started = time.monotonic()
        try:
            status, reply = await fetch(
                self._session,
                self._endpoint,
                url,
                time_limit=self._time_limit if time_limit is None else time_limit,
                largest=LARGEST_LIST,
                body=body,
            )
        except CallFailed as too_long:
            too_long.status = 200
            raise
        except FAULTS as error:
            failure = failure_of(error, time.monotonic() - started)
            if failure.kind not in DOWN or isinstance(error, aiohttp.ClientSSLError):
                raise failure from None
            raise _NotReady(failure.kind, failure.title, hint=failure.hint) from None
        if status != 200:
            raise failure_of_status(status, self._endpoint.redact.body(reply))
        return reply


def _models(reply: bytes) -> tuple[ServedModel, ...]:
    """Decode a list of models; skip entries of other shapes. Raises CallFailed for no such list.

    OpenAI's shape is {"data": [{"id": ...}]}; others write a bare array, another name of `_LISTS` for "data", an object
    by names for the array, or another name of `_NAMES` for "id".
    """
    try:
        body = msgspec.json.decode(reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    entries = body
    if isinstance(body, dict):
        held = next((body[key] for key in _LISTS if isinstance(body.get(key), list | dict)), None)
        entries = _keyed(held) if isinstance(held, dict) else held
    if not isinstance(entries, list) or (isinstance(body, list) and not body):
        raise CallFailed(
            FailureKind.MALFORMED,
            "not an OpenAI-compatible server: its /models is not a list of models",
            status=200,
            hint=BASE_URL_HINT,
        )
    return tuple(filter(None, map(_model, entries[:MAX_MODELS])))


def _keyed(models: dict[str, Any]) -> list[Any]:
    """Return the entries of an object by names, or of a list one level deeper."""
    for key in _LISTS:
        if isinstance(inner := models.get(key), list):
            return inner
    return [{"id": name, **entry} if isinstance(entry, dict) else name for name, entry in models.items()]


def _require_no_error(reply: bytes) -> None:
    """Raise CallFailed if a reply with status 200 is an error, or something else than a chat completion."""
    try:
        read_reply(200, reply)
    except CallFailed as failure:
        if failure.kind in (FailureKind.EMPTY, FailureKind.TRUNCATED, FailureKind.ABORTED) or b'"choices"' in reply:
            return  # one token is not much
        raise


def _model(entry: Any) -> ServedModel | None:
    if isinstance(entry, str):
        entry = {"id": entry}
    if not isinstance(entry, dict):
        return None
    name = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str)), None)
    if name is None or len(name) > LONGEST_NAME:
        return None
    return ServedModel(name, _text(entry.get("root")), _length(entry.get("max_model_len")), _text(entry.get("parent")))


def _context(serving: ServedModel, models: Sequence[ServedModel]) -> int | None:
    """Return the context of a model; that of its base model for an adapter that reports none."""
    if serving.max_model_len is not None or serving.parent is None:
        return serving.max_model_len
    return next((model.max_model_len for model in models if model.id == serving.parent), None)


def _shown(models: tuple[ServedModel, ...], endpoint: Endpoint) -> tuple[ServedModel, ...]:
    """Return the models without secrets of the endpoint in their names."""
    redact = endpoint.redact
    return tuple(
        msgspec.structs.replace(model, id=redact(model.id), root=redact(model.root) if model.root else model.root)
        for model in models
    )


def _serving(models: Sequence[ServedModel], served_name: str | None) -> ServedModel | None:
    if served_name is None:
        return models[0] if models else None
    names = (served_name, f"{served_name}:latest", f"models/{served_name}")  # Ollama and Gemini take the shorter name
    return next((model for model in models if model.id in names), None)


def _not_served(served: Sequence[str], wanted: str, refusal: CallFailed) -> tuple[str, str]:
    """Return what is wrong and what to do. No other model is proposed but one of nearly the same name."""
    served = [name for name in served if "*" not in name]  # a pattern is nothing to set
    shown = ", ".join(readable(name) for name in served[:SHOWN_NAMES]) or "none by name"
    more = f" and {len(served) - SHOWN_NAMES} more" if len(served) > SHOWN_NAMES else ""
    error = f"model {readable(wanted)!r} not served here (available: {shown}{more})"
    why = as_line(refusal.title)
    if not served:
        return error, f"{_SET_MODEL} a name that the server takes ({why})"
    if close := difflib.get_close_matches(wanted, served, n=1, cutoff=0.8):
        return error, f"did you mean {readable(close[0])!r}? {_SET_MODEL} that name ({why})"
    return error, f"if one of these is the same model under another name, {_SET_MODEL} that name ({why})"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _length(value: Any) -> int | None:
    return value if isinstance(value, int) and value is not True and value > 0 else None
