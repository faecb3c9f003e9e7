"""Progress on stderr: a live table on a terminal, plain lines anywhere else. Both read the same `RunState`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from arena_tui.advice import phrase
from arena_tui.console import printable
from arena_tui.log_output import writes_to_stderr
from arena_tui.output.clock import clock
from arena_tui.output.outages import reasons, trouble_words, troubles
from arena_tui.output.stop_rule import control_words, is_decided, standing_words, verdict_words
from arena_tui.session.run_watch import ServerLines, SpeedGauge, busy_servers, stage_words
from engine.errors import as_line
from engine.events import Event, Notice, RecordFailed, ServerChanged, StandingChanged, StopRuleSet, steady_now
from engine.work.progress import RunSpeed, RunState, ServerState, TaskState

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_SECONDS = 10.0
SHOWN_FAILURES = 5  # different ones of the same kind, one by one; more are only counted


class Display(Protocol):
    """Shows a run. `show` is called four times a second, `notice` with every event."""

    def show(self, state: RunState) -> None: ...

    def notice(self, event: Event) -> None: ...

    def close(self, state: RunState) -> None: ...


def open_display(stream: TextIO, *, plain: bool = False) -> Display:
    """Return the live table if `stream` is a terminal that moves its cursor, else plain lines.

    These also if `plain`, and where log records go between the lines.

    After the first write error (lost terminal, full disk) nothing more is shown.
    """
    if not (plain or writes_to_stderr()) and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return _UntilWriteError(LiveDisplay(stream))
    return _UntilWriteError(PlainDisplay(stream))


class _UntilWriteError:
    """Passes everything on to a display until its stream fails; the run continues."""

    def __init__(self, display: Display) -> None:
        self._display: Display | None = display

    def show(self, state: RunState) -> None:
        self._pass_on(lambda display: display.show(state))

    def notice(self, event: Event) -> None:
        self._pass_on(lambda display: display.notice(event))

    def close(self, state: RunState) -> None:
        self._pass_on(lambda display: display.close(state))

    def _pass_on(self, call: Callable[[Display], None]) -> None:
        if self._display is None:
            return
        try:
            call(self._display)
        except OSError:
            self._display = None


class _Notices:
    """Turns events into lines: notices, server states, decisions, and the first failures of each kind.

    Equal failures of one model are reported once.
    """

    def __init__(self, *, stages: bool = True) -> None:
        self._servers = ServerLines(stages=stages)
        self._failures: dict[str, set[tuple[str, str]]] = {}
        self._decided: set[str] = set()
        self._opponent = ""

    def line(self, event: Event) -> str | None:
        if isinstance(event, Notice):
            return printable(phrase(event.text) if event.level == "info" else f"{event.level}: {phrase(event.text)}")
        if isinstance(event, ServerChanged):
            return self._servers.line(event)
        if isinstance(event, RecordFailed):
            shown = self._failures.setdefault(event.kind, set())
            if len(shown) < SHOWN_FAILURES and (event.task.model, event.message) not in shown:
                shown.add((event.task.model, event.message))
                more = " (more are only counted)" if len(shown) == SHOWN_FAILURES else ""
                who = f"{event.task.model}, question {event.question_id}"
                return printable(f"failed: {who}: {event.kind}: {as_line(event.message)}{more}")
        if isinstance(event, StopRuleSet):
            self._opponent = event.opponent
            if control := control_words(event.control):
                return f"--until {printable(event.rule)}: {control}"
        if isinstance(event, StandingChanged) and is_decided(event.standing) and event.model not in self._decided:
            self._decided.add(event.model)
            return f"decided: {verdict_words(event.model, event.standing, self._opponent)}"
        return None


class PlainDisplay:
    """A line when a stage begins, every ten seconds, and when it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._notices = _Notices()
        self._gauge = SpeedGauge()
        self._stages: tuple[str, ...] = ()
        self._next = time.monotonic() + PLAIN_SECONDS

    def show(self, state: RunState) -> None:
        speed = self._gauge.pace(state)
        now = time.monotonic()
        if state.stages != self._stages or now >= self._next:
            self._stages = state.stages
            self._next = now + PLAIN_SECONDS
            if state.stages:
                self._print(summary_line(state, speed))
            for line in server_lines(state):
                self._print(line)

    def notice(self, event: Event) -> None:
        if line := self._notices.line(event):
            self._print(line)

    def close(self, state: RunState) -> None:
        self._print(closing_line(state))

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveDisplay:
    """A table of the tasks of the current stages with a bar each, redrawn in place."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream, highlight=False, markup=False)
        self._notices = _Notices(stages=False)  # they are shown in the table
        self._gauge = SpeedGauge()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, state: RunState) -> None:
        self._live.update(_table(state, self._gauge.pace(state), self._console.width), refresh=True)

    def notice(self, event: Event) -> None:
        if line := self._notices.line(event):
            self._console.print(line, markup=False, soft_wrap=True)

    def close(self, state: RunState) -> None:
        self._live.stop()
        self._console.print(closing_line(state), soft_wrap=True)


def _table(state: RunState, speed: RunSpeed, width: int) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows = [(key, task) for key, task in state.tasks.items() if key.stage in state.stages]
    servers = [Text(line) for line in server_lines(state)]
    if not rows:
        return Group(*servers) if servers else Text(state.doing)
    table = Table.grid(padding=(0, 1))
    bar_width = max(10, width - 72)
    for key, task in rows[:20]:
        name = printable(key.model) + (f" vs {printable(key.baseline)}" if key.baseline else "")
        table.add_row(
            Text(name, overflow="ellipsis", no_wrap=True),
            ProgressBar(total=max(1, task.expected), completed=task.cached + task.done + task.failed, width=bar_width),
            Text(_counts(task), no_wrap=True),
        )
    table.columns[0].max_width = 30
    return Group(table, *servers, Text(summary_line(state, speed), overflow="ellipsis", no_wrap=True))


def _counts(task: TaskState) -> str:
    parts = [f"{task.cached + task.done}/{task.expected}"]
    parts += ["stopped"] if task.stopped else []
    parts += [f"{task.cached} cached"] if task.cached else []
    parts += [f"{task.failed} failed"] if task.failed else []
    parts += [f"{task.unparsed} unparsed"] if task.unparsed else []
    return ", ".join(parts)


def summary_line(state: RunState, speed: RunSpeed) -> str:
    """Return one line on the current stages: done, failed, cached, speeds, ETA."""
    eta = f" | ETA {clock(speed.eta)}" if speed.eta is not None else ""
    stages = " | ".join(_stage_line(state, stage) for stage in state.stages) or state.phase
    decided = f" | {standings}" if (standings := standing_words(state)) else ""
    wrong = f" | {words}" if (words := trouble_words(troubles(state), steady_now())) else ""
    return (
        f"{stages} | {state.in_flight} in flight, {speed.calls_per_second:.1f} calls/s, "
        f"{speed.tokens_per_second:.0f} tokens/s{eta}{decided}{wrong}"
    )


def start_words(server: ServerState, now: float) -> str:
    """Describe a server that is not ready: its stage, since when, and how long a start takes.

    `loading weights 50% for 0:40 (expected: about 1:25)`: by the last start of this run, else by what earlier runs of
    the bench recorded, or the size of the weights.
    """
    words = f"{stage_words(server)} for {clock(max(0.0, now - server.since))}"
    if server.started_in is not None:
        return f"{words} (the last start took {clock(server.started_in)})"
    if server.status == "starting" and server.expected is not None:
        return f"{words} (expected: about {clock(server.expected)})"
    return words


def server_lines(state: RunState) -> list[str]:
    """Return a line for each server that starts or stops: since when, and how long a start usually takes."""
    now = steady_now()
    return [printable(f"server {name}: {start_words(server, now)}") for name, server in busy_servers(state)]


def _stage_line(state: RunState, stage: str) -> str:
    tasks = [task for key, task in state.tasks.items() if key.stage == stage]
    total, cached = sum(task.expected for task in tasks), sum(task.cached for task in tasks)
    done, failed = sum(task.done for task in tasks), sum(task.failed for task in tasks)
    share = f" ({(cached + done) / total:.0%})" if total else ""
    return f"{stage}: {cached + done}/{total}{share}, {cached} cached, {failed} failed"


def closing_line(state: RunState) -> str:
    """Return one line on the whole run."""
    seconds = state.active_seconds(state.ended_at)
    done = sum(task.done for task in state.tasks.values())
    cached = sum(task.cached for task in state.tasks.values())
    retries = sum(endpoint.retries for endpoint in state.endpoints.values())
    again = f" ({retries} retries)" if retries else ""
    why = f" ({unreachable})" if state.phase == "failed" and (unreachable := reasons(state)) else ""
    return (
        f"{state.phase}{why}: {state.calls} calls{again} in {clock(seconds)}, {done} records created, {cached} cached, "
        f"{state.failed} failed, {state.completion_tokens} tokens generated"
    )
