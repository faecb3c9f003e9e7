"""The log of a run, newest entry first, and the details of one entry."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from rich.text import Text

from arena_tui.safe_text import brief
from arena_tui.session.run_watch import LogEntry
from arena_tui.theme import inks
from arena_tui.widgets.dialogs import DetailsScreen
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError, FailureKind
from engine.events import TaskKey

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.records import Failure

_REMEDIES = {
    FailureKind.CONNECTION: "Is the server up, and is base_url right? `arena-tui doctor` asks each of them.",
    FailureKind.TIMEOUT: "Raise `timeout` of the model, or ask less of the server at once (l on its endpoint).",
    FailureKind.RATE_LIMITED: "Lower `parallel` or set a `rate` (l on its endpoint).",
    FailureKind.SERVER: "The server failed by itself; its own log says why.",
    FailureKind.REJECTED: "The same request will never work. Often the prompt is longer than the model's context, "
    "or max_tokens leaves no room for it.",
    FailureKind.UNAUTHORIZED: "Check `api_key`: the variable that it names must be set where arena-tui runs.",
    FailureKind.MALFORMED: "What answers there does not speak OpenAI's chat API. Is something between it and us?",
    FailureKind.EMPTY: "The model wrote nothing. If that is its way with this prompt, nothing here can change it.",
    FailureKind.TRUNCATED: "The model used up all its tokens for thinking: raise `max_tokens`.",
    FailureKind.ABORTED: "The server cut the reply; it was probably stopping.",
}
_MARKS = {"info": "·", "warning": "!", "error": "✗"}


class LogList(VirtualList[LogEntry]):
    """Entries of a `RunWatch`."""

    def __init__(self) -> None:
        super().__init__(
            self._entry_line,
            key=lambda entry: entry.number,
            header=lambda width: Text("log"),
            empty="nothing to tell yet",
            follow_top=True,
            id="log",
        )

    def _entry_line(self, entry: LogEntry, width: int) -> Text:
        ink = inks(self.app)
        style = {"info": ink.muted, "warning": ink.warning, "error": ink.bad}[entry.level]
        at = time.strftime("%H:%M:%S", time.localtime(entry.at))
        times = f"{entry.count}x " if entry.count > 1 else ""
        room = max(1, width - len(at) - 3 - len(times))
        return Text.assemble((at, ink.muted), " ", (_MARKS[entry.level], style), " ", times, brief(entry.text, room))


async def entry_details(entry: LogEntry, bench: Bench | None) -> DetailsScreen:
    """Show a log entry in full; for a failure, what errors.jsonl of `bench` holds and what to do about it."""
    facts = [("at", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at)))]
    if entry.count > 1:
        facts.append(("times", str(entry.count)))
    failure = await _failure_of(bench, entry) if bench and entry.task else None
    if entry.task is not None:
        facts += [("question", entry.question_id), ("stage", entry.task.stage), ("model", entry.task.model)]
        facts += [("judge", entry.task.judge)] if entry.task.judge else []
        facts += [("judged against", entry.task.baseline)] if entry.task.baseline else []
    if failure is not None:
        facts += [("endpoint", failure.endpoint)] if failure.endpoint else []
        facts += [("HTTP status", str(failure.status))] if failure.status else []
        facts += [("game", str(failure.game))] if failure.game else []
        facts.append(("tries", str(failure.attempts)))
    if entry.kind:
        facts.append(("kind", entry.kind))
    remedy = _REMEDIES.get(FailureKind(entry.kind), "") if entry.kind in set(FailureKind) else ""
    title = {"info": "Notice", "warning": "Warning", "error": "Failure" if entry.task else "Error"}[entry.level]
    message = failure.message if failure is not None else entry.text
    return DetailsScreen(title, facts, f"{message}\n\n{remedy}".strip())


async def _failure_of(bench: Bench, entry: LogEntry) -> Failure | None:
    """The record in errors.jsonl that the entry announced: the last one of its question."""
    try:
        loaded = await asyncio.to_thread(bench.failures)
    except ArenaError:
        return None
    for failure in reversed(loaded.items):
        key = TaskKey(failure.stage, failure.model, failure.judge or "", failure.baseline or "")
        if (key, failure.question_id) == (entry.task, entry.question_id):
            return failure
    return None
