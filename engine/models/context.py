"""Calls that do not fit into a server's context are not sent; replies to cut prompts, and cut replies, are rejected.

vLLM answers a call whose prompt and `max_tokens` together exceed its context nevertheless: the reply ends where the
context does, with finish_reason "length" as if `max_tokens` had been reached. That is not an answer.

Counting the tokens of every prompt would cost a request each. The bytes of a request bound them: no vocabulary makes
more tokens than bytes. After some replies the largest number of tokens per byte is known from their usage, and only a
call near the bound is counted by the server (`/tokenize`).

Others (Ollama) cut the prompt in silence and report the tokens that are left. No vocabulary joins many words into one
token, so far fewer tokens than words mean a prompt that was cut.
"""

from __future__ import annotations

import re
from typing import Any

import aiohttp
import msgspec

from engine.errors import CallFailed, FailureKind
from engine.models.connection import FAULTS, fetch
from engine.models.endpoint import Endpoint
from engine.records import Completion, Usage

SAMPLES = 16  # replies after which their counts give a bound
MARGIN = 1.15  # by which a text may be denser than any so far
TIME_LIMIT = 15.0  # seconds for a count
LARGEST_COUNT = 16 * 2**20  # bytes: the reply lists every token

LEAST_CUT = 256  # tokens: smaller numbers are no context, but made up
DOUBTFUL, CERTAIN = 1.5, 2.0  # how many times more tokens a text has at least than were counted
SUSPECT = 1.45  # spaces for each token, in a sample of the request, from which on its words are counted
SAMPLE = 2048  # bytes
FEWEST_BYTES, MOST_BYTES = 6, 12  # of a request for each token: fewer are no cut prompt, more may be one
SAME_COUNTS = 3  # prompts of different lengths with the same, largest count

_WORD = re.compile(r"\w\S*")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")  # Chinese and Japanese
_RUN = re.compile(r"(.)\1{3,}", re.DOTALL)
_CUT_HINT = (
    "raise its context (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx; llama.cpp: --ctx-size), or shorten the prompts"
)
_HINT = "lower max_tokens, or serve the model with a larger --max-model-len"


class _Counted(msgspec.Struct):
    count: int


_decoder = msgspec.json.Decoder(_Counted)


