"""The requests of clients, and the refusals of those that cannot be served: status and wording as vLLM's."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import msgspec

from engine.simulator.text import count_tokens

_PER_MESSAGE = 4  # tokens of a chat template around each message


class ContentPart(msgspec.Struct):
    """One part of a message whose content is a list."""

    type: str = "text"
    text: str = ""


class RequestMessage(msgspec.Struct):
    role: str
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content or ())


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class StructuredOutputs(msgspec.Struct):
    choice: list[str] | None = None
    regex: str | None = None


class ChatRequest(msgspec.Struct):
    """The fields of a chat call that have a meaning here; other fields are ignored, as by vLLM."""

    messages: list[RequestMessage]
    model: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    structured_outputs: StructuredOutputs | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    include_reasoning: bool = True

    @property
    def limit(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


class TokenizeRequest(msgspec.Struct):
    model: str | None = None
    messages: list[RequestMessage] | None = None
    prompt: str | None = None
    return_token_strs: bool = False


class Refusal(Exception):
    """A request that is not served: the status and the JSON body of the reply."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


JSONError: TypeAlias = dict[str, Any]
T = TypeVar("T")

_chat_decoder = msgspec.json.Decoder(ChatRequest)
_tokenize_decoder = msgspec.json.Decoder(TokenizeRequest)


def error_body(message: str, kind: str, status: int, param: str | None = None) -> JSONError:
    """Return an error object in vLLM's layout."""
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def read_chat(body: bytes) -> ChatRequest:
    """Decode and check a chat call. Raises Refusal (400)."""
    request = _decode(_chat_decoder, body)
    if not request.messages:
        raise _bad("Cannot apply chat template to an empty conversation.", "messages")
    if request.limit is not None and request.limit < 1:
        raise _bad(f"max_tokens must be at least 1, got {request.limit}.", "max_tokens")
    if request.temperature is not None and not 0 <= request.temperature <= 2:
        raise _bad(f"temperature must be in [0, 2], got {request.temperature}.", "temperature")
    if request.top_logprobs is not None and not 0 <= request.top_logprobs <= 20:
        raise _bad(f"Requested top logprobs of {request.top_logprobs}, the maximum is 20.", "top_logprobs")
    if request.n is not None and not 1 <= request.n <= 128:
        raise _bad(f"n must be in [1, 128], got {request.n}.", "n")
    constraint = request.structured_outputs
    if constraint is not None and (
        (constraint.choice is None) == (constraint.regex is None) or constraint.choice == []
    ):
        raise _bad("You must use exactly one kind of structured outputs constraint, and not an empty one.", None)
    return request


def read_tokenize(body: bytes) -> TokenizeRequest:
    """Decode a tokenize call. Raises Refusal (400)."""
    return _decode(_tokenize_decoder, body)


def prompt_tokens(messages: list[RequestMessage]) -> int:
    """Return the tokens of the whole conversation, template included."""
    return sum(count_tokens(message.text) + _PER_MESSAGE for message in messages)


def room_for_reply(request: ChatRequest, prompt: int, max_model_len: int) -> int:
    """Return how many tokens the reply may have; it is cut where the context ends. Raises Refusal."""
    if prompt >= max_model_len:
        raise _bad(
            f"This model's maximum context length is {max_model_len} tokens. However, your prompt contains at least "
            f"{prompt} input tokens. Please reduce the length of the input prompt.",
            "input_tokens",
        )
    limit = request.limit
    if limit is not None and limit > max_model_len:
        raise _bad(f"max_tokens={limit} cannot be greater than max_model_len={max_model_len}.", "max_tokens")
    room = max_model_len - prompt
    return room if limit is None else min(limit, room)


def unknown_model(name: str, known: list[str]) -> Refusal:
    message = f"The model `{name}` does not exist. Valid aliases: {', '.join(known)}."
    return Refusal(404, error_body(message, "NotFoundError", 404, "model"))


def _bad(message: str, param: str | None) -> Refusal:
    return Refusal(400, error_body(message, "BadRequestError", 400, param))


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        param = "body" + path.rstrip("`") if path else "body"
        raise Refusal(400, error_body(what, "Bad Request", 400, param)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, error_body(f"JSON decode error: {error}", "Bad Request", 400, "body")) from None
