"""Whether and when a failed call is sent again. Pure: time and chance are passed in.

Own code, because each kind of failure has a budget of its own, tries at an endpoint that is down are not charged, and
no slot is held during a delay; retry libraries wrap one function and offer none of that.

The delay is exponential with full jitter: uniform between zero and a doubling bound, so that calls which failed
together do not return together (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from engine.errors import FailureKind

FIRST_BOUND = 1.0  # seconds: the longest wait for a first retry
LONGEST_BOUND = 30.0
LONGEST_RETRY_AFTER = 300.0  # the most that a server can ask for
ODD_REPLY_TRIES = 3

PERMANENT = frozenset({FailureKind.REJECTED, FailureKind.UNAUTHORIZED, FailureKind.TRUNCATED})
ODD_REPLIES = frozenset(
    {FailureKind.EMPTY, FailureKind.MALFORMED}
)  # the server works, and would probably repeat itself


def should_retry(kind: FailureKind, tried: int, attempts: int) -> bool:
    """Return whether a call that failed with `kind` after `tried` of `attempts` tries is sent again."""
    if kind in PERMANENT:
        return False
    return tried < (min(attempts, ODD_REPLY_TRIES) if kind in ODD_REPLIES else attempts)


def delay(tried: int, retry_after: float | None, chance: Callable[[], float]) -> float:
    """Return the seconds to wait after `tried` (>= 1) failures. `chance` returns numbers in [0, 1).

    A server's Retry-After is the minimum, plus up to a second so that not all calls return at once.
    """
    if retry_after is not None:
        return min(retry_after, LONGEST_RETRY_AFTER) + chance() * FIRST_BOUND
    doublings = min(tried - 1, 30)  # beyond that the bound is reached anyway
    return chance() * min(LONGEST_BOUND, FIRST_BOUND * 2.0**doublings)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date); None if invalid."""
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
            if when.tzinfo is None:
                when = when.replace(tzinfo=UTC)
            seconds = (when - (now or datetime.now(UTC))).total_seconds()
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return None
    return max(0.0, min(seconds, LONGEST_RETRY_AFTER)) if seconds == seconds else None  # NaN is a float too
