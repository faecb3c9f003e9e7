"""The run without a terminal UI: what its display cannot do must not be kept from the user, nor end the run."""

from __future__ import annotations

import asyncio

from arena_tui.headless import TICK_SECONDS, execute
from engine.work.progress import RunState


class RunThatCannotBeShown:
    """As much of a run as is shown; the first look at its state fails, and the run ends after it."""

    def __init__(self) -> None:
        self.looks = 0

    def listen(self, listener: object) -> None:
        pass

    @property
    def state(self) -> RunState:
        self.looks += 1
        if self.looks == 1:
            raise ValueError("no such row")
        return RunState()

    async def execute(self) -> RunState:
        while not self.looks:
            await asyncio.sleep(TICK_SECONDS / 10)
        return RunState(phase="done")


async def test_a_display_that_breaks_is_told_and_the_run_goes_on(capsys):
    assert (await execute(RunThatCannotBeShown())).phase == "done"
    assert "no such row" in capsys.readouterr().err
