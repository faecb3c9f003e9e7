"""From the bytes of a server's reply to a `Completion`, or to the `CallFailed` that says why there is none. Pure.

Replies are hostile: not JSON, fields of wrong types, numbers of 400 digits, an error object with status 200 or beside
half a text, invalid Unicode, text that must not reach a terminal. Only the answer itself must be well formed; `usage`
and everything else may be odd or absent. Whatever a reply holds, the worst it can do is to fail its own call.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from engine.errors import CallFailed, FailureKind
from engine.judging.reasoning import split_reasoning
from engine.models.refusal import error_text, failure_of_status, page_text, readable, refusal
from engine.models.stream import is_stream, joined
from engine.records import Completion, Usage

_FINISH_REASONS: dict[str, str] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end", "end_turn", "stop_sequence", "stop_string"), "stop"),
    **dict.fromkeys(("complete", "completed", "finished", "tool_calls", "tool_use", "function_call"), "stop"),
    **dict.fromkeys(
        ("done", "null", "none", "eot", "end_of_text", "end_of_turn", "eos_token_id", "stop_token"), "stop"
    ),
    **dict.fromkeys(("</s>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end|>", "<eos>", "<end_of_turn>"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_length", "max_new_tokens", "model_length", "token_limit"), "length"),
    **dict.fromkeys(("max_output_tokens", "max_completion_tokens", "max_tokens_reached", "truncated"), "length"),
    **dict.fromkeys(("model_context_window_exceeded", "context_length_exceeded", "error_limit"), "length"),
    **dict.fromkeys(("abort", "aborted", "error", "repetition", "cancelled", "timeout"), "cut"),
    **dict.fromkeys(("insufficient_system_resource", "network_error"), "cut"),
    **dict.fromkeys(("content_filter", "content_filtered", "safety", "recitation", "blocklist"), "withheld"),
    **dict.fromkeys(("prohibited_content", "spii", "guardrail_intervened", "sensitive", "refusal"), "withheld"),
    **dict.fromkeys(("error_toxic", "image_safety", "language"), "withheld"),
}
"""What OpenAI, vLLM, TGI, Ollama, Anthropic, Gemini, Cohere, Mistral, DeepSeek and others write as finish_reason."""

NO_USAGE = Usage()
SHARE_ERROR = 1e-6  # of rounding, by which a probability may exceed 1
MAX_COUNT = 2**53  # tokens; a larger number is not a count
LONGEST_NAME = 80  # characters kept of a name that a server gives
_TEXT_PARTS = ("text", "output_text")
_REASONING_PARTS = ("thinking", "reasoning", "reasoning_text")


class _Message(msgspec.Struct):
    content: Any = None
    reasoning: Any = None  # vLLM
    reasoning_content: Any = None  # vLLM of old, SGLang, DeepSeek
    refusal: Any = None  # OpenAI: in place of content
    tool_calls: Any = None
    error: Any = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: Any = None
    logprobs: Any = None
    error: Any = None  # OpenRouter and others: the model failed midway


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    base_resp: Any = None  # MiniMax: {"status_code": 0, "status_msg": ""} unless the call failed
    system_fingerprint: Any = None


_decoder = msgspec.json.Decoder(_Reply)


def read_reply(status: int, body: bytes, seconds: float = 0.0, location: str = "") -> Completion:
    """Return the first choice of a chat completion, whole or streamed; `seconds` is stored as the time of the call.

    Raises CallFailed: by status for anything but 200; MALFORMED without usable JSON; EMPTY without text; TRUNCATED when
    the tokens ended before the text began; ABORTED when the server cut it; REJECTED when a filter withheld it; for an
    error object, also one beside a text, what it says.
    """
    if status != 200:
        raise failure_of_status(status, body, location)
    try:
        return _read_completion(_decode(body), seconds)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        message = f"the reply cannot be read ({type(error).__name__})"
        raise CallFailed(FailureKind.MALFORMED, message, status=status) from None


def _read_completion(reply: _Reply, seconds: float) -> Completion:
    if reply.error:
        raise _error_in_reply(reply.error)
    if isinstance(reply.base_resp, dict) and reply.base_resp.get("status_code"):
        raise _error_in_reply(reply.base_resp)
    choice = reply.choices[0] if reply.choices else None
    if choice is None or choice.message is None:
        raise CallFailed(FailureKind.MALFORMED, "the reply has no choices", status=200)
    if error := choice.error or choice.message.error:  # the model failed midway, the server did not
        raise CallFailed(FailureKind.ABORTED, f"the reply broke off: {error_text(error)}", status=200)
    finish_reason, warnings = _finish_reason(choice.finish_reason)
    message = choice.message
    written, reasoning = _texts(message)
    visible, inline, unclosed = split_reasoning(written) if reasoning is None else (written, None, False)
    reasoning = reasoning or inline
    if not visible or visible.isspace():
        raise _no_text(message, reasoning, cut=unclosed or finish_reason == "length")
    first_token = _first_token(choice.logprobs) if choice.logprobs is not None else ()
    return Completion(
        visible,
        finish_reason,
        reasoning,
        _usage(reply.usage),
        seconds,
        first_token,
        _fingerprint(reply),
        warnings,
        counts_limit=choice.finish_reason == "length",
        raw=written if visible != written else None,
    )


def _finish_reason(given: Any) -> tuple[str, tuple[str, ...]]:
    """Return "stop", "length" or a name that is not known, and a warning about that. Raises CallFailed."""
    if given in ("stop", "length"):
        return given, ()
    if not given:
        return "stop", ()
    if isinstance(given, dict):  # of TGI's own API and others: {"type": "stop"}
        given = given.get("type") or given.get("reason") or "of no known shape"
    if not isinstance(given, str):
        raise CallFailed(FailureKind.MALFORMED, f"finish_reason is of type {type(given).__name__}", status=200)
    reason = readable(given[: 2 * LONGEST_NAME])[:LONGEST_NAME]
    word = reason.removeprefix("FinishReason.")  # an enumeration as Python prints it
    match _FINISH_REASONS.get(word.strip().lower().replace("-", "_")):
        case "cut":
            raise CallFailed(FailureKind.ABORTED, f"the server cut the reply off (finish_reason {reason})", status=200)
        case "withheld":
            raise CallFailed(
                FailureKind.REJECTED,
                f"a content filter withheld the reply (finish_reason {reason})",
                status=200,
                hint="the question or its answer touches the provider's filter; another model may answer it",
            )
        case None:
            return reason, (f"finish_reason {reason!r} is not known; the reply is kept as a whole one",)
        case known:
            return known, ()


def _fingerprint(reply: _Reply) -> str:
    text = reply.system_fingerprint
    return readable(text)[:LONGEST_NAME] if text and isinstance(text, str) else ""


def _decode(body: bytes) -> _Reply:
    if not body.startswith(b"{") and is_stream(body):
        return _without_lone_surrogates(joined(body))
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        message = f"the reply is no chat completion: {readable(str(error))}"
        raise CallFailed(FailureKind.MALFORMED, message, status=200) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _decode_loosely(body, error)


def _decode_loosely(body: bytes, fault: Exception) -> _Reply:
    """Replace half characters (`\\ud83d`), which some servers send at the token limit, by U+FFFD."""
    if rb"\u" in body:
        try:
            return _without_lone_surrogates(json.loads(body))
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


def _without_lone_surrogates(loaded: Any) -> _Reply:
    """Return a decoded reply in which halves of a character are joined, or replaced where they stand alone."""
    text = json.dumps(loaded, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return msgspec.convert(json.loads(text), _Reply)


def _texts(message: _Message) -> tuple[str, str | None]:
    """Return the text of the model, and its reasoning where the server separates it."""
    content = message.content
    separate = message.reasoning if message.reasoning is not None else message.reasoning_content
    reasoning = separate if isinstance(separate, str) and separate else None
    if isinstance(content, str):
        return content, reasoning
    if isinstance(content, list):  # parts, as OpenAI allows and Mistral sends
        thought = "".join(_parts(content, _REASONING_PARTS))
        return "".join(_parts(content, _TEXT_PARTS)), reasoning or thought or None
    if content is not None:
        raise CallFailed(FailureKind.MALFORMED, f"the content is of type {type(content).__name__}, not text")
    return "", reasoning


def _parts(parts: list[Any], types: tuple[str, ...], depth: int = 3) -> Iterator[str]:
    """Yield the texts of the parts of some types; the text of a part is a string or a list of parts of text."""
    for part in parts:
        if isinstance(part, str) and "text" in types:
            yield part
        if not isinstance(part, dict) or part.get("type", "text") not in types:
            continue
        inner = next((part[key] for key in ("text", *_REASONING_PARTS) if part.get(key)), None)
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, list) and depth:
            yield from _parts(inner, _TEXT_PARTS, depth - 1)


def _first_token(logprobs: Any) -> tuple[tuple[str, float], ...]:
    """Return the likeliest first tokens with their log-probabilities; malformed ones are skipped.

    llama.cpp sends probabilities after sampling (`post_sampling_probs`) as `top_probs` with a `prob` each.
    """
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = tokens[0] if isinstance(tokens, list) and tokens else None
    ranked = (first.get("top_logprobs") or first.get("top_probs")) if isinstance(first, dict) else None
    found = []
    for each in ranked if isinstance(ranked, list) else ():
        if not isinstance(each, dict):
            continue
        token, logprob, share = each.get("token"), _number(each.get("logprob")), _number(each.get("prob"))
        if logprob is None and share is not None and 0.0 < share <= 1.0 + SHARE_ERROR:
            logprob = math.log(share)
        if isinstance(token, str) and logprob is not None:
            found.append((token, logprob))
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


def _number(value: Any) -> float | None:
    """Return a number of a sane size; None for anything else, such as one of 400 digits."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_COUNT
    return float(value) if is_number else None