class ReplyGuard:
    """Compares replies of one model with their requests: was the prompt cut, or the reply before its limit?

    `tokens` is the context of the servers, None where it is unknown; `counts_exactly` says that their usage counts
    exactly what `max_tokens` bounds. `address` is named by failures.
    """

    def __init__(self, tokens: int | None = None, *, counts_exactly: bool, address: str = "") -> None:
        self.tokens = tokens
        self._address = address
        self._counts_exactly = counts_exactly
        self._seen = 0
        self._densest = 0.0
        self._density = 1.0  # tokens per byte of a request, at most
        self._largest = 0  # count of prompt tokens
        self._shortest = self._longest = self._sizes = 0  # requests with that count: sizes, and how many different ones
        self._doubted = False  # a doubt about prompts is reported

    def verify(self, completion: Completion, payload: bytes, max_tokens: int | None) -> list[str]:
        """Learn the density from the reply to a request, and return what is doubtful about it.

        Raises CallFailed if the prompt was cut, or the reply before its `max_tokens`.
        """
        doubts = self._verify_prompt(completion.usage, payload)
        return doubts + self._verify_reply(completion, len(payload), max_tokens)

    def _verify_prompt(self, usage: Usage, payload: bytes) -> list[str]:
        """Compare the tokens that the server counted with the fewest that the prompt can have."""
        tokens = usage.prompt_tokens + (usage.cached_tokens if usage.cached_tokens > usage.prompt_tokens else 0)
        if tokens < LEAST_CUT:
            return []
        size = len(payload)
        doubts = self._same_count(tokens, size) if tokens >= self._largest else []
        if size < FEWEST_BYTES * tokens:
            return doubts
        middle = payload[size // 2 : size // 2 + SAMPLE]
        if size < MOST_BYTES * tokens and middle.count(b" ") * size < SUSPECT * tokens * len(middle):
            return doubts
        words, least = _least_tokens(payload)
        if least > CERTAIN * tokens:
            message = f"the server cut the prompt to its context: {tokens} prompt tokens counted for {words} words"
            raise CallFailed(FailureKind.REJECTED, message, status=200, hint=_CUT_HINT)
        if least > DOUBTFUL * tokens and not self._doubted:
            self._doubted = True
            doubts.append(f"{tokens} prompt tokens are counted for {words} words: are prompts cut? {_CUT_HINT}")
        return doubts

    def _same_count(self, tokens: int, size: int) -> list[str]:
        """Return a warning when the largest count comes again and again for requests of different sizes."""
        if tokens > self._largest:
            self._largest, self._shortest, self._longest, self._sizes = tokens, size, size, 1
        elif size > 1.1 * self._longest:
            self._longest, self._sizes = size, self._sizes + 1
        elif size < 0.9 * self._shortest:
            self._shortest, self._sizes = size, self._sizes + 1
        if self._doubted or self._sizes < SAME_COUNTS:
            return []
        self._doubted = True
        return [f"{tokens} prompt tokens are counted for prompts of different lengths: are they cut? {_CUT_HINT}"]

    def _verify_reply(self, completion: Completion, size: int, max_tokens: int | None) -> list[str]:
        usage = completion.usage
        if usage.prompt_tokens:
            self._seen += 1
            self._densest = max(self._densest, usage.prompt_tokens / size)
            if self._seen >= SAMPLES:
                self._density = min(1.0, self._densest * MARGIN)
        if completion.finish_reason != "length" or max_tokens is None or not self._counts_exactly:
            return []
        if self.tokens is not None and usage.prompt_tokens + max_tokens > self.tokens:
            raise self._overflow(usage.prompt_tokens, max_tokens)
        if 0 < usage.completion_tokens < max_tokens <= usage.completion_tokens + usage.reasoning_tokens:
            return []  # a usage that counts reasoning apart
        if 0 < usage.completion_tokens < max_tokens and (completion.reasoning or not completion.counts_limit):
            return ["usage counts fewer tokens than max_tokens for a reply that was cut: does it leave out reasoning?"]
        if 0 < usage.completion_tokens < max_tokens:
            raise CallFailed(
                FailureKind.REJECTED,
                f"the server cut the reply after {usage.completion_tokens} of max_tokens {max_tokens}",
                status=200,
                hint="max_new_tokens in the model's generation_config.json may be the cause: serve it with "
                "--generation-config vllm, or lower max_tokens",
            )
        return []

    def _overflow(self, prompt: int, max_tokens: int) -> CallFailed:
        message = f"prompt {prompt} + max_tokens {max_tokens} > {self.tokens} tokens, the context of the server"
        return CallFailed(FailureKind.REJECTED, message, endpoint=self._address, hint=_HINT)


class ContextGuard(ReplyGuard):
    """A ReplyGuard that also checks requests before they are sent."""

    def __init__(
        self, session: aiohttp.ClientSession, endpoint: Endpoint, tokens: int | None, *, counts_exactly: bool
    ) -> None:
        super().__init__(tokens, counts_exactly=counts_exactly, address=endpoint.address)
        self._session = session
        self._endpoint = endpoint
        self._can_count = counts_exactly

    def take_in(self, tokens: int | None) -> None:
        """Note the context of a further server: the smallest one holds."""
        self.tokens = min((each for each in (self.tokens, tokens) if each is not None), default=None)

    def fits(self, size: int, max_tokens: int) -> bool:
        """Return whether a request of `size` bytes certainly leaves room for its reply."""
        return self.tokens is None or size * self._density + max_tokens <= self.tokens

    async def check(self, body: dict[str, Any], max_tokens: int) -> None:
        """Count the prompt. Raises CallFailed if it leaves no room for `max_tokens`."""
        if self.tokens is None or not self._can_count:
            return
        prompt = await self._count(body)
        if prompt is None:
            self._can_count = False
        elif prompt + max_tokens > self.tokens:
            raise self._overflow(prompt, max_tokens)

    async def _count(self, body: dict[str, Any]) -> int | None:
        """Return the tokens of a prompt, chat template included; None where the server cannot count."""
        url = self._endpoint.server_url("tokenize")
        asked = {key: body[key] for key in ("model", "messages", "chat_template_kwargs") if key in body}
        try:
            status, reply = await fetch(
                self._session,
                self._endpoint,
                url,
                time_limit=TIME_LIMIT,
                largest=LARGEST_COUNT,
                body=msgspec.json.encode(asked),
            )
            return _decoder.decode(reply).count if status == 200 else None
        except (CallFailed, msgspec.DecodeError, UnicodeDecodeError, *FAULTS):
            return None


def _least_tokens(payload: bytes) -> tuple[int, float]:
    """Return the words of the messages of a request, and the fewest tokens that any vocabulary makes of them."""
    messages = msgspec.json.decode(payload).get("messages", ())
    text = " ".join(text for text in (each.get("content") for each in messages) if isinstance(text, str))
    words = len(_WORD.findall(text))
    unspaced = len(_UNSPACED.findall(text))
    return words, max(words + unspaced / 3, len(_RUN.sub(r"\1", text)) / 8)
