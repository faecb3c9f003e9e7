"""When a failed call is tried again, and after how long. Pure: time and chance are passed in.

The delay is exponential with full jitter: uniform between zero and a doubling bound, so that calls which failed
together do not come back together (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from engine.errors import FailureKind

FIRST_BOUND = 1.0  # seconds: no first retry waits longer
LONGEST_BOUND = 30.0
LONGEST_RETRY_AFTER = 300.0  # a server that asks for more is asked again sooner
ODD_REPLY_TRIES = 3

PERMANENT = frozenset({FailureKind.REJECTED, FailureKind.UNAUTHORIZED, FailureKind.TRUNCATED})
ODD_REPLIES = frozenset({FailureKind.EMPTY, FailureKind.MALFORMED})  # the server works, and may well say it again


def should_retry(kind: FailureKind, tried: int, attempts: int) -> bool:
    """Whether a call that failed with `kind` after `tried` tries is worth another one, of `attempts` at most."""
    if kind in PERMANENT:
        return False
    return tried < (min(attempts, ODD_REPLY_TRIES) if kind in ODD_REPLIES else attempts)


def delay(tried: int, retry_after: float | None, chance: Callable[[], float]) -> float:
    """Seconds to wait after `tried` (>= 1) failures. `chance` gives numbers in [0, 1).

    A server's Retry-After is the least that is waited, plus up to a second so that not all come back at once.
    """
    if retry_after is not None:
        return min(retry_after, LONGEST_RETRY_AFTER) + chance() * FIRST_BOUND
    doublings = min(tried - 1, 30)  # beyond that the bound is reached anyway
    return chance() * min(LONGEST_BOUND, FIRST_BOUND * 2.0**doublings)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date); None when it says nothing."""
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, min(seconds, LONGEST_RETRY_AFTER)) if seconds == seconds else None  # NaN is a float too
