"""Which server runs where and when, for machines of every size."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import parse_config
from engine.serving.forecast import turns
from engine.serving.plan import NO_GPU, PlannedServer, ServerPlan, plan_servers, server_specs, spec_problems


def config(models: dict[str, dict[str, Any]]) -> Any:
    return parse_config(
        {
            "bench": "b",
            "judge": {"model": "judge", "baseline": "base"},
            "models": {name: {"serve": serve} for name, serve in models.items()},
        },
        None,
        {},
    )


def planned(gpus: list[int] | None, **models: dict[str, Any]) -> ServerPlan:
    specs = server_specs(config(models), list(models))
    return plan_servers(specs, ["judge"], gpus, None)


def where(plan: ServerPlan) -> dict[str, tuple[int, ...]]:
    return {server.name: server.gpus for server in plan.servers}


def order_of_turns(plan: ServerPlan) -> list[list[str]]:
    """The names of the servers that run at once, from step to step, if all of them take equally long."""
    over: set[PlannedServer] = set()
    steps = []
    while len(over) < len(plan.servers):
        running = [server for server in plan.servers if server not in over and plan.may_start(server, over)]
        assert running, "somebody's turn always comes"
        steps.append([server.name for server in running])
        over.update(running)
    return steps


def test_one_gpu_serves_the_answering_models_one_after_another_and_then_the_judge():
    plan = planned([0], base={}, good={}, judge={})
    assert not plan.side_by_side
    assert order_of_turns(plan) == [["base"], ["good"], ["judge"]]


def test_on_two_gpus_the_judge_has_one_of_its_own():
    plan = planned([0, 1], base={}, good={}, judge={})
    assert plan.side_by_side
    assert where(plan) == {"judge": (1,), "base": (0,), "good": (0,)}
    assert order_of_turns(plan)[0] == ["judge", "base"]


def test_a_judge_that_needs_all_gpus_waits_for_models_that_answer_side_by_side():
    plan = planned([0, 1], base={}, good={}, judge={"tensor_parallel": 2})
    assert order_of_turns(plan) == [["base", "good"], ["judge"]]
    assert where(plan)["judge"] == (0, 1)


def test_shares_of_one_gpu_are_used_at_once_and_never_more_than_all_of_it():
    plan = planned([0], base={"memory": 0.3}, good={"memory": 0.3}, more={"memory": 0.3}, judge={"memory": 0.4})
    assert plan.side_by_side
    assert order_of_turns(plan)[:2] == [["judge", "base", "good"], ["more"]]


def test_gpus_that_are_named_are_used_and_split_over():
    specs = server_specs(config({"base": {"gpus": [2, 3]}, "judge": {"args": ["-tp", "2"]}}), ["base", "judge"])
    assert specs[0].arguments[-2:] == ("--tensor-parallel-size", "2")
    assert specs[1].arguments == ("-tp", "2"), "what is said already is not said again"
    plan = plan_servers(specs, ["judge"], [0, 1, 2, 3], None)
    assert where(plan) == {"base": (2, 3), "judge": (0, 1)} or where(plan)["base"] == (2, 3)


def test_replicas_have_gpus_of_their_own():
    plan = planned([0, 1, 2], base={"replicas": 2}, judge={})
    gpus = where(plan)
    assert len({gpus["base #1"], gpus["base #2"], gpus["judge"]}) == 3


def test_what_can_never_be_served_here_is_told():
    models = config({"base": {"tensor_parallel": 4}, "judge": {"gpus": [7]}})
    problems = spec_problems(models, server_specs(models, ["base", "judge"]), [0, 1])
    assert [(problem.key, problem.message) for problem in problems] == [
        ("models.base.serve", "needs 4 GPUs (1 servers of 4), 2 available"),
        ("models.judge.serve.gpus", "GPU 7 not available"),
    ]


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2), st.sampled_from([None, 0.3, 0.5, 1.0])), max_size=5),
    st.sampled_from([None, 0.3, 0.5]),
    st.integers(1, 6),
    st.booleans(),
)
def test_every_server_has_one_turn_and_no_gpu_ever_holds_more_than_it_can(answering, judge_share, gpus, has_gpus):
    models: dict[str, dict[str, Any]] = {}
    for number, (tensor, replicas, share) in enumerate(answering):
        if tensor * replicas <= gpus:
            models[f"m{number}"] = {"tensor_parallel": tensor, "replicas": replicas}
            if share is not None:
                models[f"m{number}"]["memory"] = share
    models["judge"] = {} if judge_share is None else {"memory": judge_share}
    plan = planned(list(range(gpus)) if has_gpus else None, **models)
    assert {server.spec.name for server in plan.servers} == set(models)
    over: set[PlannedServer] = set()
    running: list[PlannedServer] = []
    while len(over) < len(plan.servers):
        running += [s for s in plan.servers if s not in over and s not in running and plan.may_start(s, over)]
        assert running
        for device in [NO_GPU, *range(gpus)]:
            assert sum(server.share for server in running if device in server.devices) <= 1.0 + 1e-6
        over.add(running.pop(0))


def test_a_forecast_adds_up_the_turns_of_one_gpu_and_trusts_what_earlier_starts_took():
    plan = planned([0], base={}, good={}, judge={})
    runs = [{"servers": [{"model": "base", "started_in": 30.0}, {"model": "judge", "started_in": None}]}]
    told = turns(plan, {"base": 100.0, "good": 50.0, "judge": 10.0}, runs, ["judge"])
    assert [(turn.server.name, turn.begins, turn.starts_in, turn.measured) for turn in told] == [
        ("base", 0.0, 30.0, True),
        ("good", 130.0, 60.0, False),
        ("judge", 240.0, 60.0, False),
    ]
    assert told[-1].ends == 310.0


def test_shares_of_memory_are_summed_not_compared_in_pairs():
    plan = planned([0], base={"memory": 0.5}, good={"memory": 0.5}, more={"memory": 0.5}, judge={})
    told = turns(plan, {"base": 40.0, "good": 100.0, "more": 1.0}, [], [])
    assert [turn.begins for turn in told[:3]] == [0.0, 0.0, 100.0], "base stops first, and gives its half to the third"


def test_replicas_begin_together():
    plan = planned([0, 1], base={}, good={"replicas": 2}, judge={})
    told = turns(plan, {"base": 40.0, "good": 100.0}, [], [])
    assert [turn.begins for turn in told[:3]] == [0.0, 100.0, 100.0]


def test_a_judge_side_by_side_is_needed_until_the_last_answer():
    plan = planned([0, 1], base={}, good={}, judge={})
    told = {turn.server.name: turn for turn in turns(plan, {"base": 100.0, "good": 100.0, "judge": 5.0}, [], ["judge"])}
    assert told["judge"].ends == told["good"].ends == 320.0


def test_max_replicas_fill_the_gpus_that_a_model_may_use():
    plan = planned([0, 1, 2, 3, 4], base={}, judge={"replicas": "max", "tensor_parallel": 2})
    assert sorted(server.gpus for server in plan.of("judge")) == [(1, 2), (3, 4)]
    assert not planned([0, 1], base={}, judge={"replicas": "max"}).side_by_side
    assert len(planned([0, 1, 2], base={}, judge={"replicas": "max", "gpus": [1, 2]}).of("judge")) == 2
    assert len(planned(None, base={}, judge={"replicas": "max"}).of("judge")) == 1
    (problem,) = spec_problems(
        config({"judge": {"replicas": "max", "tensor_parallel": 4}}),
        server_specs(config({"judge": {"replicas": "max", "tensor_parallel": 4}}), ["judge"]),
        [0, 1],
    )
    assert "needs 4 GPUs" in problem.message
