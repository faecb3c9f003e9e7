"""The state of a run knows which endpoints cannot be called, since when, why and until when they are tried."""

from __future__ import annotations

import pytest

from arena_tui.output.outages import reasons, trouble_words, troubles
from arena_tui.session.run_watch import SpeedGauge
from engine.events import (
    CallStarted,
    EndpointChanged,
    RecordSaved,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    StageStarted,
    TaskKey,
    TaskPlanned,
)
from engine.work.progress import RunState
from engine.work.reducer import fold

TASK = TaskKey("answers", "m")


def test_what_waits_is_named_with_its_reason_and_the_end_of_trying() -> None:
    down = EndpointChanged("judge", "http://a", "down", 100.0, "connection refused", 400.0)
    state = fold(RunState(), [down])
    assert trouble_words(troubles(state), 122.0) == "WAITING judge down 0:22 (connection refused), gives up in 4:38"
    assert not fold(state, [EndpointChanged("judge", "http://a", "ready", 130.0)]).outages


def test_one_of_several_endpoints_is_no_reason_to_wait() -> None:
    down = EndpointChanged("judge", "http://a", "down", 100.0, "connection refused", 400.0)
    state = fold(RunState(), [CallStarted("judge", "http://b"), down])
    assert trouble_words(troubles(state), 122.0) == "judge: one endpoint down 0:22 (connection refused)"


def test_models_with_one_reason_are_named_together_and_the_reason_stays_when_the_run_has_ended() -> None:
    given_up = [EndpointChanged(name, f"http://{name}", "disabled", 5.0, "connection refused") for name in ("a", "b")]
    state = fold(RunState(), [*given_up, RunEnded("failed", 9.0)])
    assert reasons(state) == "a, b: connection refused"


def test_pauses_do_not_count() -> None:
    state = fold(RunState(), [RunStarted(10.0), RunPaused(20.0)])
    assert state.active_seconds(500.0) == 10.0
    state = fold(state, [RunResumed(520.0)])
    assert state.active_seconds(525.0) == 15.0
    state = fold(state, [RunPaused(530.0), RunEnded("interrupted", 600.0)])
    assert state.active_seconds(1000.0) == 20.0


def test_the_time_left_is_that_of_the_recent_speed_also_after_a_pause() -> None:
    now = 0.0
    gauge = SpeedGauge(lambda: now)
    state = fold(RunState(), [TaskPlanned(TASK, 1000, 0), StageStarted("answers", 0.0)])
    gauge.pace(state)
    for second in range(1, 21):
        now, state = float(second), fold(state, [RecordSaved(TASK, f"q{second}-{number}") for number in range(5)])
        speed = gauge.pace(state)
    assert speed.eta == pytest.approx(900 / 5, rel=0.05)
    state = fold(state, [RunPaused(20.0)])
    assert gauge.pace(state).eta == pytest.approx(180, rel=0.05)
    now = 3620.0
    assert gauge.pace(state).eta == pytest.approx(180, rel=0.05)
    state = fold(state, [RunResumed(3620.0)])
    for second in range(1, 4):
        now = 3620.0 + second
        state = fold(state, [RecordSaved(TASK, f"p{second}-{number}") for number in range(5)])
        speed = gauge.pace(state)
    assert speed.eta == pytest.approx(885 / 5, rel=0.1)
