"""One reducer: every event is folded into an immutable state, and the counts add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import (
    CallEnded,
    CallRetried,
    CallStarted,
    Notice,
    RecordFailed,
    RecordSaved,
    RunEnded,
    RunStarted,
    ServerSeen,
    StageStarted,
    StandingChanged,
    StopRuleSet,
    TaskKey,
    TaskPlanned,
    TaskStopped,
    VllmMetrics,
)
from engine.labels import LABELS
from engine.ratings.stop_rule import Standing
from engine.records import Usage
from engine.work.progress import RunState, run_speed
from engine.work.reducer import KEPT_NOTICES, reduce

JUDGING = TaskKey("judgments", "small", "judge")
ANSWERING = TaskKey("answers", "small")
HERE = "http://127.0.0.1:1/v1"


def folded(*events, state=RunState()):  # noqa: B008 - a RunState never changes
    for event in events:
        state = reduce(state, event)
    return state


def test_a_saved_record_counts_as_done_and_what_is_left_shrinks():
    state = folded(TaskPlanned(ANSWERING, total=5, cached=2), RecordSaved(ANSWERING, "q1"))
    assert state.tasks[ANSWERING].done == 1
    assert state.tasks[ANSWERING].left == 2


def test_a_failed_record_is_neither_done_nor_left():
    state = folded(TaskPlanned(ANSWERING, total=2, cached=0), RecordFailed(ANSWERING, "q1", "timeout", "too slow"))
    assert (state.tasks[ANSWERING].done, state.tasks[ANSWERING].failed, state.tasks[ANSWERING].left) == (0, 1, 1)
    assert state.failed == 1


def test_a_stopped_task_has_nothing_left_and_is_expected_to_come_to_what_it_has():
    state = folded(TaskPlanned(JUDGING, 500, 10), RecordSaved(JUDGING, "q1"), TaskStopped(JUDGING))
    assert (state.tasks[JUDGING].left, state.tasks[JUDGING].expected) == (0, 11)
    later = folded(RecordSaved(JUDGING, "q2"), state=state)
    assert (later.tasks[JUDGING].left, later.tasks[JUDGING].expected) == (0, 12)
    assert folded(TaskPlanned(JUDGING, 500, 10)).tasks[JUDGING].expected == 500


def test_standings_are_kept_by_model_beside_the_rule_they_rest_on():
    before = folded(StopRuleSet("decided", "base"), StandingChanged("small", Standing("undecided", 12, 60.0)))
    after = folded(StandingChanged("small", Standing("better", 31, 75.0, 55.0, 90.0)), state=before)
    assert (after.stop_rule, after.opponent) == ("decided", "base")
    assert after.standings["small"].verdict == "better"
    assert before.standings["small"].verdict == "undecided"


def test_planning_again_keeps_what_was_done():
    state = folded(
        TaskPlanned(JUDGING, 3, 0), RecordSaved(JUDGING, "q1", labels=("A=B", "A=B")), TaskPlanned(JUDGING, 4, 1)
    )
    assert (state.tasks[JUDGING].total, state.tasks[JUDGING].done) == (4, 1)


def test_an_old_state_is_not_touched_by_a_later_event():
    before = folded(TaskPlanned(ANSWERING, 1, 0))
    reduce(before, RecordSaved(ANSWERING, "q1"))
    assert before.tasks[ANSWERING].done == 0
    with pytest.raises(TypeError):
        before.tasks[ANSWERING] = None  # type: ignore[index]


@pytest.mark.parametrize(
    ("labels", "won", "weighed"),
    [
        (("A>>B", "B>>A"), 0.0, 6.0),  # the baseline wins both games strongly
        (("B>A", "A>B"), 2.0, 2.0),  # the model wins both
        (("A>B", "A>B"), 1.0, 2.0),  # place A wins both
        (("A=B", None), 0.5, 1.0),
    ],
)
def test_games_count_for_the_model_whichever_place_it_had(labels, won, weighed):
    task = folded(RecordSaved(JUDGING, "q1", labels=labels)).tasks[JUDGING]
    assert (task.won, task.weighed) == (won, weighed)
    assert task.unparsed == labels.count(None)


def test_calls_are_in_flight_until_they_end():
    started = folded(CallStarted("small", HERE), CallStarted("small", HERE))
    assert started.in_flight == 2
    ended = folded(
        CallEnded("small", HERE, 0.5, Usage(10, 4, cached_tokens=8)),
        CallEnded("small", HERE, 1.5, error="server"),
        CallRetried("small", HERE, "server", "502", 1.0, 1),
        state=started,
    )
    traffic = ended.endpoints["small", HERE]
    assert (traffic.in_flight, traffic.calls, traffic.errors, traffic.retries) == (0, 2, 1, 1)
    assert (traffic.prompt_tokens, traffic.completion_tokens, traffic.cached_tokens) == (10, 4, 8)
    assert traffic.seconds == 2.0


def test_a_call_counts_for_the_task_that_it_was_made_for():
    task = folded(
        CallEnded("judge", HERE, 0.5, Usage(10, 4), task=JUDGING),
        CallEnded("judge", HERE, 0.5, error="server", task=JUDGING),
        CallRetried("judge", HERE, "server", "502", 1.0, 1, JUDGING),
        CallEnded("judge", HERE, 0.5, Usage(10, 4)),
    ).tasks[JUDGING]
    assert (task.calls, task.retries, task.completion_tokens) == (2, 1, 4)


def test_only_the_latest_notices_are_kept():
    state = folded(*(Notice("info", str(number), 0.0) for number in range(KEPT_NOTICES + 5)))
    assert len(state.notices) == KEPT_NOTICES
    assert state.notices[-1].text == str(KEPT_NOTICES + 4)


def test_the_phase_follows_the_stages_and_the_clock_starts_with_the_first():
    state = folded(StageStarted("answers", 5.0), StageStarted("judgments", 9.0), RunEnded("done", 11.0))
    assert (state.phase, state.started_at, state.ended_at) == ("done", 5.0, 11.0)


def test_pace_gives_speeds_and_the_time_that_is_left():
    before = folded(StageStarted("answers", 1.0), TaskPlanned(ANSWERING, 10, 2))
    after = folded(
        CallStarted("small", HERE),
        CallEnded("small", HERE, 0.1, Usage(5, 40)),
        RecordSaved(ANSWERING, "q1"),
        RecordSaved(ANSWERING, "q2"),
        state=before,
    )
    speed = run_speed(before, after, 4.0)
    assert (speed.calls_per_second, speed.tokens_per_second, speed.records_per_second) == (0.25, 10.0, 0.5)
    assert speed.eta == 12.0  # six records at half a record a second


def test_pace_without_progress_has_no_eta():
    state = folded(StageStarted("answers", 1.0), TaskPlanned(ANSWERING, 10, 0))
    assert run_speed(state, state, 4.0).eta is None
    assert run_speed(state, state, 0.0).eta is None


_events = st.one_of(
    st.builds(
        RecordSaved, st.just(JUDGING), st.just("q"), st.booleans(), st.tuples(*[st.sampled_from([*LABELS, None])] * 2)
    ),
    st.builds(RecordFailed, st.just(JUDGING), st.just("q"), st.just("timeout"), st.just("")),
    st.builds(
        CallEnded, st.just("m"), st.just(HERE), st.floats(0, 9), st.none() | st.builds(Usage, st.integers(0, 99))
    ),
    st.builds(TaskPlanned, st.just(JUDGING), st.integers(0, 99), st.integers(0, 9)),
)


@given(st.lists(_events, max_size=40))
def test_counters_never_fall_whatever_happens(events):
    state = RunState()
    for event in events:
        after = reduce(state, event)
        for key, task in state.tasks.items():
            later = after.tasks[key]
            assert later.done >= task.done
            assert later.failed >= task.failed
            assert 0 <= later.won <= later.weighed
        assert after.calls >= state.calls
        state = after


def test_what_a_server_says_is_kept_with_what_it_said_first_until_it_falls_silent():
    state = RunState()
    for prompt_tokens in (100, 250):
        state = reduce(state, ServerSeen("m", "http://h/v1", VllmMetrics(prompt_tokens=prompt_tokens)))
    numbers = state.server_numbers["m", "http://h/v1"]
    assert (numbers.first.prompt_tokens, numbers.now.prompt_tokens) == (100, 250)
    assert reduce(state, ServerSeen("m", "http://h/v1", None)).server_numbers == {}


def test_the_time_of_a_run_counts_from_its_beginning_not_from_its_first_stage():
    state = folded(RunStarted(5.0), StageStarted("answers", 100.0), RunEnded("done", 161.0))
    assert (state.started_at, state.ended_at) == (5.0, 161.0)
    assert folded(RunStarted(5.0)).phase == "planning"
