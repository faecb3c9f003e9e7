"""From the bytes of a server's reply to a `Completion`, or to the `CallFailed` that says why there is none. Pure.

Replies are hostile: not JSON, fields of wrong types, an error object with status 200, invalid Unicode, text that must
not reach a terminal. Only the answer itself must be well formed; `usage` and the rest may be malformed or absent.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from engine.errors import CallFailed, FailureKind
from engine.judging.reasoning import split_reasoning
from engine.records import Completion, Usage

LONGEST_TEXT = 1000  # characters kept of an error text
BASE_URL_HINT = "set base_url to the address above chat/completions; it usually ends in /v1"
_OWN_FIELDS = (
    "temperature", "top_p", "top_k", "min_p", "penalty", "seed", "max_tokens", "max_completion_tokens",
    "structured_outputs", "response_format", "chat_template_kwargs", "logprobs",
)  # fmt: skip
_NOT_KNOWN = ("unrecognized", "unknown", "unsupported", "not supported", "unexpected", "extra", "not permitted")
_TAG = re.compile(r"<[^<>]{0,500}>")


def failure_of_status(status: int, body: bytes) -> CallFailed:
    """Return the failure that a reply with `status` (not 200) and `body` stands for."""
    text = _error_text_of(body)
    message = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    return CallFailed(kind_of_status(status), message, status=status, hint=_hint(status, text))


def kind_of_status(status: int) -> FailureKind:
    """Return the kind of a status: 408, 409, 425 and 5xx (but "not implemented") may pass, other refusals are final."""
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
    """Return the printable message of an error object of any of the usual shapes."""
    if isinstance(error, dict):
        for key in ("message", "detail", "error", "msg"):
            if error.get(key):
                return error_text(error[key])
    if isinstance(error, list) and error:
        return error_text(error[0])
    return readable(error if isinstance(error, str) else msgspec.json.encode(error).decode())


def readable(text: str) -> str:
    """Return `text` on one line, only printable characters (no control, direction or zero-width ones), shortened."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * LONGEST_TEXT])
    text = " ".join(shown.split())
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def page_text(body: bytes) -> str:
    """Return the text of a web page without its tags."""
    return readable(_TAG.sub(" ", body[: 16 * LONGEST_TEXT].decode("utf-8", "replace")))


def _error_text_of(body: bytes) -> str:
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return page_text(body)
    if not error:
        return ""
    return error_text(error.get("error") or error if isinstance(error, dict) else error)


def _hint(status: int, text: str) -> str:
    low = text.lower()
    if status in (401, 403):
        return "check the api_key of this endpoint"
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
        return "the server redirects: set base_url to the new address"
    if status == 413:
        return "the request is too long for the server"
    return ""


FINISHED = ("stop", "length")
CUT_BY_SERVER = ("abort", "error", "repetition")
NO_USAGE = Usage()
LONGEST_FINGERPRINT = 80


class _Message(msgspec.Struct):
    content: Any = None
    reasoning: Any = None  # vLLM
    reasoning_content: Any = None  # vLLM of old, SGLang, DeepSeek
    refusal: Any = None  # OpenAI: in place of content


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: Any = None
    logprobs: Any = None


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    system_fingerprint: Any = None


_decoder = msgspec.json.Decoder(_Reply)


def read_reply(status: int, body: bytes, seconds: float = 0.0) -> Completion:
    """Return the first choice of a chat completion; `seconds` is stored as the time that the call took.

    Raises CallFailed: by status for anything but 200; MALFORMED without usable JSON; EMPTY without text; TRUNCATED when
    the tokens ended before the text began; ABORTED when the server cut it; REJECTED when a filter withheld it.
    """
    if status != 200:
        raise failure_of_status(status, body)
    reply = _decode(body)
    if reply.error:
        raise _error_in_reply(reply.error)
    choice = reply.choices[0] if reply.choices else None
    if choice is None or choice.message is None:
        raise CallFailed(FailureKind.MALFORMED, "the reply has no choices", status=status)
    finish_reason = choice.finish_reason or "stop"
    if finish_reason not in FINISHED:
        raise _odd_finish(finish_reason)
    message = choice.message
    written, reasoning = _texts(message)
    visible, inline, unclosed = split_reasoning(written)
    if inline:
        reasoning = f"{reasoning}\n\n{inline}" if reasoning else inline
    if not visible or visible.isspace():
        raise _no_text(message, reasoning, cut=unclosed or finish_reason == "length")
    first_token = _first_token(choice.logprobs) if choice.logprobs is not None else ()
    return Completion(visible, finish_reason, reasoning, _usage(reply.usage), seconds, first_token, _fingerprint(reply))


def _fingerprint(reply: _Reply) -> str:
    text = reply.system_fingerprint
    return readable(text)[:LONGEST_FINGERPRINT] if isinstance(text, str) else ""


