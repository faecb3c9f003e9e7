"""Streamed replies (server-sent events): when they are requested, and how their events become one reply. Pure.

Replies are read whole, and streamed only where a server wants it: hosts of some models refuse any other call. A server
may also stream without being asked. The events are put together to the object that the same call returns as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal, TypeAlias

import msgspec

from engine.errors import CallFailed, FailureKind
from engine.models.refusal import LONGEST_TEXT, readable

StreamSetting: TypeAlias = Literal[True, False, "auto"]

STREAM_TYPE = "text/event-stream"
STREAM_FACTOR = 8  # bytes of a stream for each byte of the same reply as a whole: every token comes in an object
STREAM_TAIL = 64  # bytes, more than the line that ends a stream

_STREAM = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry|error)?:")
_END = re.compile(rb"(?:^|[\r\n])data:[ \t]*\[DONE\]")
_JOINED = ("content", "reasoning", "reasoning_content", "refusal")  # fields of a delta that are text

_NEGATION = r"(?:not|n't|cannot|unsupported|unavailable|disabled|disallowed|forbidden|invalid|false)"
_REQUIRED = re.compile(
    r"\bonly\b[^.]{0,40}\bstream"  # "only support stream mode"
    r"|\bstream\w*(?: \w+)?[ -]only\b"
    r"|\bstream\b[^.]{0,30}\btrue\b"  # "must have stream=true"
    r"|\bstream(?:ing)?\W{0,3}(?: mode| parameter| output)?\W{0,3}(?:is|are|must be|needs? to be|has to be|should be)"
    r" (?:required|mandatory|necessary|needed|enabled|on|used|turned on|set)\b"
    r"|(?:requires?|use|enable|turn on|needs?|set)\W{1,3}(?:the |a )?\W{0,3}stream"
    rf"|\bnon[- _]?stream[^.]{{0,60}}\b{_NEGATION}"
    rf"|{_NEGATION}\b[^.]{{0,60}}\bnon[- _]?stream"
    rf"|\b(?:without stream|stream\W{{0,3}}(?:=|:|is|set to)\W{{0,3}}false)[^.]{{0,40}}{_NEGATION}",
    re.IGNORECASE,
)
"""What DashScope ("only support stream mode"), Fireworks ("must have stream=true"), Anthropic ("streaming is required")
and other hosts write in place of a reply that was to come whole."""


class ReplyForm(Enum):
    """How a reply is requested; the value is what ends the JSON of the request."""

    WHOLE = b"}"
    STREAMED = b',"stream":true,"stream_options":{"include_usage":true}}'
    STREAMED_WITHOUT_USAGE = b',"stream":true}'

    def apply(self, payload: bytes) -> bytes:
        """Return the request `payload`, a JSON object with fields, with those of this form."""
        return payload if self is ReplyForm.WHOLE else payload[:-1] + self.value


def first_form(setting: StreamSetting) -> ReplyForm:
    """Return the form of a model's first call."""
    return ReplyForm.STREAMED if setting is True else ReplyForm.WHOLE


def form_after(form: ReplyForm, failure: CallFailed) -> ReplyForm | None:
    """Return the form that the server demands instead; None where it refused for another reason."""
    if failure.kind not in (FailureKind.REJECTED, FailureKind.SERVER, FailureKind.MALFORMED):
        return None
    if form is ReplyForm.WHOLE and _REQUIRED.search(failure.title):
        return ReplyForm.STREAMED
    if form is ReplyForm.STREAMED and ("stream_options" in failure.title or "include_usage" in failure.title):
        return ReplyForm.STREAMED_WITHOUT_USAGE
    return None


def is_stream(body: bytes) -> bool:
    """Return whether a body, or its beginning, is a stream of events."""
    return _STREAM.match(body) is not None


def is_end(end: bytes) -> bool:
    """Return whether the last bytes of a stream hold the line that ends it; some servers leave the connection open."""
    return _END.search(end) is not None


