"""The run without a terminal UI: signals, progress on stderr, and the loop it all happens in."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from arena_tui import console
from arena_tui.output.progress import open_display
from engine.run import Run
from engine.work.progress import RunState

T = TypeVar("T")
TICK_SECONDS = 0.25


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end, on uvloop where there is one: it saves a tenth of the engine's time."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def execute(run: Run) -> RunState:
    """Carry out `run`, showing its progress. The first Ctrl-C (or SIGTERM, SIGHUP) stops it, the second at once."""
    display = open_display(sys.stderr)
    release = on_signals(_Stopper(run))
    run.listen(display.notice)
    ticker = asyncio.create_task(_tick(lambda: display.show(run.state)))
    try:
        return await run.execute()
    finally:
        ticker.cancel()
        release()
        display.close(run.state)
        (broken,) = await asyncio.gather(ticker, return_exceptions=True)
        if isinstance(broken, Exception):  # no reason to end a run, but none to keep quiet about it either
            console.say(f"the progress display broke off by a defect of arena-tui: {broken!r}")


class _Stopper:
    """What a signal does: first a stop that saves what is in flight, then one that does not wait."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self) -> None:
        if self._run.gate.closed:
            self._run.abort()
            return
        console.say("Stopping: calls in flight may finish. Once more to stop at once.")
        self._run.stop()


def on_signals(action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` on the signals that end a program; returns what undoes it.

    What whoever started us had us ignore (`nohup` does so with the loss of the terminal) stays ignored.
    """
    loop = asyncio.get_running_loop()
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    signals = [number for number in ending if signal.getsignal(number) is not signal.SIG_IGN]
    for number in signals:
        loop.add_signal_handler(number, action)

    def release() -> None:
        for number in signals:
            loop.remove_signal_handler(number)

    return release


async def _tick(show: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        show()
