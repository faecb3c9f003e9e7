"""`arena-tui` without a command, and `arena-tui review`: the terminal UI from its start to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from arena_tui import console
from arena_tui.invocation import Invocation
from engine.errors import UsageProblem

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp
    from arena_tui.session.arena_session import ArenaSession
    from arena_tui.widgets.screens import ModeName

FRAMES_PER_SECOND = 30  # fewer would delay keys, more would only cost traffic


def has_terminal() -> bool:
    """Return whether a terminal UI can be shown: in a browser, or on a terminal that moves its cursor."""
    if os.environ.get("TEXTUAL_DRIVER"):
        return True
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual writes to stderr
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM", "dumb") != "dumb"


def ui_command(invocation: Invocation, first_mode: ModeName = "run") -> int:
    """Show the UI until the user leaves. Return the exit code."""
    return _run_ui(invocation, first_mode, None)


def review_command(invocation: Invocation, reviewer: str | None) -> int:
    """Show the UI with the review open. Raises UsageProblem without a terminal."""
    if not has_terminal():
        raise UsageProblem("review shows answers on screen and needs a terminal", "run it in a terminal")
    return _run_ui(invocation, "review", reviewer)


def _run_ui(invocation: Invocation, first_mode: ModeName, reviewer: str | None) -> int:
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")  # both are read when textual is imported
    os.environ.setdefault("TEXTUAL_FPS", str(FRAMES_PER_SECOND))
    return asyncio.run(_show(invocation, first_mode, reviewer))


async def _show(invocation: Invocation, first_mode: ModeName, reviewer: str | None) -> int:
    from arena_tui.app import ArenaApp
    from arena_tui.session.arena_session import ArenaSession

    session = ArenaSession(invocation)
    session.reviewer = reviewer
    app = ArenaApp(session, first_mode)
    release = _on_signals({signal.SIGTERM: app.leave, signal.SIGHUP: app.hang_up})
    try:
        await app.run_async()
        if app.return_code and not app.leaving and not app.is_web:
            await _finish_without_ui(session)
    finally:
        await session.close()
        release()
    return _exit_code(app, session)


async def _finish_without_ui(session: ArenaSession) -> None:
    """Finish a run with plain lines after its UI has failed."""
    if session.is_running and session.run is not None:
        from arena_tui.output.progress import PlainDisplay

        console.say("the terminal UI failed; the run continues without it; Ctrl-C stops it")
        display = PlainDisplay(sys.stderr)
        session.run.listen(display.notice)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, session.stop)
        await session.finished()
        display.close(session.state)


def _on_signals(actions: Mapping[signal.Signals, Callable[[], None]]) -> Callable[[], None]:
    """Call the action of each signal when it arrives; return a function that undoes it."""
    loop = asyncio.get_running_loop()
    for number, action in actions.items():
        loop.add_signal_handler(number, action)

    def release() -> None:
        for number in actions:
            loop.remove_signal_handler(number)

    return release


def _exit_code(app: ArenaApp, session: ArenaSession) -> int:
    if session.state.phase == "interrupted":
        if not app.is_hung_up:
            console.say("interrupted; finished results are saved; run the same command to resume")
        return console.INTERRUPTED
    if app.return_code or session.state.phase == "failed":
        return console.FAILED
    return console.DONE