def _detail(details: Any, name: str) -> int:
    return _count(details.get(name)) if details and isinstance(details, dict) else 0


def _count(value: Any) -> int:
    if type(value) is int and 0 <= value < MAX_COUNT:
        return value
    return max(0, int(_number(value) or 0))


def _no_text(message: _Message, reasoning: str | None, *, cut: bool) -> CallFailed:
    if isinstance(message.refusal, str) and message.refusal.strip():
        return CallFailed(FailureKind.REJECTED, f"the model refused: {readable(message.refusal)}", status=200)
    if message.tool_calls:
        return CallFailed(FailureKind.EMPTY, "the reply calls a tool and holds no text", status=200)
    if cut:
        spent = "reasoning used up all tokens" if reasoning else "the tokens ran out"
        return CallFailed(
            FailureKind.TRUNCATED,
            f"{spent} before there was an answer",
            status=200,
            hint="raise max_tokens, or turn reasoning off (chat_template_kwargs = { enable_thinking = false })",
        )
    if not reasoning:
        return CallFailed(FailureKind.EMPTY, "the reply is empty", status=200)
    return CallFailed(
        FailureKind.EMPTY,
        "the reply holds only reasoning",
        status=200,
        hint="the server's reasoning parser takes the whole text: raise max_tokens, check --reasoning-parser, or turn "
        "reasoning off (chat_template_kwargs = { enable_thinking = false })",
    )


def _error_in_reply(error: Any) -> CallFailed:
    """Return the failure of an error object: gateways forward errors with status 200 and the status as `code`."""
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    text = error_text(error)
    if isinstance(code, int) and 400 <= code <= 599:
        return refusal(code, error, text)
    return CallFailed(FailureKind.MALFORMED, f"an error came with status 200: {text}", status=200)
