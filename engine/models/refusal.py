"""From an error status and its body to the `CallFailed` that says what is wrong and what to do. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from engine.errors import CallFailed, FailureKind
from engine.models.retry import LONGEST_RETRY_AFTER, wait_of_error

LONGEST_TEXT = 1000  # characters kept of an error text
BASE_URL_HINT = "set base_url to the address above chat/completions; it usually ends in /v1"
_OWN_FIELDS = (
    "temperature", "top_p", "top_k", "min_p", "penalty", "seed", "max_tokens", "max_completion_tokens",
    "structured_outputs", "response_format", "chat_template_kwargs", "logprobs",
)  # fmt: skip
_NOT_KNOWN = ("unrecognized", "unknown", "unsupported", "not supported", "unexpected", "extra", "not permitted")
_QUOTA_CODES = (
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance",
    "insufficient_credits", "insufficient_user_quota", "quota_exhausted", "credits_exhausted", "credit_exhausted",
)  # fmt: skip
_OUT_OF_MONEY = re.compile(
    r"insufficient (?:\w+ )?(?:quota|balance|credits?|funds)|exceeded your current quota|billing"
    r"|credit balance is too low|out of credits?|account .{0,40}arrears",
    re.IGNORECASE,
)
_ACCOUNT_CODES = (*_QUOTA_CODES, "Arrearage")  # sent with status 400, too
_ACCOUNT = re.compile(r"your credit balance is too low|billing hard limit|account is in good standing", re.IGNORECASE)
_PER_DAY = re.compile(r"per[-_ ]day\b|\bdaily (?:\w+ ){0,2}(?:limit|quota|cap)\b", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,500}>")
_MESSAGE_KEYS = ("message", "detail", "error", "msg", "status_msg")
_DEEPEST_MESSAGE = 8  # objects within each other that are searched for a message


def failure_of_status(status: int, body: bytes, location: str = "") -> CallFailed:
    """Return the failure that a reply with `status` (not 200), `body` and Location header stands for."""
    error, text = _error_of(body)
    if 300 <= status < 400 and location:
        text = f"redirect to {readable(location)}"
    return refusal(status, error, text)


def refusal(status: int, error: Any, text: str) -> CallFailed:
    """Return the failure of a call that was refused with `status`; `error` is the decoded error, `text` its message."""
    message = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    wait = wait_of_error(error, text) if status in (429, 503) else None
    is_unpaid = status == 400 and _is_account(error, text)
    if status == 402 or is_unpaid or (status in (403, 429) and _is_quota(error, text, wait)):
        hint = "check the plan, the credit and the limits of the account of this key"
        return CallFailed(FailureKind.QUOTA, message, status=status, hint=hint)
    failure = CallFailed(kind_of_status(status), message, status=status, hint=_hint(status, text))
    failure.retry_after = wait
    return failure


def _is_quota(error: Any, text: str, wait: float | None) -> bool:
    """Return whether a quota is used up that no wait of minutes brings back: money, or what a day allows."""
    if isinstance(error, dict):
        if any(name in _QUOTA_CODES for key in ("code", "type", "status") if isinstance(name := error.get(key), str)):
            return True
        details = error.get("details")
        for detail in details if isinstance(details, list) else ():  # Google names the quota that was exceeded
            violations = detail.get("violations") if isinstance(detail, dict) else None
            for each in violations if isinstance(violations, list) else ():
                if isinstance(each, dict) and "PerDay" in str(each.get("quotaId", "")):
                    return True
    if _PER_DAY.search(text) and (wait is None or wait >= LONGEST_RETRY_AFTER):
        return True
    return wait is None and _OUT_OF_MONEY.search(text) is not None  # Gemini speaks of billing at limits per minute, too


def _is_account(error: Any, text: str) -> bool:
    """Return whether a request that is refused as a bad one is so because the account cannot pay for it."""
    named = (error.get(key) for key in ("code", "type")) if isinstance(error, dict) else ()
    return any(isinstance(name, str) and name in _ACCOUNT_CODES for name in named) or bool(_ACCOUNT.search(text))


def kind_of_status(status: int) -> FailureKind:
    """Return the kind of a status: 408, 409, 425, 498 and 5xx (but "not implemented") may pass, others are final.

    498 is Groq's for a lack of capacity.
    """
    if status == 429:
        return FailureKind.RATE_LIMITED
    if status in (401, 403):
        return FailureKind.UNAUTHORIZED
    if status in (408, 409, 425, 498) or (status >= 500 and status not in (501, 505)):
        return FailureKind.SERVER
    if status < 300:
        return FailureKind.MALFORMED
    return FailureKind.REJECTED


def error_text(error: Any) -> str:
    """Return the printable message of an error object of any of the usual shapes."""
    for _ in range(_DEEPEST_MESSAGE):
        inner = None
        if isinstance(error, dict):
            inner = next((error[key] for key in _MESSAGE_KEYS if error.get(key)), None)
        elif isinstance(error, list) and error:
            inner = error[0]
        if inner is None:
            break
        error = inner
    if isinstance(error, str):
        return readable(error)
    try:
        return readable(msgspec.json.encode(error).decode())
    except (OverflowError, RecursionError, ValueError):
        return "an error without a readable message"


def readable(text: str) -> str:
    """Return `text` on one line, only printable characters (no control, direction or zero-width ones), shortened."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * LONGEST_TEXT])
    text = " ".join(shown.split())
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def page_text(body: bytes) -> str:
    """Return the text of a web page without its tags."""
    return readable(_TAG.sub(" ", body[: 16 * LONGEST_TEXT].decode("utf-8", "replace")))


def _error_of(body: bytes) -> tuple[Any, str]:
    """Return the error object of a refusal, where there is one, and its message."""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, page_text(body)
    if isinstance(error, list) and error:  # Google wraps the object
        error = error[0]
    if isinstance(error, dict):
        error = error.get("error") or error
    return error, error_text(error) if error else ""


def _hint(status: int, text: str) -> str:
    low = text.lower()
    if status in (401, 403):
        return "check the api_key of this endpoint"
    if "max_completion_tokens" in low or ("temperature" in low and "default (1)" in low):
        return 'set provider = "openai-reasoning" of this model in the config'
    if "context length" in low or "context window" in low or "max_model_len" in low:
        return "lower max_tokens, or serve the model with a larger --max-model-len"
    if any(field in low for field in _OWN_FIELDS) and any(word in low for word in _NOT_KNOWN):
        return 'set `provider` of this model in the config ("generic" sends the fewest fields), or `refuses` for one'
    if "chat template" in low:
        return "serve the model with --chat-template FILE"
    if status == 404 and "model" in low:
        return "set `model` of this model in the config to a name that the server serves"
    if status in (404, 405):
        return BASE_URL_HINT
    if 300 <= status < 400:
        return "set base_url to the new address"
    if status == 413:
        return "the request is too long for the server"
    return ""
