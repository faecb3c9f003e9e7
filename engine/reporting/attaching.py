"""Attaches notices and trackers to a run, and loads nothing of them where none are wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from engine.events import Event
from engine.work.progress import RunState

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.reporting.reporting import Reporting


class ReportedRun(Protocol):
    """What is used of a run."""

    config: Config
    bench: Bench
    id: str
    reporting: Reporting | None

    @property
    def state(self) -> RunState: ...

    def listen(self, listener: Callable[[Event], None]) -> None: ...


class Attachment:
    """Passes the events of a run on. What goes wrong with that is reported once and never reaches the run."""

    def __init__(self, run: ReportedRun, reporting: Reporting | None, warn: Callable[[str], None]) -> None:
        self._run = run
        self._reporting = reporting
        self._warn = warn
        if reporting is not None:
            run.listen(self._pass_on)

    async def finish(self, record: str) -> None:
        """Send the results of a run that was not interrupted."""
        if self._reporting is not None and self._run.state.phase in ("done", "failed"):
            try:
                await self._reporting.results(record)
            except Exception as error:
                self._give_up(error)

    def _pass_on(self, event: Event) -> None:
        if self._reporting is not None:
            try:
                self._reporting.handle(event)
                self._reporting.show(self._run.state)
            except Exception as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._reporting = None
        self._warn(f"notices and trackers stopped: {type(error).__name__}: {error}")


@asynccontextmanager
async def reported(run: ReportedRun, warn: Callable[[str], None]) -> AsyncIterator[Attachment]:
    """Send what happens to a run to the targets of `[notify]` and `[track]`, if there are any."""
    if not (run.config.notify.is_set or run.config.track.to):
        yield Attachment(run, None, warn)
    elif (shared := run.reporting) is not None:
        shared.begin(run.id)
        yield Attachment(run, shared, warn)
    else:
        from engine.reporting.reporting import Reporting

        async with Reporting(run.config, run.bench, run.id, warn) as reporting:
            yield Attachment(run, reporting, warn)
