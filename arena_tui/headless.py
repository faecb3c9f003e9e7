"""Runs without a terminal UI: the event loop, signals, and progress on stderr."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from arena_tui import console
from arena_tui.detaching import Release, leave_terminal, on_signals
from arena_tui.output.progress import Display, open_display
from engine.config.model import HangupAction
from engine.events import Event, ServerChanged, StageStarted, TaskPlanned
from engine.run import Run
from engine.work.progress import RunState

if TYPE_CHECKING:
    from arena_tui.output.event_lines import EventLines

T = TypeVar("T")
TICK_SECONDS = 0.25
GOES_ON = "arena-tui attach shows it, arena-tui status reports on it, arena-tui stop ends it"
LONGEST_START = 5.0  # seconds from the plan on, after which a run that waits for a server counts as started


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end, on uvloop if it is installed: it saves a tenth of the engine's CPU time."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


class _Progress:
    """The display of a run on stderr, a new one after the run has left its terminal; and its lines of events."""

    def __init__(self, run: Run, display: Display, lines: EventLines | None) -> None:
        self._run = run
        self._display = display
        self._lines = lines
        run.listen(self._notice)
        if lines is not None:
            lines.open(run)

    def show(self) -> None:
        self._display.show(self._run.state)
        if self._lines is not None:
            self._lines.show(self._run.state)

    def close(self) -> None:
        if self._lines is not None:
            self._lines.show(self._run.state, at_end=True)
        self._display.close(self._run.state)

    def _notice(self, event: Event) -> None:
        self._display.notice(event)

    def leave(self) -> None:
        """Write plain lines to the run's log from now on. Raises OSError."""
        leave_to_log(self._run)
        self._display = open_display(sys.stderr)


def leave_to_log(run: Run) -> None:
    """Have this process write to a file beside the record of the run, and belong to no terminal. Raises OSError."""
    log = log_of(run)
    leave_terminal(log)
    run.log = log


def log_of(run: Run) -> Path:
    """Return the file that a run without a terminal writes to."""
    return run.bench.paths.runs.absolute() / f"{run.id}.log"


async def execute(
    run: Run, *, release: Release | None = None, on_hangup: HangupAction = "stop", lines: EventLines | None = None
) -> RunState:
    """Execute a run and show its progress. The first Ctrl-C (SIGTERM, SIGHUP) stops it, the second at once.

    With `release`, the run leaves its terminal once it has started; what keeps it from starting is raised before. With
    `on_hangup` "leave", SIGHUP has it leave, too. Its events go to `lines` as well.
    """
    progress = _Progress(run, open_display(sys.stderr, plain=release is not None), lines)
    actions = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda: _stop(run))
    if on_hangup == "leave":
        actions[signal.SIGHUP] = lambda: _hang_up(run, progress)
    undo = on_signals(actions)
    tasks = [asyncio.create_task(_tick(progress.show))]
    if release is not None:
        tasks.append(asyncio.create_task(_leave_once_started(run, progress, release, _first_work(run))))
    try:
        return await run.execute()
    finally:
        for task in tasks:
            task.cancel()
        undo()
        progress.close()
        for broken in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(broken, Exception):  # reported, but it does not end the run
                console.say(f"the progress display stopped: bug in arena-tui: {broken!r}")


@asynccontextmanager
async def showing_progress(run: Run, is_shown: Callable[[Event], bool] = lambda _: True) -> AsyncIterator[None]:
    """Show the progress of a run on stderr for the length of the block, which executes it."""
    display = open_display(sys.stderr)
    run.listen(lambda event: display.notice(event) if is_shown(event) else None)
    ticking = asyncio.create_task(_tick(lambda: display.show(run.state)))
    try:
        yield
    finally:
        ticking.cancel()
        display.close(run.state)
        for broken in await asyncio.gather(ticking, return_exceptions=True):
            if isinstance(broken, Exception):
                console.say(f"the progress display stopped: bug in arena-tui: {broken!r}")


def _stop(run: Run) -> None:
    """Stop a run: the first time let calls in flight finish, the second time at once."""
    if run.gate.closed:
        run.abort()
        return
    console.say("stopping; calls in flight may finish; once more to stop at once")
    run.stop()


def _hang_up(run: Run, progress: _Progress) -> None:
    """Go on without the terminal, which is gone; stop where there is no place for the output."""
    if run.log is None:
        try:
            progress.leave()
        except OSError:
            _stop(run)


def _first_work(run: Run) -> asyncio.Event:
    """Return an event that is set when the run begins to work: with a stage, a server, or by waiting for a server."""
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def look(event: Event) -> None:
        if isinstance(event, StageStarted | ServerChanged):
            begun.set()
        elif isinstance(event, TaskPlanned):
            loop.call_later(LONGEST_START, begun.set)

    run.listen(look)
    return begun


async def _leave_once_started(run: Run, progress: _Progress, release: Release, begun: asyncio.Event) -> None:
    await begun.wait()
    if run.gate.closed:
        return
    console.say(f"started: bench {run.bench.name}, pid {os.getpid()}, output in {log_of(run)}\n{GOES_ON}")
    try:
        progress.leave()
    except OSError as error:
        console.say(f"stopping: {log_of(run)}: {error.strerror}")
        run.stop()
    else:
        release.release()


async def _tick(show: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        show()
