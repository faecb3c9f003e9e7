"""How the run screen and what opens from it look, from the smallest terminal to a roomy one; nothing is running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from judged_bench import make_bench, settle, until
from textual.pilot import Pilot

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession, SessionStatus
from engine.events import (
    CallEnded,
    CallStarted,
    RecordFailed,
    RecordSaved,
    RunEnded,
    RunPaused,
    ServerChanged,
    StageStarted,
    StandingChanged,
    StopRuleSet,
    TaskKey,
    TaskPlanned,
    TaskStopped,
)
from engine.ratings.stop_rule import Standing
from engine.records import Usage
from engine.serving.gpus import Gpu
from engine.work.progress import RunState
from engine.work.reducer import reduce

SIZES = [(60, 20), (80, 24), (120, 34)]
KEYS = {
    "plan": (),
    "start": ("s", "down", "down", "down"),
    "rule": ("s", "down", "down", "down", "enter"),
    "task": ("enter",),
    "limits": ("l",),
}
URL = "http://127.0.0.1:9/v1"
SERVED = "http://127.0.0.1:8100/v1"


class ShownSession(ArenaSession):
    """A session that shows a state as if its run had come to it."""

    shown = RunState()

    @property
    def state(self) -> RunState:
        return self.shown if self.plan is not None else super().state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_bench(tmp_path, judged=False)
    return tmp_path


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("what", KEYS)
def test_it_looks_as_it_did(snap_compare, folder: Path, what: str, size: tuple[int, int]):
    app = ArenaApp(ArenaSession(Invocation(folder / "config.toml")))
    assert snap_compare(app, terminal_size=size, run_before=after(*KEYS[what]))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_a_run_that_ended_looks_as_it_did(snap_compare, folder: Path, size: tuple[int, int]):
    session = ShownSession(Invocation(folder / "config.toml"))
    session.shown = _ended()
    session.gpus.gpus = (Gpu(0, "NVIDIA H100 80GB HBM3", 97.0, 71_000.0, 81_559.0, 64.0, 640.0),)
    assert snap_compare(ArenaApp(session), terminal_size=size, run_before=after())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_servers_on_their_way_up_look_as_they_did(snap_compare, folder: Path, size: tuple[int, int]):
    class Starting(ShownSession):
        """Says that a run goes on that waits for its servers."""

        @property
        def status(self) -> SessionStatus:
            return "paused" if self.plan is not None else super().status  # nothing of it changes by itself

        def now(self) -> float:
            return 66.0

    session = Starting(Invocation(folder / "config.toml"))
    planned = TaskPlanned(TaskKey("judgments", "good-model", "the-judge"), 500, 0)
    loading = ServerChanged(
        "judge", ("the-judge",), "starting", 1.0, "loading weights", 0.5, SERVED, devices="0,1", expected=90.0
    )
    paused = RunPaused(1_000_042.0)
    for event in (planned, StageStarted("judgments", 1_000_000.0), loading, paused):
        session.shown = reduce(session.shown, event)
    assert snap_compare(ArenaApp(session), terminal_size=size, run_before=after())


def after(*keys: str) -> Callable[[Pilot[None]], object]:
    """Wait until the plan is there, then press keys."""

    async def run(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ArenaApp)
        await until(pilot, lambda: app.session.plan is not None)
        await settle(pilot)
        app.repaint_state()
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        await settle(pilot)

    return run


def _ended() -> RunState:
    """One model decided, one with failures and games without a verdict."""
    answers, good = TaskKey("answers", "base"), TaskKey("judgments", "good-model", "the-judge")
    bad = TaskKey("judgments", "bad-model", "the-judge")
    usage, state = Usage(900, 12, 300), RunState()
    events = [
        StopRuleSet("decided", "base"),
        TaskPlanned(answers, 3, 3),
        TaskPlanned(good, 500, 20),
        TaskPlanned(bad, 500, 0),
        StageStarted("judgments", 1_000_000.0),
        *(RecordSaved(good, str(number), labels=("B>>A", "A>B")) for number in range(40)),
        *(RecordSaved(bad, str(number), labels=("A>B", None)) for number in range(200)),
        *(RecordFailed(bad, str(number), "timeout", "no reply in 60 s") for number in range(3)),
        CallStarted("the-judge", URL),
        CallEnded("the-judge", URL, 0.4, usage, task=good),
        StandingChanged("good-model", Standing("better", 60, 93.0, 71.0, 99.0, decided_after=41)),
        StandingChanged("bad-model", Standing("undecided", 200, 49.0, 44.0, 54.0)),
        TaskStopped(good),
        RunEnded("failed", 1_000_754.0),
    ]
    for event in events:
        state = reduce(state, event)
    return state
