"""Short fingerprints of texts, so that a judgment can be told to be of today's question and answers."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

_DIGEST_BYTES = 8


def text_digest(turns: Sequence[str]) -> str:
    """16 hex digits over the turns of one text; how it is divided into turns counts too."""
    return _digest((turns,))


def inputs_digest(question_turns: Sequence[str], baseline_turns: Sequence[str], model_turns: Sequence[str]) -> str:
    """16 hex digits over all that a judgment compares: the question, the baseline's answer, the model's answer."""
    return _digest((question_turns, baseline_turns, model_turns))


def _digest(texts: Sequence[Sequence[str]]) -> str:
    """Every length goes into the hash before what it measures, so no two inputs run together to the same bytes."""
    state = blake2b(digest_size=_DIGEST_BYTES)
    for turns in texts:
        state.update(len(turns).to_bytes(8, "little"))
        for turn in turns:
            data = turn.encode("utf-8", "surrogatepass")
            state.update(len(data).to_bytes(8, "little"))
            state.update(data)
    return state.hexdigest()