def _decode(body: bytes) -> _Reply:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        message = f"the reply is no chat completion: {readable(str(error))}"
        raise CallFailed(FailureKind.MALFORMED, message, status=200) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _decode_with_lone_surrogates(body, error)


def _decode_with_lone_surrogates(body: bytes, fault: Exception) -> _Reply:
    """Replace half characters (`\\ud83d`), which some servers send at the token limit, by U+FFFD."""
    if rb"\u" in body:
        try:
            loaded = json.loads(body)
            return msgspec.convert(json.loads(_replaced(json.dumps(loaded, ensure_ascii=False))), _Reply)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            pass
    raise CallFailed(FailureKind.MALFORMED, _not_json(body, fault), status=200) from None


def _not_json(body: bytes, fault: Exception) -> str:
    """Describe a reply that is not JSON by its beginning, which shows what program answered."""
    start = body[:100].lstrip()
    if not start:
        return "the reply has no body"
    if start.startswith(b"<"):
        return f"the reply is a web page, not JSON: {page_text(body)}"
    if start.startswith(b"{"):
        return f"the reply is not JSON: {readable(str(fault))}"
    return f"the reply is not JSON, but begins: {readable(start.decode('utf-8', 'replace'))}"


def _replaced(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _texts(message: _Message) -> tuple[str, str | None]:
    """Return the text of the model, and its reasoning where the server separates it."""
    content = message.content
    separate = message.reasoning if message.reasoning is not None else message.reasoning_content
    reasoning = separate if isinstance(separate, str) and separate else None
    if isinstance(content, str):
        return content, reasoning
    if isinstance(content, list):  # parts, as OpenAI allows and Mistral sends
        return _joined_parts(content), reasoning
    if content is not None:
        raise CallFailed(FailureKind.MALFORMED, f"the content is of type {type(content).__name__}, not text")
    return "", reasoning


def _joined_parts(parts: list[Any]) -> str:
    texts = (part.get("text") for part in parts if isinstance(part, dict) and part.get("type", "text") == "text")
    return "".join(text for text in texts if isinstance(text, str))


def _first_token(logprobs: Any) -> tuple[tuple[str, float], ...]:
    """Return the likeliest first tokens with their log-probabilities; malformed ones are skipped."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = tokens[0] if isinstance(tokens, list) and tokens else None
    ranked = first.get("top_logprobs") if isinstance(first, dict) else None
    found = []
    for each in ranked if isinstance(ranked, list) else ():
        token, logprob = (each.get("token"), each.get("logprob")) if isinstance(each, dict) else (None, None)
        if isinstance(token, str) and isinstance(logprob, int | float) and not isinstance(logprob, bool):
            found.append((token, float(logprob)))
    return tuple(found)


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return NO_USAGE
    return Usage(
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _detail(usage.get("completion_tokens_details"), "reasoning_tokens"),
        _detail(usage.get("prompt_tokens_details"), "cached_tokens"),
    )


def _detail(details: Any, name: str) -> int:
    return _count(details.get(name)) if isinstance(details, dict) else 0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 and value is not True else 0


def _no_text(message: _Message, reasoning: str | None, *, cut: bool) -> CallFailed:
    if isinstance(message.refusal, str) and message.refusal.strip():
        return CallFailed(FailureKind.REJECTED, f"the model refused: {readable(message.refusal)}", status=200)
    if cut:
        spent = "reasoning used up all tokens" if reasoning else "the tokens ran out"
        return CallFailed(
            FailureKind.TRUNCATED,
            f"{spent} before there was an answer",
            status=200,
            hint="raise max_tokens, or turn reasoning off (chat_template_kwargs = { enable_thinking = false })",
        )
    what = "the reply holds only reasoning" if reasoning else "the reply is empty"
    return CallFailed(FailureKind.EMPTY, what, status=200)


def _odd_finish(finish_reason: object) -> CallFailed:
    reason = readable(str(finish_reason))
    if finish_reason in CUT_BY_SERVER:
        return CallFailed(FailureKind.ABORTED, f"the server cut the reply off (finish_reason {reason})", status=200)
    if finish_reason == "content_filter":
        return CallFailed(FailureKind.REJECTED, "the server's content filter withheld the reply", status=200)
    return CallFailed(FailureKind.MALFORMED, f"the reply ended with finish_reason {reason}, without text", status=200)


def _error_in_reply(error: Any) -> CallFailed:
    """Return the failure of an error object: gateways forward errors with status 200 and the status as `code`."""
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    if isinstance(code, int) and 400 <= code <= 599:
        return failure_of_status(code, msgspec.json.encode({"error": error}))
    return CallFailed(FailureKind.MALFORMED, f"an error came with status 200: {error_text(error)}", status=200)
