"""The error of a batch that could not be made."""

from __future__ import annotations

from engine.errors import ArenaError


class BatchFailed(ArenaError):
    """vLLM did not make a batch."""

    exit_code = 1
