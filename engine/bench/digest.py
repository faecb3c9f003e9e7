"""Short fingerprints of texts, which show whether a judgment is of today's question and answers."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

_DIGEST_BYTES = 8


def text_digest(turns: Sequence[str]) -> str:
    """Return 16 hex digits over the turns of one text; how it is divided into turns counts too."""
    return _digest((turns,)).hex()


def text_key(turns: Sequence[str]) -> int:
    """Return the digest of `text_digest` as a number."""
    return int.from_bytes(_digest((turns,)), "big")


def inputs_digest(question_turns: Sequence[str], baseline_turns: Sequence[str], model_turns: Sequence[str]) -> str:
    """Return 16 hex digits over all that a judgment compares: the question, the baseline's and the model's answer."""
    return _digest((question_turns, baseline_turns, model_turns)).hex()


def _digest(texts: Sequence[Sequence[str]]) -> bytes:
    """Hash every length before what it measures, so that no two inputs run together to the same bytes."""
    parts = []
    for turns in texts:
        parts.append(len(turns).to_bytes(8, "little"))
        for turn in turns:
            data = turn.encode("utf-8", "surrogatepass")
            parts += (len(data).to_bytes(8, "little"), data)
    return blake2b(b"".join(parts), digest_size=_DIGEST_BYTES).digest()
