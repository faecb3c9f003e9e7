"""What an endpoint's replies say about how much may be asked of it."""

from __future__ import annotations

import pytest

from engine.errors import CallFailed, FailureKind
from engine.models.health import DISABLED_AFTER, DOWN_AT_ONCE, Health, OutagePolicy

REFUSED = CallFailed(FailureKind.CONNECTION, "connection refused")
TOO_MANY = CallFailed(FailureKind.RATE_LIMITED, "HTTP 429", status=429)
RETRY_LATER = CallFailed(FailureKind.RATE_LIMITED, "HTTP 429", status=429)
RETRY_LATER.retry_after = 7.0
REJECTED = CallFailed(FailureKind.REJECTED, "HTTP 400", status=400)


@pytest.fixture
def health() -> Health:
    return Health(64, OutagePolicy(first_rest=1.0, longest_rest=4.0, disable_after=60.0))


def go_down(health: Health, at: float) -> None:
    for _ in range(DOWN_AT_ONCE):
        health.failed(REFUSED, started=at, now=at)


def test_a_healthy_endpoint_takes_all_that_was_asked_for(health: Health):
    health.succeeded(in_flight=64)
    assert health.allowance(0.0) == 64


def refuse(health: Health, count: int, at: float, failure: CallFailed = TOO_MANY) -> None:
    """Let calls sent at `at` be refused while all others are in flight."""
    for _ in range(count):
        health.failed(failure, started=at, now=at + 0.1, in_flight=health.ceiling)


def test_a_refused_burst_halves_the_limit_once(health: Health):
    refuse(health, 50, at=1.0)
    assert health.allowance(1.1) == 32


def test_calls_sent_after_the_cut_halve_it_again_but_never_below_one(health: Health):
    for second in range(1, 20):
        refuse(health, 8, at=second)
        health.succeeded(in_flight=0)
    assert health.allowance(30.0) == 1


def test_a_full_queue_at_the_server_counts_as_too_much(health: Health):
    refuse(health, 7, at=1.0, failure=CallFailed(FailureKind.SERVER, "HTTP 503", status=503))
    assert health.limit == 32


@pytest.mark.parametrize("every", [500, 100, 33])
def test_a_few_refusals_leave_the_limit_as_it_is(health: Health, every: int):
    health.set_ceiling(256)
    for number in range(20_000):
        if number % every == 0:
            refuse(health, 1, at=number)
        health.succeeded(in_flight=256)
    assert health.limit == 256


def test_the_limit_returns_quickly_to_just_below_what_was_too_much_and_stops_at_the_ceiling(health: Health):
    refuse(health, 8, at=1.0)
    for _ in range(24):
        health.succeeded(in_flight=health.limit)
    assert health.limit == 56
    for _ in range(31):
        health.succeeded(in_flight=health.limit)
    assert health.limit == 56
    health.succeeded(in_flight=health.limit)
    assert health.limit == 57
    for _ in range(10_000):
        health.succeeded(in_flight=health.limit)
    assert health.limit == 64


def test_an_unused_limit_does_not_grow(health: Health):
    refuse(health, 8, at=1.0)
    for _ in range(1000):
        health.succeeded(in_flight=5)
    assert health.limit == 32


def test_one_that_refuses_every_call_until_a_time_is_left_alone_until_then(health: Health):
    for _ in range(64):
        health.failed(RETRY_LATER, started=1.0, now=2.0, in_flight=64)
    assert health.is_refusing
    assert health.allowance(8.9) == 0
    assert health.allowance(9.0) == 1, "one call tries it"
    health.began(9.0)
    health.succeeded(in_flight=1, started=9.0, now=9.1)
    assert health.allowance(9.1) == 64, "it was shut, not crowded"


def test_without_a_time_the_rests_grow_to_that_of_limits_per_minute():
    health = Health(64, OutagePolicy())
    rests = []
    for _ in range(64):
        health.failed(TOO_MANY, started=1.0, now=1.0, in_flight=64)
    at = 1.0
    for _ in range(9):
        rests.append(health.ready_at - at)
        at = health.ready_at
        health.failed(TOO_MANY, started=at, now=at)
    assert rests == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_one_that_refuses_every_call_for_minutes_is_disabled_with_the_reason(health: Health):
    for _ in range(64):
        health.failed(TOO_MANY, started=0.0, now=0.0, in_flight=64)
    health.failed(TOO_MANY, started=30.0, now=30.0)
    assert health.disabled_by is None
    health.failed(TOO_MANY, started=61.0, now=61.0)
    assert health.disabled_by is TOO_MANY


def test_one_whose_quota_is_used_up_is_disabled_at_once(health: Health):
    spent = CallFailed(FailureKind.QUOTA, "HTTP 402", status=402)
    health.succeeded(in_flight=1)
    health.failed(spent, started=0.0, now=0.0)
    assert health.disabled_by is spent


def test_one_whose_failures_others_answer_is_set_aside_and_tried_after_growing_rests(health: Health):
    for _ in range(2):
        health.failed(REJECTED, started=1.0, now=1.0)
        health.outdone(REJECTED, 2.0)
    health.succeeded(in_flight=1)
    for _ in range(3):
        assert not health.is_odd
        health.failed(REJECTED, started=1.0, now=1.0)
        health.outdone(REJECTED, 2.0)
    assert health.is_odd
    assert health.stays_down
    assert health.ready_at == 3.0
    health.failed(REJECTED, started=3.0, now=3.0)
    assert health.ready_at == 5.0
    health.succeeded(in_flight=1)
    assert health.is_available