def joined(body: bytes) -> dict[str, Any]:
    """Return the chat completion that the events of a stream add up to, as its JSON object.

    An error before any text is that of the reply, a later one and a missing finish_reason are errors of the choice.
    Raises CallFailed (MALFORMED) for an event that is no JSON object.
    """
    reply: dict[str, Any] = {"choices": []}
    choice: dict[str, Any] = {}
    texts: dict[str, list[Any]] = {name: [] for name in _JOINED}
    error: Any = None
    for event, chunk in _events(body):
        error = error or _error_of(event, chunk)
        for name in ("usage", "base_resp", "system_fingerprint"):
            if chunk.get(name):
                reply[name] = chunk[name]
        choices = chunk.get("choices")
        for each in choices if isinstance(choices, list) else ():
            if isinstance(each, dict) and each.get("index", 0) == choice.setdefault("index", each.get("index", 0)):
                _add(choice, texts, each)
    if error is not None and not any(texts.values()):
        return reply | {"error": error}
    if not choice:
        return reply
    message = {name: _text(parts) for name, parts in texts.items() if parts}
    choice["message"] = message | {"tool_calls": choice.pop("tool_calls", None)}
    if not choice.get("finish_reason"):
        error = error or "the stream ended without finish_reason"
    choice["error"] = choice.get("error") or error
    return reply | {"choices": [choice]}


def _add(choice: dict[str, Any], texts: dict[str, list[Any]], given: dict[str, Any]) -> None:
    """Add one piece of a choice to what came before."""
    for name in ("finish_reason", "error"):
        if given.get(name):
            choice[name] = given[name]
    logprobs = given.get("logprobs")
    if isinstance(logprobs, dict) and logprobs.get("content"):  # some servers begin with an empty list
        choice.setdefault("logprobs", logprobs)  # only those of the first token are used
    delta, whole = given.get("delta"), given.get("message")
    if isinstance(whole, dict):  # of a server that sends all at once, or all again at the end
        for name in _JOINED:
            if isinstance(text := whole.get(name), str) and text.startswith(str(_text(texts[name]))):
                texts[name].clear()
        delta = whole
    if not isinstance(delta, dict):
        return
    for name in _JOINED:
        if value := delta.get(name):
            texts[name].extend(value if isinstance(value, list) else [value])
    for name in ("tool_calls", "error"):
        if delta.get(name):
            choice[name] = delta[name]


def _text(parts: list[Any]) -> Any:
    """Return pieces of text as one; a list where some are not text, as Mistral sends reasoning."""
    return "".join(parts) if all(isinstance(part, str) for part in parts) else parts


def _error_of(event: bytes, chunk: dict[str, Any]) -> Any:
    """Return the error that an event reports, of any of the usual shapes."""
    if chunk.get("error"):
        return chunk["error"]
    is_error = event == b"error" or "error" in (chunk.get("type"), chunk.get("object"))
    return chunk if is_error or ("choices" not in chunk and isinstance(chunk.get("message"), str)) else None


def _events(body: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each event's type and object (HTML standard, 9.2.6), also where no empty lines separate the events."""
    event = b""
    pending: list[bytes] = []  # lines of an event whose object goes on
    for line in (*body.removeprefix(b"\xef\xbb\xbf").splitlines(), b""):
        field, _, value = line.partition(b":")
        if line.lstrip().startswith(b"{"):  # an error that a gateway writes between the events
            field, value = b"data", line
        if field == b"error":  # llama.cpp
            event, field = field, b"data"
        if field == b"event":
            event = value.strip()
        elif field == b"data" and value.strip() == b"[DONE]":
            break
        elif field == b"data" and value.strip():
            chunk = None if pending else _decoded(value)
            if chunk is None:
                pending.append(value.removeprefix(b" "))
            else:
                yield event, chunk
        elif not line:
            if pending:
                yield event, _decoded_lines(event, b"\n".join(pending))
            event, pending = b"", []
    if pending:
        yield event, _decoded_lines(event, b"\n".join(pending))


def _decoded_lines(event: bytes, data: bytes) -> dict[str, Any]:
    if (chunk := _decoded(data)) is not None:
        return chunk
    text = data[:LONGEST_TEXT].decode("utf-8", "replace")
    if event == b"error":
        return {"message": text}
    message = f"an event of the stream is no JSON object: {readable(text[:100])}"
    raise CallFailed(FailureKind.MALFORMED, message, status=200)


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        decoded = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            decoded = json.loads(data) if rb"\u" in data else None  # halves of a character, in two events
        except (ValueError, RecursionError):
            return None
    return decoded if isinstance(decoded, dict) else None
