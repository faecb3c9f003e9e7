"""The JSON and the server-sent events of chat replies, as vLLM lays them out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from engine.models.simulator.cast import Said
from engine.models.simulator.tokens import pieces

_CHUNKS_PER_SECOND = 50.0  # the most that a stream sends; more tokens share a chunk


def usage(prompt: int, said: Sequence[Said]) -> dict[str, Any]:
    """The token counts of a reply; `completion_tokens` sums over its choices."""
    completion = sum(one.tokens for one in said)
    reasoning = sum(one.reasoning_tokens for one in said)
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": None,
        "completion_tokens_details": {"reasoning_tokens": reasoning} if reasoning else None,
    }


def completion(identity: str, model: str, prompt: int, said: Sequence[Said]) -> dict[str, Any]:
    """A whole reply."""
    return {
        "id": identity,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": one.content, "reasoning": one.reasoning, "refusal": None},
                "logprobs": one.logprobs,
                "finish_reason": one.finish_reason,
                "stop_reason": None,
                "token_ids": None,
            }
            for index, one in enumerate(said)
        ],
        "system_fingerprint": "simulated",
        "usage": usage(prompt, said),
    }


def chunks(
    identity: str, model: str, said: Sequence[Said], tokens_per_second: float
) -> Iterator[tuple[float, dict[str, Any]]]:
    """The chunks of a streamed reply, each after the pause in seconds that comes before it."""
    together = max(1, round(tokens_per_second / _CHUNKS_PER_SECOND)) if tokens_per_second else 16
    pause = together / tokens_per_second if tokens_per_second else 0.0
    base = {"id": identity, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}

    def chunk(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**base, "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}

    for index, one in enumerate(said):
        yield 0.0, chunk(index, {"role": "assistant", "content": ""})
        for field, text in (("reasoning", one.reasoning), ("content", one.content)):
            parts = pieces(text or "")
            for start in range(0, len(parts), together):
                yield pause, chunk(index, {field: "".join(parts[start : start + together])})
        yield 0.0, chunk(index, {}, one.finish_reason)


def usage_chunk(identity: str, model: str, prompt: int, said: Sequence[Said]) -> dict[str, Any]:
    """The last chunk of a stream that was asked for its usage."""
    base = {"id": identity, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
    return {**base, "choices": [], "usage": usage(prompt, said)}