def test_one_that_refuses_only_one_call_too_many_goes_on_with_the_others(health: Health):
    for second in range(100):
        health.failed(RETRY_LATER, started=1.0 + second, now=2.0 + second, in_flight=32)
        health.succeeded(in_flight=9)
    assert health.is_available
    assert health.allowance(102.0) > 0


def test_an_endpoint_that_fails_again_and_again_is_down_and_tried_with_one_call(health: Health):
    go_down(health, 10.0)
    assert health.is_down
    assert health.allowance(10.5) == 0
    assert health.allowance(11.0) == 1


def test_few_calls_that_fail_over_some_seconds_set_it_aside_too(health: Health):
    for second in (0.0, 1.0, 2.5):
        assert not health.is_down
        health.failed(REFUSED, started=second, now=second)
    assert health.is_down


def test_failures_with_good_replies_between_set_nothing_aside(health: Health):
    for second in range(100):
        health.failed(REFUSED, started=second, now=second)
        health.failed(REFUSED, started=second, now=second)
        health.succeeded(in_flight=1)
    assert not health.is_down


def test_while_a_trial_is_out_without_failing_more_may_follow(health: Health):
    """One long reply must not keep all other work waiting after an outage."""
    go_down(health, 10.0)
    assert health.next_change_at(10.5) == 11.0
    assert health.next_change_at(11.0) == float("inf"), "nothing changes until a trial has begun"
    health.began(11.0)
    assert [health.allowance(11.0 + seconds) for seconds in (0.0, 0.9, 1.0, 2.0, 5.0, 6.0, 60.0)] == [
        1, 1, 2, 4, 32, 64, 64,
    ]  # fmt: skip
    assert health.next_change_at(12.5) == 13.0
    assert health.next_change_at(17.0) == float("inf")


def test_a_trial_that_fails_after_all_ends_the_trials(health: Health):
    go_down(health, 10.0)
    health.began(11.0)
    health.failed(REFUSED, started=11.0, now=15.0)
    assert health.allowance(16.9) == 0
    assert health.allowance(17.0) == 1


def test_one_that_took_calls_and_said_nothing_is_trusted_with_one_at_a_time(health: Health):
    for _ in range(DOWN_AT_ONCE):
        health.failed(CallFailed(FailureKind.TIMEOUT, "silence"), started=0.0, now=10.0)
    health.began(11.0)
    assert health.allowance(60.0) == 1
    assert health.next_change_at(60.0) == float("inf")


def test_rests_double_up_to_the_longest(health: Health):
    go_down(health, 0.0)
    rests = []
    for _ in range(4):
        trial = health.ready_at
        health.failed(REFUSED, started=trial, now=trial)
        rests.append(health.ready_at - trial)
    assert rests == [2.0, 4.0, 4.0, 4.0]


def test_calls_that_were_out_before_do_not_lengthen_the_rest(health: Health):
    go_down(health, 10.0)
    health.failed(REFUSED, started=9.0, now=10.9)
    assert health.ready_at == 11.0


@pytest.mark.parametrize("kind", [None, FailureKind.REJECTED, FailureKind.RATE_LIMITED, FailureKind.EMPTY])
def test_any_sign_of_life_brings_it_back(health: Health, kind: FailureKind | None):
    go_down(health, 0.0)
    if kind is None:
        health.succeeded(in_flight=1)
    else:
        health.failed(CallFailed(kind, "alive"), started=2.0, now=2.0)
    assert health.allowance(2.0) > 1


def test_one_that_stays_down_is_disabled_with_the_reason(health: Health):
    go_down(health, 0.0)
    for second in range(5, 61, 5):
        assert health.disabled_by is None
        health.failed(REFUSED, started=second, now=second)
    assert health.disabled_by is REFUSED
    assert health.allowance(1e9) == 0


def test_one_that_rejects_the_key_is_disabled_at_once(health: Health):
    refusal = CallFailed(FailureKind.UNAUTHORIZED, "HTTP 401", status=401)
    health.failed(refusal, started=0.0, now=0.0)
    assert health.disabled_by is refusal


def test_one_that_accepted_calls_before_is_disabled_after_some_rejections_in_a_row(health: Health):
    refusal = CallFailed(FailureKind.UNAUTHORIZED, "HTTP 403", status=403)
    health.succeeded(in_flight=1)
    for _ in range(50):
        health.failed(refusal, started=0.0, now=0.0)
        health.failed(refusal, started=0.0, now=0.0)
        assert health.disabled_by is None
        health.succeeded(in_flight=1)
    for _ in range(DISABLED_AFTER):
        health.failed(refusal, started=0.0, now=0.0)
    assert health.disabled_by is refusal


def test_a_higher_ceiling_is_used_at_once_and_a_lower_one_too(health: Health):
    refuse(health, 8, at=1.0)
    health.set_ceiling(100)
    assert health.allowance(2.0) == 100
    health.set_ceiling(3)
    assert health.allowance(2.0) == 3
