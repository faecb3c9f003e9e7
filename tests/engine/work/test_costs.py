"""What a plan will cost and what a run has spent, and limits of both money and time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from desk import ALL_CALLS, QUESTIONS, Desk

from engine.config.servers import PriceConfig
from engine.errors import UsageProblem
from engine.records import Usage
from engine.run import Run
from engine.work.costs import cost_of, expected_cost, expected_use, spent_by
from engine.work.plan import Scope, make_plan

PRICE = {"input": 2.5, "output": 10.0}


@pytest.fixture
async def desk(at_desk: Callable[..., Any]) -> AsyncIterator[Desk]:
    async with at_desk() as opened:
        yield opened


def priced(desk: Desk, *names: str, parallel: int = 1) -> Any:
    """The config of the desk in which these models have a price."""
    config = desk.config()
    changed = {
        name: entry.model_copy(update={"price": PriceConfig(**PRICE) if name in names else None, "parallel": parallel})
        for name, entry in config.models.items()
    }
    return config.model_copy(update={"models": changed})


def test_a_cost_is_per_million_tokens_and_cached_ones_may_be_cheaper() -> None:
    usage = Usage(prompt_tokens=2_000_000, completion_tokens=100_000, cached_tokens=1_000_000)
    assert cost_of(PriceConfig(input=2.5, output=10.0), usage) == pytest.approx(6.0)
    assert cost_of(PriceConfig(input=2.5, output=10.0, cached=0.5), usage) == pytest.approx(4.0)
    assert cost_of(None, usage) is None


async def test_the_cost_of_a_plan_rests_on_a_pilot(desk: Desk) -> None:
    config = priced(desk, "judge", "good")
    whole = make_plan(config, desk.bench_files(), Scope())
    before = {each.model: each for each in expected_use(config, desk.bench_files(), whole)}
    assert [before[name].calls for name in ("base", "good", "poor", "judge")] == [QUESTIONS] * 3 + [4 * QUESTIONS]
    assert not any(each.measured for each in before.values())
    assert before["base"].cost is None
    assert before["judge"].cost is not None
    run = Run(config, Scope(limit=5))
    await run.execute()
    spent = spent_by(config, run.state.endpoints)
    assert spent.keys() == {"judge", "good"}
    rest = make_plan(config, desk.bench_files(), Scope())
    after = {each.model: each for each in expected_use(config, desk.bench_files(), rest)}
    assert all(each.measured for each in after.values())
    assert after["judge"].calls == 4
    assert after["judge"].cost == pytest.approx(spent["judge"] / 5, rel=0.5)
    total = expected_cost(after.values())
    done = await desk.run()
    assert total == pytest.approx(sum(spent_by(config, done.state.endpoints).values()), rel=0.5)


async def test_a_run_stops_in_order_at_its_cost_and_goes_on_later(desk: Desk) -> None:
    config = priced(desk, "judge", "good", "base", "poor")
    run = Run(config, Scope(max_cost=1e-3))
    await run.execute()
    assert run.state.phase == "done"
    assert "a cost of 0.001" in run.limit_reached
    spent = sum(spent_by(config, run.state.endpoints).values())
    assert 1e-3 <= spent < 5e-3
    left = sum(task.left for task in run.state.tasks.values())
    assert left > 0
    assert run.state.in_flight == 0
    assert any("nothing more is started" in notice.text for notice in run.state.notices)
    made = await desk.calls()
    rest = Run(config, Scope())
    await rest.execute()
    assert rest.state.phase == "done"
    assert await desk.calls() == ALL_CALLS
    assert made < ALL_CALLS
    record = desk.bench / "runs" / f"{run.id}.json"
    assert '"cost"' in record.read_text()


async def test_a_run_starts_nothing_after_its_hours(desk: Desk) -> None:
    run = Run(priced(desk), Scope(max_hours=1e-9))
    await run.execute()
    assert run.limit_reached == "1e-09 hours"
    assert sum(task.left for task in run.state.tasks.values()) > 0


async def test_a_limit_of_cost_without_any_price_is_wrong_usage(desk: Desk) -> None:
    with pytest.raises(UsageProblem, match="none of base, good, judge, poor has one"):
        await Run(priced(desk), Scope(max_cost=1.0)).execute()


async def test_a_limit_of_cost_holds_beside_a_stop_rule(desk: Desk) -> None:
    from engine.ratings.stop_rule import parse_stop_rule

    run = Run(priced(desk, "judge"), Scope(max_cost=1e-4, until=parse_stop_rule("decided")))
    await run.execute()
    assert run.limit_reached
    assert run.state.phase == "done"
