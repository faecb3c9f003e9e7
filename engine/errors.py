"""Every error that arena-tui raises on purpose.

    ArenaError                 a problem with a title and a hint that a user can act on
    ├── UsageProblem           the command line asks for something that cannot be   (exit 2)
    ├── ConfigError            config.toml does not say what is needed, all at once (exit 2)
    ├── BenchError             a file of a bench cannot be used as it is            (exit 2)
    │   └── BenchLocked        another process is writing to the bench              (exit 2)
    ├── StorageError           a result could not be written (disk full, read-only) (exit 1)
    ├── RatingError            the battles do not determine a rating                (exit 2)
    ├── GateRefused            two results must not be compared, every reason       (exit 2)
    └── CallFailed             one call to a model server failed for good
        └── NeverAsked         ... before it was sent: no endpoint of its model is left

`title` says what is wrong and where; `hint` says what to do about it. Neither ever holds a key or a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec


class ArenaError(Exception):
    """A problem told to the user as a title and a hint, never as a traceback."""

    exit_code = 2

    def __init__(self, title: str, hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.title}\n  {self.hint}" if self.hint else self.title


class UsageProblem(ArenaError):
    """The command line asks for something that cannot be done."""


class ConfigProblem(msgspec.Struct, frozen=True):
    """One thing wrong in a config: where (`answers.max_tokens`), what, and what to do."""

    key: str
    message: str
    hint: str = ""


class ConfigError(ArenaError):
    """A config that cannot be used; carries every problem found, not only the first."""

    def __init__(self, file: str, problems: Sequence[ConfigProblem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        lines = [f"{p.key}: {p.message}" + (f" ({p.hint})" if p.hint else "") for p in self.problems]
        count = len(self.problems)
        super().__init__(f"{file}: {count} problem{'s' if count != 1 else ''}\n  " + "\n  ".join(lines))


class BenchError(ArenaError):
    """A file of a bench is missing or cannot be used as it is."""


class BenchLocked(BenchError):
    """Another process holds the bench open for writing."""


class StorageError(ArenaError):
    """A result could not be written; what was saved before is intact."""

    exit_code = 1


class RatingError(ArenaError):
    """The battles do not determine the ratings that were asked for."""


class GateRefused(ArenaError):
    """A gate that cannot know whether a model is worse; carries every reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("the gate cannot tell, so it does not pass:\n  " + "\n  ".join(reasons))


class FailureKind(StrEnum):
    """Why a call failed; the value stands in errors.jsonl."""

    CONNECTION = "connection"  # refused, reset, closed, DNS, TLS
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"  # 429
    SERVER = "server"  # 5xx, 408
    REJECTED = "rejected"  # 400, 404, 413, 422: the same request will never work
    UNAUTHORIZED = "unauthorized"  # 401, 403
    MALFORMED = "malformed"  # not JSON, no choices, an error object in a 200
    EMPTY = "empty"  # a reply without text
    TRUNCATED = "truncated"  # thinking used up all tokens: nothing is left to be an answer
    ABORTED = "aborted"  # finish_reason abort or error: the server cut the reply


class CallFailed(ArenaError):
    """One call failed for good, after `attempts` tries at `endpoint`."""

    exit_code = 1

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        endpoint: str = "",
        status: int | None = None,
        attempts: int = 1,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.endpoint = endpoint
        self.status = status
        self.attempts = attempts
        self.retry_after: float | None = None  # seconds that the server asked to wait


class NeverAsked(CallFailed):
    """A call that was not sent even once, because every endpoint of its model was given up: it stays to be done."""
