"""When a call is tried again, and after how long."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FailureKind
from engine.models.retry import (
    LONGEST_BOUND,
    LONGEST_RETRY_AFTER,
    delay,
    parse_retry_after,
    should_retry,
    wait_of_error,
    wait_of_headers,
)


@pytest.mark.parametrize("kind", [FailureKind.REJECTED, FailureKind.UNAUTHORIZED, FailureKind.TRUNCATED])
def test_what_will_never_work_is_not_tried_again(kind: FailureKind):
    assert not should_retry(kind, 1, 99)


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
        FailureKind.RATE_LIMITED,
        FailureKind.SERVER,
        FailureKind.ABORTED,
    ],
)
def test_what_may_pass_is_tried_as_often_as_allowed(kind: FailureKind):
    assert [should_retry(kind, tried, 5) for tried in range(1, 7)] == [True] * 4 + [False] * 2


@pytest.mark.parametrize("kind", [FailureKind.EMPTY, FailureKind.MALFORMED])
def test_an_odd_reply_is_asked_for_twice_more_at_most(kind: FailureKind):
    assert [should_retry(kind, tried, 9) for tried in range(1, 5)] == [True, True, False, False]
    assert not should_retry(kind, 1, 1)


def test_the_bound_of_the_delay_doubles_until_it_is_long_enough():
    longest = [delay(tried, None, lambda: 1.0) for tried in range(1, 9)]
    assert longest == [1, 2, 4, 8, 16, LONGEST_BOUND, LONGEST_BOUND, LONGEST_BOUND]


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_longer_than_the_bound(tried: int, chance: float):
    assert 0 <= delay(tried, None, lambda: chance) <= LONGEST_BOUND


@given(st.floats(0, LONGEST_RETRY_AFTER), st.floats(0, 1, exclude_max=True))
def test_a_server_that_names_a_time_is_not_asked_before(seconds: float, chance: float):
    assert seconds <= delay(1, seconds, lambda: chance) <= seconds + 1


NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0.25 ", 0.25),
        ("-3", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 12:00:30", 30.0),
        ("Thu, 01 Jan 2026 11:59:00 GMT", 0.0),
        ("86400", LONGEST_RETRY_AFTER),
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("30.0 seconds", 30.0),
        ("30, 60", 30.0),
        ("1767268830", 30.0),
        ("inf", LONGEST_RETRY_AFTER),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None):
    assert parse_retry_after(header, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "1200000"}, LONGEST_RETRY_AFTER),
        ({"x-ratelimit-reset-requests": "1m30.5s"}, 90.5),
        ({"x-ratelimit-reset-requests": "20ms", "x-ratelimit-reset-tokens": "6m0s"}, 0.02),
        (
            {
                "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-requests": "20ms",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "41s",
            },
            41.0,
        ),
        ({"X-RateLimit-Reset": "1767268830"}, 30.0),
        ({"X-RateLimit-Reset": "1767268830000"}, 30.0),
        ({"anthropic-ratelimit-tokens-reset": "2026-01-01T12:00:30Z"}, 30.0),
        ({"ratelimit-reset": "50"}, 50.0),
        ({"RateLimit": '"minute";r=0;t=30, "day";r=900;t=3000'}, 30.0),
        ({"RateLimit": '"minute";r=50;t=5, "day";r=0;t=80'}, 80.0),
        ({"llm_provider-retry-after": "21"}, 21.0),
        ({"llm_provider-x-ratelimit-reset-requests": "21s"}, 21.0),
        ({"x-retry-after": "5"}, 5.0),
        ({"RateLimit": "limit=10, remaining=0, reset=12"}, 12.0),
        ({"RateLimit-Policy": '"minute";q=10;w=60'}, None),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"Content-Type": "text/plain"}, None),
    ],
)
def test_the_time_of_a_limit_is_read_from_its_headers(headers: dict[str, str], seconds: float | None):
    assert wait_of_headers(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("error", "message", "seconds"),
    [
        ({"details": [{"retryDelay": "22.5s"}]}, "", 22.5),
        ({"details": [{"reason": "LIMIT"}, {"retryDelay": 7}]}, "", 7.0),
        ({"details": [{"retryDelay": {"seconds": 7}}]}, "", 7.0),
        ({"details": [{"retryDelay": [7]}]}, "", None),
        ({"retry_after": 12}, "", 12.0),
        ({"retry_after": True, "retryAfter": "9" * 400}, "", LONGEST_RETRY_AFTER),
        ({"metadata": {"headers": {"X-RateLimit-Reset-After": "20", 7: None}}}, "", 20.0),
        (None, "Rate limit exceeded, retry_after: 12", 12.0),
        (None, "Rate limit reached. Please try again in 1m20s.", 80.0),
        (None, "Please try again in 250ms. Visit the page.", 0.25),
        (None, "Please retry after 12 seconds.", 12.0),
        (None, "Please wait", None),
    ],
)
def test_the_time_of_a_limit_is_read_from_its_error(error: object, message: str, seconds: float | None):
    assert wait_of_error(error, message) == seconds


@given(st.text(), st.text())
def test_any_header_of_a_limit_is_a_bounded_time_or_nothing(name: str, value: str):
    seconds = wait_of_headers({f"x-ratelimit-reset{name}": value, "ratelimit": value})
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@given(st.text())
def test_any_retry_after_is_a_bounded_time_or_nothing(header: str):
    seconds = parse_retry_after(header)
    assert seconds is None or (0 <= seconds <= LONGEST_RETRY_AFTER and not math.isnan(seconds))


@pytest.mark.parametrize(
    "value", ["Mon, 01 Jan 99999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "9" * 400, "1e400", "1m:", "5 s; x"]
)
def test_a_retry_after_out_of_range_fails_nothing(value: str):
    seconds = parse_retry_after(value)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER
