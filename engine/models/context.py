"""Calls that do not fit into a server's context are not sent; replies that the context cut short are rejected.

vLLM answers a call whose prompt and `max_tokens` together exceed its context nevertheless: the reply ends where the
context does, with finish_reason "length" as if `max_tokens` had been reached. That is not an answer.

Counting the tokens of every prompt would cost a request each. The bytes of a request bound them: no vocabulary makes
more tokens than bytes. After some replies the largest number of tokens per byte is known from their usage, and only a
call near the bound is counted by the server (`/tokenize`).
"""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from engine.errors import CallFailed, FailureKind
from engine.models.connection import FAULTS, fetch
from engine.models.endpoint import Endpoint
from engine.records import Completion

SAMPLES = 16  # replies after which their counts give a bound
MARGIN = 1.15  # by which a text may be denser than any so far
TIME_LIMIT = 15.0  # seconds for a count
LARGEST_COUNT = 16 * 2**20  # bytes: the reply lists every token

_HINT = "lower max_tokens, or serve the model with a larger --max-model-len"


class _Counted(msgspec.Struct):
    count: int


_decoder = msgspec.json.Decoder(_Counted)


class ContextGuard:
    """The context of a model's servers, in tokens; None where they do not report it.

    `counts_exactly` says that the server's usage counts exactly what `max_tokens` bounds.
    """

    def __init__(
        self, session: aiohttp.ClientSession, endpoint: Endpoint, tokens: int | None, *, counts_exactly: bool
    ) -> None:
        self.tokens = tokens
        self._session = session
        self._endpoint = endpoint
        self._counts_exactly = counts_exactly
        self._can_count = counts_exactly
        self._seen = 0
        self._densest = 0.0
        self._density = 1.0  # tokens per byte of a request, at most

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

    def verify(self, completion: Completion, size: int, max_tokens: int | None) -> list[str]:
        """Learn the density from a reply to `size` bytes, and return what is doubtful about it.

        Raises CallFailed if it was cut before its `max_tokens`.
        """
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
        return CallFailed(FailureKind.REJECTED, message, endpoint=self._endpoint.address, hint=_HINT)

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
