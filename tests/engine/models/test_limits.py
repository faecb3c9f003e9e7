"""Slots: never more than allowed, first come first served, none lost, the least busy endpoint first."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.errors import CallFailed, FailureKind, NeverAsked
from engine.models.health import DOWN_AT_ONCE, TRIAL_STEP, OutagePolicy
from engine.models.limits import EndpointPool, PoolClosed


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def refused() -> CallFailed:
    return CallFailed(FailureKind.CONNECTION, "connection refused")


@asynccontextmanager
async def slot(pool: EndpointPool[str]) -> AsyncIterator[None]:
    pooled = await pool.acquire()
    try:
        yield
    finally:
        pool.release(pooled)


async def test_slots_go_to_the_least_busy_endpoint():
    pool = EndpointPool(["a", "b"], parallel=4)
    targets = [(await pool.acquire()).target for _ in range(8)]
    assert sorted(targets[0:2]) == sorted(targets[2:4]) == ["a", "b"]
    assert targets.count("a") == 4


async def test_no_more_slots_than_allowed_are_out():
    pool = EndpointPool(["a"], parallel=3)
    most = 0

    async def work() -> None:
        nonlocal most
        async with slot(pool):
            most = max(most, pool.in_flight)
            await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(50)))
    assert most == 3
    assert pool.in_flight == 0


async def test_waiters_are_served_in_the_order_in_which_they_came():
    pool = EndpointPool(["a"], parallel=1)
    served: list[int] = []

    async def work(number: int) -> None:
        async with slot(pool):
            served.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(work(number) for number in range(20)))
    assert served == list(range(20))


async def test_a_newcomer_does_not_overtake_those_who_wait():
    pool = EndpointPool(["a"], parallel=1)
    pooled = await pool.acquire()
    first = asyncio.create_task(pool.acquire())
    await settle()
    pool.release(pooled)  # the slot is now the first waiter's, though its task has not run yet
    newcomer = asyncio.create_task(pool.acquire())
    await settle()
    assert first.done()
    assert not newcomer.done()
    pool.close()
    with pytest.raises(PoolClosed):
        await newcomer


async def test_cancelled_waiters_leave_no_slot_behind():
    pool = EndpointPool(["a", "b"], parallel=2)
    dice = random.Random(7)

    async def work() -> None:
        async with slot(pool):
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(work()) for _ in range(300)]
    while not all(task.done() for task in tasks):
        dice.choice(tasks).cancel()
        await asyncio.sleep(0)
    assert pool.in_flight == 0
    assert sum(not task.cancelled() for task in tasks) > 0
    for _ in range(4):
        await asyncio.wait_for(pool.acquire(), 1)


async def test_a_waiter_cancelled_just_after_it_got_its_slot_gives_it_back():
    pool = EndpointPool(["a"], parallel=1)
    pooled = await pool.acquire()
    waiter = asyncio.create_task(pool.acquire())
    await settle()
    pool.release(pooled)
    waiter.cancel()
    await settle()
    assert waiter.cancelled()
    assert pool.in_flight == 0


async def test_a_higher_limit_lets_waiters_in_at_once_and_a_lower_one_waits_for_calls_to_end():
    pool = EndpointPool(["a"], parallel=1)
    waiters = [asyncio.create_task(pool.acquire()) for _ in range(5)]
    await settle()
    assert sum(waiter.done() for waiter in waiters) == 1
    pool.set_limit(3)
    await settle()
    assert sum(waiter.done() for waiter in waiters) == 3
    pool.set_limit(1)
    pool.release(waiters[0].result())
    pool.release(waiters[1].result())
    await settle()
    assert sum(waiter.done() for waiter in waiters) == 3
    pool.release(waiters[2].result())
    await settle()
    assert sum(waiter.done() for waiter in waiters) == 4
    waiters[4].cancel()


async def test_closing_refuses_waiters_sleepers_and_newcomers_but_not_those_who_work():
    pool = EndpointPool(["a"], parallel=1, rate=None)
    pooled = await pool.acquire()
    waiter = asyncio.create_task(pool.acquire())
    sleeper = asyncio.create_task(pool.pause(3600))
    await settle()
    pool.close()
    for refused_task in (waiter, sleeper, asyncio.create_task(pool.acquire()), asyncio.create_task(pool.pause(0))):
        with pytest.raises(PoolClosed):
            await refused_task
    pool.release(pooled)
    assert pool.in_flight == 0


async def test_starts_are_spread_to_the_rate():
    pool = EndpointPool(["a"], parallel=1000, rate=100)
    starts: list[float] = []

    async def work() -> None:
        async with slot(pool):
            starts.append(time.monotonic())

    await asyncio.gather(*(work() for _ in range(61)))
    assert 0.5 < starts[-1] - starts[0] < 30
    window = 0.25
    assert max(sum(start <= other < start + window for other in starts) for start in starts) <= 40


async def test_a_rate_below_one_per_second_is_kept():
    pool = EndpointPool(["a"], parallel=10, rate=0.01)
    await pool.acquire()
    second = asyncio.create_task(pool.acquire())
    await settle()
    assert not second.done()
    pool.close()
    with pytest.raises(PoolClosed):
        await asyncio.wait_for(second, 1)
    assert pool.in_flight == 1


async def test_the_rate_can_be_lifted_while_calls_wait_for_it():
    pool = EndpointPool(["a"], parallel=10, rate=0.001)
    await pool.acquire()
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(9)]
    await settle()
    assert not any(task.done() for task in waiting)
    pool.set_rate(None)
    async with asyncio.timeout(60):
        await asyncio.gather(*waiting)


async def test_one_cancelled_while_waiting_for_the_rate_gives_its_slot_back():
    pool = EndpointPool(["a"], parallel=10, rate=0.01)
    await pool.acquire()
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(3)]
    await settle()
    for task in waiting:
        task.cancel()
    await settle()
    assert all(task.cancelled() for task in waiting)
    assert pool.in_flight == 1


async def test_one_cancelled_while_the_pool_closes_is_cancelled():
    pool = EndpointPool(["a"], parallel=10, rate=0.01)
    await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await settle()
    waiting.cancel()
    pool.close()
    await settle()
    assert waiting.cancelled()
    assert pool.in_flight == 1


async def test_calls_go_to_others_when_an_endpoint_is_down():
    pool = EndpointPool(["dead", "alive"], parallel=DOWN_AT_ONCE, outages=OutagePolicy(first_rest=60))
    for _ in range(DOWN_AT_ONCE):
        pool.failed(pool.endpoints[0], refused(), started=asyncio.get_running_loop().time())
    targets = [(await pool.acquire()).target for _ in range(DOWN_AT_ONCE)]
    assert set(targets) == {"alive"}


async def test_waiters_go_on_by_themselves_when_the_rest_is_over():
    pool = EndpointPool(["a"], parallel=8, outages=OutagePolicy(first_rest=0.05))
    now = asyncio.get_running_loop().time()
    for _ in range(DOWN_AT_ONCE):
        pool.failed(pool.endpoints[0], refused(), started=now)
    trial = await asyncio.wait_for(pool.acquire(), 5)
    second = asyncio.create_task(pool.acquire())
    await settle()
    assert not second.done(), "one trial at a time"
    pool.succeeded(trial)
    pool.release(trial)
    await asyncio.wait_for(second, 5)


async def test_more_trials_follow_by_themselves_while_the_first_one_is_out():
    pool = EndpointPool(["a"], parallel=8, outages=OutagePolicy(first_rest=0.01))
    now = asyncio.get_running_loop().time()
    for _ in range(DOWN_AT_ONCE):
        pool.failed(pool.endpoints[0], refused(), started=now)
    async with asyncio.timeout(30):
        for _ in range(3):
            await pool.acquire()
    assert pool.endpoints[0].health.is_down
    assert asyncio.get_running_loop().time() - now >= 2 * TRIAL_STEP


async def test_when_every_endpoint_is_disabled_no_call_waits():
    pool = EndpointPool(["a", "b"], parallel=1)
    endpoints = [await pool.acquire(), await pool.acquire()]
    waiter = asyncio.create_task(pool.acquire())
    await settle()
    unauthorized = CallFailed(FailureKind.UNAUTHORIZED, "HTTP 401", status=401, hint="check the api_key")
    pool.failed(endpoints[0], unauthorized, started=0.0)
    await settle()
    assert not waiter.done()
    pool.failed(endpoints[1], unauthorized, started=0.0)
    for refused_task in (waiter, asyncio.create_task(pool.acquire())):
        with pytest.raises(NeverAsked) as caught:
            await refused_task
        assert (caught.value.kind, caught.value.hint) == (FailureKind.UNAUTHORIZED, "check the api_key")
    assert pool.capacity == 1


async def test_a_held_endpoint_gets_nothing_until_it_is_resumed_and_its_failures_meanwhile_are_no_news():
    pool = EndpointPool(["a"], parallel=2, outages=OutagePolicy(disable_after=0.0))
    first = await pool.acquire()
    pool.hold(first)
    for _ in range(2 * DOWN_AT_ONCE):
        pool.failed(first, refused(), 0.0)
    pool.release(first)
    waiting = asyncio.create_task(pool.acquire())
    await settle()
    assert not waiting.done()
    pool.resume(first)
    assert (await waiting).target == "a"
    assert pool.is_alive
    assert (await pool.acquire()).target == "a", "it is trusted as before"


async def test_an_endpoint_that_is_disabled_from_outside_fails_waiting_calls_with_the_reason():
    pool = EndpointPool(["a", "b"], parallel=1)
    endpoints = [await pool.acquire(), await pool.acquire()]
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(2)]
    pool.disable(endpoints[0], refused())
    pool.release(endpoints[1])
    assert (await waiting[0]).target == endpoints[1].target
    pool.disable(endpoints[1], CallFailed(FailureKind.CONNECTION, "it died 4 times"))
    with pytest.raises(CallFailed, match="it died 4 times"):
        await waiting[1]
