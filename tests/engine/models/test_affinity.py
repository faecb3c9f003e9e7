"""Calls that begin alike go to one endpoint, and no endpoint is idle for that."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CallFailed, FailureKind
from engine.models.affinity import EndpointRanking, WaitingQueues
from engine.models.health import DOWN_AT_ONCE, OutagePolicy
from engine.models.limits import BURST_WINDOW, EndpointPool

names = st.lists(st.text(max_size=20), min_size=2, max_size=8, unique=True)


@given(names, st.text())
def test_every_endpoint_has_a_rank_for_a_prefix_and_it_is_always_the_same(endpoints, prefix):
    ranking = EndpointRanking(endpoints, str).ranking(prefix)
    assert sorted(ranking) == sorted(endpoints)
    assert EndpointRanking(endpoints[::-1], str).ranking(prefix) == ranking


@given(names, st.lists(st.text(), max_size=20))
def test_when_an_endpoint_goes_only_its_own_prefixes_move(endpoints, prefixes):
    before, after = EndpointRanking(endpoints, str), EndpointRanking(endpoints[1:], str)
    for prefix in prefixes:
        best = before.ranking(prefix)[0]
        if best != endpoints[0]:
            assert after.ranking(prefix)[0] == best


def test_prefixes_are_spread_evenly():
    preferred = EndpointRanking([f"http://host-{n}:8000/v1" for n in range(4)], str)
    share = Counter(preferred.ranking(f"question-{n}")[0] for n in range(4000))
    assert min(share.values()) > 850


async def test_a_line_is_served_oldest_first_and_robbed_newest_first():
    queues = WaitingQueues(["a", "b"])
    first, second, third, without_affinity = (queues.join(best) for best in ("a", "a", "a", None))
    assert queues.next_for("b") is without_affinity
    assert queues.next_for("b") is third
    second.cancel()
    assert queues.next_for("a") is first
    assert queues.next_for("a") is None
    assert not queues


async def served(pool: EndpointPool[str], prefixes: list[str], seconds: dict[str, float]) -> dict[str, Counter[str]]:
    """Which endpoints took the calls with each prefix, all begun at once; a call takes what its endpoint takes."""
    endpoints: dict[str, Counter[str]] = defaultdict(Counter)

    async def call(prefix: str) -> None:
        pooled = await pool.acquire(prefix)
        endpoints[prefix][pooled.target] += 1
        await asyncio.sleep(seconds[pooled.target])
        pool.release(pooled)

    await asyncio.gather(*map(call, prefixes))
    return endpoints


async def test_calls_with_one_prefix_go_to_one_endpoint():
    pool = EndpointPool(["a", "b"], parallel=8)
    prefixes = [f"q{number}" for number in range(40) for _ in range(10)]
    endpoints = await served(pool, prefixes, {"a": 0.002, "b": 0.002})
    kept = sum(max(counts.values()) for counts in endpoints.values())
    assert kept / len(prefixes) > 0.85, "all but those that an endpoint took at the end, when it was idle"
    assert len({next(iter(counts)) for counts in endpoints.values()}) == 2


async def test_an_endpoint_without_calls_of_its_own_takes_those_of_others():
    pool = EndpointPool(["a", "b"], parallel=2)
    await asyncio.wait_for(asyncio.gather(*(pool.acquire("q") for _ in range(4))), 5)
    assert [pooled.in_flight for pooled in pool.endpoints] == [2, 2]


async def test_a_slow_endpoint_is_relieved_of_its_calls():
    pool = EndpointPool(["fast", "slow"], parallel=4)
    prefixes = [f"q{number}" for number in range(100) for _ in range(4)]
    endpoints = await served(pool, prefixes, {"fast": 0.001, "slow": 0.3})
    taken = sum(endpoints.values(), Counter())
    assert taken["fast"] > 3 * taken["slow"]


async def test_calls_of_an_endpoint_that_is_down_go_elsewhere_until_it_is_back():
    pool = EndpointPool(["a", "b"], parallel=100, outages=OutagePolicy(first_rest=0.0, longest_rest=0.0))
    preferred = {prefix: (await pool.acquire(prefix)).target for prefix in map(str, range(20))}
    assert set(preferred.values()) == {"a", "b"}
    down = pool.endpoints[0]
    for _ in range(DOWN_AT_ONCE):
        pool.failed(down, CallFailed(FailureKind.CONNECTION, "refused"), started=0.0)
    assert {(await pool.acquire(prefix)).target for prefix in preferred} == {"b"}
    pool.succeeded(down)
    assert {prefix: (await pool.acquire(prefix)).target for prefix in preferred} == preferred


async def test_cancelled_waiters_with_a_home_leave_no_slot_behind():
    pool = EndpointPool(["a", "b"], parallel=2)
    dice = random.Random(7)

    async def work(prefix: str) -> None:
        pooled = await pool.acquire(prefix)
        try:
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
        finally:
            pool.release(pooled)

    tasks = [asyncio.create_task(work(str(number % 7))) for number in range(300)]
    while not all(task.done() for task in tasks):
        dice.choice(tasks).cancel()
        await asyncio.sleep(0)
    assert pool.in_flight == 0
    assert sum(not task.cancelled() for task in tasks) > 0
    for prefix in "abcd":
        await asyncio.wait_for(pool.acquire(prefix), 1)


async def test_a_pool_that_closes_lets_every_line_go_and_leaves_no_timer():
    pool = EndpointPool(["a", "b"], parallel=1)
    held = [await pool.acquire("q"), await asyncio.wait_for(pool.acquire("q"), 100 * BURST_WINDOW)]
    waiting = [asyncio.create_task(pool.acquire(prefix)) for prefix in ("q", "r", "")]
    await asyncio.sleep(0)
    pool.close()
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 1)
    assert [type(each).__name__ for each in outcomes] == ["PoolClosed"] * 3
    for pooled in held:
        pool.release(pooled)
    assert pool.in_flight == 0
