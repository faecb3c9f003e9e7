"""Faults as they reach the client, and whom they strike."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest

from engine.errors import UsageProblem
from engine.simulator import (
    Altered,
    Disconnect,
    Dribble,
    FaultRule,
    Hang,
    SimulatedModel,
    SimulatorConfig,
    Status,
)
from engine.simulator.faults import FaultPlan


def faulty(*rules: FaultRule, **settings: object) -> SimulatorConfig:
    return SimulatorConfig(models=[SimulatedModel(name="m")], faults=rules, **settings)  # type: ignore[arg-type]


def asked(text: str = "hi") -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0}


async def test_a_status_comes_with_its_headers_and_its_body(serve):
    rule = FaultRule(Status(429, b"<h1>slow down</h1>", {"Retry-After": "7"}, "text/html"))
    served = await serve(faulty(rule))
    async with served.session.post(served.url + "/v1/chat/completions", json=asked()) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert response.content_type == "text/html"
        assert await response.text() == "<h1>slow down</h1>"


async def test_a_status_without_a_body_is_an_error_as_vllm_writes_it(serve):
    served = await serve(faulty(FaultRule(Status(503))))
    status, body = await served.post(asked())
    assert (status, body["error"]["type"], body["error"]["code"]) == (503, "Service Unavailable", 503)


async def test_the_first_requests_after_some_are_struck_and_the_rest_are_not(serve):
    served = await serve(faulty(FaultRule(Status(500), skip=1, first=2)))
    assert [(await served.post(asked()))[0] for _ in range(5)] == [200, 500, 500, 200, 200]
    assert await served.number('simulator:faults_total{kind="status"}') == 2
    assert await served.number('simulator:requests_total{status="500"}') == 2


async def test_a_rule_reaches_only_its_model_and_its_text(serve):
    config = SimulatorConfig(
        models=[SimulatedModel(name="m"), SimulatedModel(name="other")],
        faults=[FaultRule(Status(500), model="other"), FaultRule(Status(502), match="яд")],
    )
    served = await serve(config)
    assert (await served.post(asked()))[0] == 200
    assert (await served.post({**asked(), "model": "other"}))[0] == 500
    assert (await served.post(json.dumps(asked("яд"), ensure_ascii=False).encode()))[0] == 502


@pytest.mark.parametrize("fault", [Disconnect(), Disconnect(reset=True), Disconnect(after_bytes=0, reset=True)])
async def test_a_connection_closed_before_the_body_is_an_error_of_the_client(serve, fault):
    served = await serve(faulty(FaultRule(fault, first=1)))
    with pytest.raises(aiohttp.ClientError):
        await served.post(asked())
    assert (await served.post(asked()))[0] == 200
    assert await served.number('simulator:requests_total{status="closed"}') == 1
    assert await served.number('simulator:requests_total{status="200"}') == 1


async def test_a_connection_closed_inside_the_body_leaves_a_part_of_it(serve):
    served = await serve(faulty(FaultRule(Disconnect(after_bytes=30))))
    async with served.session.post(served.url + "/v1/chat/completions", json=asked()) as response:
        assert response.status == 200
        assert len(await response.content.readexactly(30)) == 30
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_hang_says_nothing_until_the_client_leaves_or_its_time_is_over(serve):
    served = await serve(faulty(FaultRule(Hang(), first=1), FaultRule(Hang(0.05))))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(served.post(asked()), timeout=0.1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await served.post(asked())


async def test_a_dribble_is_the_true_reply_but_slow(serve):
    served = await serve(faulty(FaultRule(Dribble(pause=0.001, size=100), first=1)))
    began = time.perf_counter()
    dribbled = await served.says("m", "hi")
    assert time.perf_counter() - began > 0.005
    assert dribbled == await served.says("m", "hi")


async def test_a_reply_can_be_altered_where_a_client_may_stumble(serve):
    served = await serve(
        faulty(
            FaultRule(Altered(message={"content": None}), match="null"),
            FaultRule(Altered(choice={"finish_reason": "abort"}), match="abort"),
            FaultRule(Altered(choices=False), match="empty"),
            FaultRule(Altered(raw=(b'"choices"', b'"choices')), match="broken"),
        )
    )
    assert await served.says("m", "null") is None
    assert (await served.chat("m", "abort"))["choices"][0]["finish_reason"] == "abort"
    assert (await served.chat("m", "empty"))["choices"] == []
    with pytest.raises(json.JSONDecodeError):
        await served.post(asked("broken"))


def strikes(plan: FaultPlan, bodies: list[bytes]) -> list[bool]:
    return [plan.fault_for("m", body) is not None for body in bodies]


def test_a_rate_strikes_its_share_whatever_the_order_and_a_second_try_has_a_new_chance():
    bodies = [str(number).encode() for number in range(1000)]
    one, other = (FaultPlan([FaultRule(Status(500), rate=0.2)], seed=3) for _ in range(2))
    struck = strikes(one, bodies)
    assert 150 < sum(struck) < 250
    assert list(reversed(strikes(other, bodies[::-1]))) == struck
    again = strikes(one, bodies)
    both = sum(first and second for first, second in zip(struck, again, strict=True))
    assert 20 < both < 70  # a fifth of a fifth


def test_a_sticky_rate_strikes_the_same_requests_for_ever():
    bodies = [str(number).encode() for number in range(300)]
    plan = FaultPlan([FaultRule(Status(500), rate=0.2, sticky=True)], seed=3)
    struck = strikes(plan, bodies)
    assert 30 < sum(struck) < 90
    assert strikes(plan, bodies) == struck


async def test_fail_rate_lets_a_share_fail_that_succeeds_when_sent_again(serve):
    served = await serve(faulty(fail_rate=0.5))
    failed = [text for text in map(str, range(60)) if (await served.post(asked(text)))[0] == 500]
    assert 15 < len(failed) < 45
    for text in failed:
        while (await served.post(asked(text)))[0] == 500:
            pass


def test_a_rate_that_is_none_is_refused():
    with pytest.raises(UsageProblem, match="between 0 and 1"):
        FaultRule(Status(500), rate=20)
