"""Whether and when a failed call is sent again. Pure: time and chance are passed in.

Own code, because each kind of failure has a budget of its own, tries at an endpoint that is down or while another one
is left are not charged, and no slot is held during a delay; retry libraries wrap one function and offer none of that.

The delay is exponential with full jitter: uniform between zero and a doubling bound, so that calls which failed
together do not return together (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from engine.errors import FailureKind

FIRST_BOUND = 1.0  # seconds: the longest wait for a first retry
LONGEST_BOUND = 30.0
LONGEST_RETRY_AFTER = 300.0  # the most that a server can ask for
ODD_REPLY_TRIES = 3

MAX_ELSEWHERE = 3  # further endpoints that a call is sent to when it fails, without a charge
LATEST_ANSWERS = 90.0  # seconds: an endpoint that answered within them is limited per minute, not broken

PERMANENT = frozenset({FailureKind.REJECTED, FailureKind.UNAUTHORIZED, FailureKind.TRUNCATED, FailureKind.QUOTA})
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


def wait_of_headers(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that the headers of a refusal ask to wait; None without any.

    Reads Retry-After (RFC 9110), `retry-after-ms` (OpenAI, Azure), and the reset times of limits: `ratelimit-reset`
    and the `t` of `ratelimit` (IETF drafts), `x-ratelimit-reset-requests` (OpenAI), `anthropic-ratelimit-tokens-reset`
    and the like. Of several resets those count whose `remaining` is 0; if that is said of none, the first one.
    """
    low = {name.lower().removeprefix(_LITELLM): value for name, value in headers.items()}
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (wait := _seconds_of(f"{low.get(name, '')}ms", now)) is not None:
            return wait
    for name in ("retry-after", "x-retry-after", "retry_after"):
        if (wait := parse_retry_after(low.get(name), now)) is not None:
            return wait
    resets: list[float] = []
    used_up: list[float] = []
    for name, value in low.items():
        if "ratelimit" not in name and "rate-limit" not in name:
            continue
        if "reset" in name:
            wait, left = _seconds_of(value, now), low.get(name.replace("reset", "remaining"), "")
        else:
            for item in (value.split(",") if ";" in value else (value,))[:_MOST_LIMITS]:
                if found := _DRAFT_RESET.search(item):
                    remaining = _DRAFT_REMAINING.search(item)
                    is_used_up = remaining is not None and remaining[1] == "0"
                    (used_up if is_used_up else resets).append(min(float(found[1]), LONGEST_RETRY_AFTER))
            continue
        if wait is not None:
            (used_up if left.strip() == "0" else resets).append(min(wait, LONGEST_RETRY_AFTER))
    return max(used_up) if used_up else min(resets, default=None)


def wait_of_error(error: Any, message: str) -> float | None:
    """Return the seconds that an error asks to wait: in Google's `retryDelay`, `retry_after` or its message.

    OpenRouter has the headers of the provider behind it in `metadata`.
    """
    fields = error if isinstance(error, dict) else {}
    details = fields.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, dict):
            delay = delay.get("seconds")
        if isinstance(delay, str | int | float) and (wait := _seconds_of(str(delay)[:80])) is not None:
            return wait
    for name in ("retry_after", "retry_after_seconds", "retryAfter"):
        given = fields.get(name)
        if (
            isinstance(given, str | int | float)
            and not isinstance(given, bool)
            and (wait := _seconds_of(str(given)[:80])) is not None
        ):
            return wait
    metadata = fields.get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    if isinstance(headers, dict):
        wait = wait_of_headers({str(name): str(value)[:80] for name, value in headers.items()})
        if wait is not None:
            return wait
    found = _IN_MESSAGE.search(message)
    return _seconds_of(found[1] or f"{found[2]}s") if found else None


_LITELLM = "llm_provider-"  # before the names of headers that it hands on
_MOST_LIMITS = 8  # of one header
_DRAFT_RESET = re.compile(r"\b(?:t|reset)=(\d{1,9})\b")
_DRAFT_REMAINING = re.compile(r"\b(?:r|remaining)=(\d{1,9})\b")
_IN_MESSAGE = re.compile(
    r"(?:again|retry|wait)(?: in| after| for)? ((?:\d{1,9}(?:\.\d{1,9})? ?(?:ms|[hms])[a-z]*\s?){1,8})"
    r"|\bretry[-_ ]after\W{1,3}(\d{1,9}(?:\.\d{1,9})?)",
    re.I,
)
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|[dhms])[a-z]*")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH = 1e9  # a larger number is a time since 1970, a smaller one a number of seconds


def _seconds_of(text: str, now: datetime | None = None) -> float | None:
    """Return the seconds of `7`, `1m30.5s`, `20ms`, a date, or a time since 1970 in seconds or milliseconds."""
    text = text.strip().lower()[:80]
    if parts := _PART.findall(text) if not re.search(r"[^\d.\sa-z]", text) else []:
        return min(sum(float(number) * _UNITS[unit] for number, unit in parts), LONGEST_RETRY_AFTER)
    moment = now or datetime.now(UTC)
    try:
        number = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text.upper())
            return _bounded((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - moment.timestamp())
        except (ArithmeticError, ValueError):
            return _until_date(text, moment)
    if number > _EPOCH:
        number = (number / 1000 if number > 1000 * _EPOCH else number) - moment.timestamp()
    return _bounded(number)


def _bounded(seconds: float) -> float | None:
    return max(0.0, min(seconds, LONGEST_RETRY_AFTER)) if seconds == seconds else None  # NaN is a float too


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date); None if invalid.

    Seconds may have a unit, or be a time since 1970.
    """
    if value is None:
        return None
    text = value.strip()[:80]
    if text[:1].isdigit() and "," in text:  # two proxies that each added one; a date begins with a letter
        text = text.partition(",")[0]
    try:
        seconds = float(text)
        if seconds > _EPOCH:
            return _seconds_of(text, now)
    except ValueError:
        if text[:1].isdigit() and _PART.match(text.lower()):
            return _seconds_of(text, now)
        return _until_date(text, now or datetime.now(UTC))
    return _bounded(seconds)


def _until_date(text: str, now: datetime) -> float | None:
    """Return the seconds from `now` until an HTTP date; None if the text is none."""
    try:
        when = parsedate_to_datetime(text)
        return _bounded(((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None
