"""What holds of a run's state after any events in any order."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import (
    CallEnded,
    CallRetried,
    CallStarted,
    Event,
    Notice,
    RecordFailed,
    RecordSaved,
    RunEnded,
    ServerChanged,
    StageEnded,
    StageStarted,
    StandingChanged,
    StopRuleSet,
    TaskKey,
    TaskPlanned,
    TaskStopped,
)
from engine.labels import LABELS
from engine.ratings.stop_rule import Standing
from engine.records import Usage
from engine.work.progress import EndpointState, RunState, TaskState, run_speed
from engine.work.reducer import fold, reduce

QUARTERS = st.integers(0, 400).map(lambda quarters: quarters / 4)  # their sums are exact in any order
TASKS = st.sampled_from([TaskKey("answers", "a"), TaskKey("answers", "b"), TaskKey("judgments", "a", "j")])
WORDS = st.text(max_size=3)
MODELS, ENDPOINTS = st.sampled_from(["a", "b", "j"]), st.sampled_from(["http://one/v1", "http://two/v1"])
USAGES = st.builds(Usage, st.integers(0, 99), st.integers(0, 99), st.integers(0, 9), st.integers(0, 9))
STAGES = st.sampled_from(["answers", "judgments"])
LABELLED = st.lists(st.sampled_from([*LABELS, None]), max_size=2).map(tuple)

ENDED = st.builds(CallEnded, MODELS, ENDPOINTS, QUARTERS, USAGES | st.none(), st.just(""), TASKS | st.none())
RETRIED = st.builds(
    CallRetried,
    MODELS,
    ENDPOINTS,
    st.just("server"),
    WORDS,
    QUARTERS,
    st.integers(1, 9),
    TASKS | st.none(),
)
SAVED = st.builds(RecordSaved, TASKS, WORDS, st.booleans(), LABELLED, st.integers(0, 2))
FAILED = st.builds(RecordFailed, TASKS, WORDS, st.just("timeout"), WORDS)
COUNTED = ENDED | RETRIED | SAVED | FAILED
OTHERS = st.one_of(
    st.builds(CallStarted, MODELS, ENDPOINTS),
    st.builds(TaskPlanned, TASKS, st.integers(0, 99), st.integers(0, 99), st.integers(0, 9)),
    st.builds(TaskStopped, TASKS),
    st.builds(StageStarted, STAGES, QUARTERS),
    st.builds(StageEnded, STAGES, QUARTERS),
    st.builds(StopRuleSet, WORDS, MODELS),
    st.builds(StandingChanged, MODELS, st.builds(Standing, st.just("undecided"), st.integers(0, 99))),
    st.builds(
        ServerChanged, MODELS, st.just(("a",)), st.sampled_from(["waiting", "starting", "ready", "stopped"]), QUARTERS
    ),
    st.builds(Notice, st.sampled_from(["info", "warning", "error"]), st.text(max_size=5), QUARTERS),
    st.builds(RunEnded, st.sampled_from(["done", "failed", "interrupted"]), QUARTERS),
)
MAY_FALL = {"total", "cached", "stale", "in_flight", "stopped"}  # by another plan, or because a call ended


def folded(events: list[Event]) -> RunState:
    state = RunState()
    for event in events:
        state = reduce(state, event)
    return state


def numbers(counters: TaskState | EndpointState) -> dict[str, float]:
    return {name: value for name, value in msgspec.structs.asdict(counters).items() if isinstance(value, int | float)}


@given(st.lists(COUNTED | OTHERS, max_size=40))
@settings(deadline=None)
def test_no_counter_is_ever_negative_or_falls_and_no_old_state_changes(events: list[Event]):
    states = [RunState()]
    for event in events:
        states.append(reduce(states[-1], event))
    before = [repr(state) for state in states]
    for event, after in zip(events, states, strict=False):
        reduce(after, event)
    assert before == [repr(state) for state in states]
    for earlier, later in pairwise(states):
        for mine, theirs in ((earlier.tasks, later.tasks), (earlier.endpoints, later.endpoints)):
            assert mine.keys() <= theirs.keys()
            for key in theirs:
                then, now = numbers(mine[key]) if key in mine else {}, numbers(theirs[key])
                assert all(value >= 0 for value in now.values())
                assert all(now[name] >= value for name, value in then.items() if name not in MAY_FALL)
        for task in later.tasks.values():
            assert 0 <= task.left <= max(0, task.total)
            assert 0 <= task.won <= task.weighed
        assert later.in_flight >= 0


@given(st.lists(COUNTED | OTHERS, max_size=30), st.integers(0, 30))
@settings(deadline=None)
def test_events_folded_together_give_the_same_state_as_one_by_one(events: list[Event], cut: int):
    assert fold(fold(RunState(), events[:cut]), events[cut:]) == folded(events)


@given(st.lists(COUNTED, max_size=25), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_what_is_counted_does_not_depend_on_the_order(events: list[Event], chance):
    shuffled = list(events)
    chance.shuffle(shuffled)
    one, other = folded(events), folded(shuffled)
    assert dict(one.tasks) == dict(other.tasks)
    assert dict(one.endpoints) == dict(other.endpoints)


@given(st.lists(ENDED, max_size=20), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_when_every_call_that_began_has_ended_none_is_in_flight_and_all_are_counted(ended: list[CallEnded], chance):
    """The ends come in any order, each after its beginning."""
    out: list[CallEnded] = []
    waiting = list(ended)
    state = RunState()
    while waiting or out:
        if waiting and (not out or chance.random() < 0.5):
            call = waiting.pop()
            out.append(call)
            state = reduce(state, CallStarted(call.model, call.endpoint))
        else:
            state = reduce(state, out.pop(chance.randrange(len(out))))
        assert state.in_flight == len(out)
    assert state.calls == len(ended)
    assert state.completion_tokens == sum(call.usage.completion_tokens for call in ended if call.usage)
    assert sum(traffic.errors for traffic in state.endpoints.values()) == sum(call.usage is None for call in ended)


@given(st.lists(COUNTED | OTHERS, max_size=20), st.lists(COUNTED | OTHERS, max_size=20), st.floats(0, 100))
@settings(deadline=None)
def test_speeds_are_never_negative_and_an_eta_is_none_or_a_time(
    before: list[Event], after: list[Event], seconds: float
):
    speed = run_speed(folded(before), folded([*before, *after]), seconds)
    assert min(speed.calls_per_second, speed.tokens_per_second, speed.records_per_second) >= 0
    assert speed.eta is None or speed.eta >= 0
