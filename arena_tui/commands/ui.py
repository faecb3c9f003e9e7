"""`arena-tui` without a command, and `arena-tui review`: the terminal UI from its start to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from arena_tui import console
from arena_tui.detaching import Release, in_child, on_end_signals, on_signals
from arena_tui.invocation import Invocation
from arena_tui.log_output import leave_stderr
from engine.errors import UsageProblem
from engine.places import state_folder

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp
    from arena_tui.session.arena_session import ArenaSession
    from arena_tui.session.engine_parts import AttachMode
    from arena_tui.widgets.screens import ModeName

TICK_SECONDS = 0.25  # between two looks at a run without UI
FRAMES_PER_SECOND = 30  # fewer would delay keys, more would only cost traffic


def has_terminal() -> bool:
    """Return whether a terminal UI can be shown: in a browser, or on a terminal that moves its cursor."""
    if os.environ.get("TEXTUAL_DRIVER"):
        return True
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual writes to stderr
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM", "dumb") != "dumb"


def ui_command(invocation: Invocation, first_mode: ModeName = "run") -> int:
    """Show the UI until the user leaves. Return the exit code."""
    return _run_ui(invocation, first_mode)


def review_command(invocation: Invocation, reviewer: str | None) -> int:
    """Show the UI with the review open. Raises UsageProblem without a terminal."""
    if not has_terminal():
        raise UsageProblem("review shows answers on screen and needs a terminal", "run it in a terminal")
    return _run_ui(invocation, "review", reviewer=reviewer)


def attach_command(invocation: Invocation, attach_as: AttachMode) -> int:
    """Show the UI on a run of another process. Raises UsageProblem without a terminal, and if there is no run."""
    if not has_terminal():
        raise UsageProblem("attach shows a run on screen and needs a terminal", "arena-tui status prints a line")
    return _run_ui(invocation, "run", attach_as=attach_as)


def _run_ui(
    invocation: Invocation,
    first_mode: ModeName,
    *,
    reviewer: str | None = None,
    attach_as: AttachMode | None = None,
) -> int:
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")  # both are read when textual is imported
    os.environ.setdefault("TEXTUAL_FPS", str(FRAMES_PER_SECOND))

    log = leave_stderr(state_folder() / "arena-tui.log")
    if log is not None:
        console.say(f"log: {log}")

    def work(release: Release) -> int:
        return asyncio.run(_show(invocation, first_mode, reviewer, attach_as, release))

    return in_child(work)


async def _show(
    invocation: Invocation,
    first_mode: ModeName,
    reviewer: str | None,
    attach_as: AttachMode | None,
    release: Release,
) -> int:
    from arena_tui.app import ArenaApp
    from arena_tui.session.arena_session import ArenaSession

    session = ArenaSession(invocation)
    session.reviewer, session.attach_as = reviewer, attach_as
    if attach_as is not None:
        await session.open()
        if session.remote is None:
            raise session.unattached or UsageProblem(
                f"no run of {session.bench.name} is on", "arena-tui opens the bench, arena-tui run --detach starts one"
            )
    app = ArenaApp(session, first_mode)
    release.watch(app.hang_up)
    undo = on_signals({signal.SIGINT: app.leave, signal.SIGTERM: app.leave, signal.SIGHUP: app.hang_up})
    try:
        await app.run_async()
        if app.is_left and session.is_running:
            await _go_on(session, release, quiet=app.is_hung_up)
        elif app.return_code and not app.leaving and not app.is_web:
            await _finish_without_ui(session)
    finally:
        await session.close()
        undo()
    return _exit_code(app, session)


async def _go_on(session: ArenaSession, release: Release, *, quiet: bool) -> None:
    """Leave the terminal and stay with the run until it ends; return at once if it is of another process."""
    from arena_tui.headless import GOES_ON, leave_to_log, log_of
    from engine.run import Run

    run = session.run
    if not isinstance(run, Run):
        console.say(f"the run goes on\n{GOES_ON}")
        return
    if not quiet:
        console.say(f"the run goes on: bench {run.bench.name}, pid {os.getpid()}, output in {log_of(run)}\n{GOES_ON}")
    try:
        leave_to_log(run)
    except OSError as error:
        console.say(f"stopping: {log_of(run)}: {error.strerror}")
        session.stop()
    else:
        release.release()
    await _finish_without_ui(session)


async def _finish_without_ui(session: ArenaSession) -> None:
    """Finish a run with plain lines, after its UI has failed or was left."""
    from arena_tui.output.progress import open_display
    from engine.run import Run

    if not session.is_running or not isinstance(session.run, Run):
        return
    if session.run.log is None:
        console.say("the terminal UI failed; the run continues without it; Ctrl-C stops it")
    display = open_display(sys.stderr, plain=True)
    session.run.listen(display.notice)
    undo = on_end_signals(session.stop)
    try:
        while session.is_running:
            display.show(session.state)
            with suppress(TimeoutError):
                await asyncio.wait_for(session.finished(), TICK_SECONDS)
    finally:
        undo()
        display.close(session.state)


def _exit_code(app: ArenaApp, session: ArenaSession) -> int:
    if app.is_left and session.remote is not None:
        return console.DONE
    if session.state.phase == "interrupted":
        if not app.is_hung_up:
            console.say("interrupted; finished results are saved; run the same command to resume")
        return console.INTERRUPTED
    if app.return_code or session.state.phase == "failed":
        return console.FAILED
    return console.DONE
