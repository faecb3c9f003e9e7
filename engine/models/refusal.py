"""What a server's error status and error body mean, in words. Pure; the text of a server is never trusted."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from engine.errors import CallFailed, FailureKind

LONGEST_TEXT = 1000  # characters kept of what a server says
_OWN_FIELDS = (
    "temperature", "top_p", "top_k", "min_p", "penalty", "seed", "max_tokens", "max_completion_tokens",
    "structured_outputs", "response_format", "chat_template_kwargs", "logprobs",
)  # fmt: skip
_NOT_KNOWN = ("unrecognized", "unknown", "unsupported", "not supported", "unexpected", "extra", "not permitted")
_TAG = re.compile(r"<[^<>]{0,500}>")


def failure_of_status(status: int, body: bytes) -> CallFailed:
    """The failure that a reply with `status` (not 200) and `body` stands for."""
    told = _told(body)
    message = f"HTTP {status}: {told}" if told else f"HTTP {status}"
    return CallFailed(kind_of_status(status), message, status=status, hint=_hint(status, told))


def kind_of_status(status: int) -> FailureKind:
    """408, 409, 425 and all of 5xx but "not implemented" may pass; what was refused otherwise stays refused."""
    if status == 429:
        return FailureKind.RATE_LIMITED
    if status in (401, 403):
        return FailureKind.UNAUTHORIZED
    if status in (408, 409, 425) or (status >= 500 and status not in (501, 505)):
        return FailureKind.SERVER
    if status < 300:
        return FailureKind.MALFORMED
    return FailureKind.REJECTED


def error_text(error: Any) -> str:
    """The message of an error object of any of the usual shapes, fit to be shown."""
    if isinstance(error, dict):
        for key in ("message", "detail", "error", "msg"):
            if error.get(key):
                return error_text(error[key])
    if isinstance(error, list) and error:
        return error_text(error[0])
    return readable(error if isinstance(error, str) else msgspec.json.encode(error).decode())


def readable(text: str) -> str:
    """`text` on one line of printable characters (no control, direction or zero-width ones), LONGEST_TEXT at most."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * LONGEST_TEXT])
    text = " ".join(shown.split())
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def page_text(body: bytes) -> str:
    """The words of a web page or of any other text, without its tags."""
    return readable(_TAG.sub(" ", body[: 16 * LONGEST_TEXT].decode("utf-8", "replace")))


def _told(body: bytes) -> str:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return page_text(body)
    if not told:
        return ""
    return error_text(told.get("error") or told if isinstance(told, dict) else told)


def _hint(status: int, told: str) -> str:
    low = told.lower()
    if status in (401, 403):
        return "check the api_key of this endpoint"
    if "context length" in low or "context window" in low or "max_model_len" in low:
        return "lower max_tokens, or serve the model with a larger --max-model-len"
    if any(field in low for field in _OWN_FIELDS) and any(word in low for word in _NOT_KNOWN):
        return 'say `provider` of this model in the config ("generic" sends the least), or `refuses` for single fields'
    if "chat template" in low:
        return "serve the model with --chat-template FILE"
    if status == 404 and "model" in low:
        return "set `model` of this entry to a name that the server serves"
    if status in (404, 405):
        return "base_url should be the address under which chat/completions lies; it usually ends in /v1"
    if 300 <= status < 400:
        return "the server sends calls elsewhere: put that address into base_url"
    if status == 413:
        return "the server takes no request as long as this one"
    return ""
