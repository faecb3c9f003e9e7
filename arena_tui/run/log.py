"""The log of a run, newest entry first and wrapped, and the details of one entry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from arena_tui.safe_text import brief, clip, wrapped
from arena_tui.session.run_watch import LogEntry
from arena_tui.theme import inks
from arena_tui.widgets.virtual_list import GUTTER, VirtualList
from engine.errors import ArenaError, FailureKind
from engine.events import TaskKey

if TYPE_CHECKING:
    from arena_tui.widgets.dialogs import DetailsScreen
    from engine.bench import Bench
    from engine.records import Failure

_REMEDIES = {
    FailureKind.CONNECTION: "Check that the server runs and base_url is right (C checks all of them).",
    FailureKind.TIMEOUT: "Raise `timeout` of the model, or lower the number of parallel calls (l on its endpoint).",
    FailureKind.RATE_LIMITED: "Lower `parallel` or set a `rate` (l on its endpoint).",
    FailureKind.QUOTA: "The quota or the credit of the key is used up; check its account.",
    FailureKind.SERVER: "The server failed; see its log.",
    FailureKind.REJECTED: "The same request will fail again. Often the prompt exceeds the model's context, "
    "or max_tokens leaves no room for it.",
    FailureKind.UNAUTHORIZED: "Check `api_key`: the environment variable it names must be set.",
    FailureKind.MALFORMED: "The reply is not of OpenAI's chat API; check base_url and any proxy.",
    FailureKind.EMPTY: "The model returned an empty text.",
    FailureKind.TRUNCATED: "The reasoning used all tokens; raise `max_tokens`.",
    FailureKind.ABORTED: "The server aborted the reply; it was probably shutting down.",
}
_INDENT = 11  # columns: the time, the mark
_MOST_LINES, _LONGEST_TEXT = 4, 600  # of an entry; Enter shows it whole
_MARKS = {"info": "·", "warning": "!", "error": "✗"}


class LogLine(NamedTuple):
    """One line of an entry that is wrapped; the first one has the time."""

    entry: LogEntry
    part: int
    text: str


class LogList(VirtualList[LogLine]):
    """The entries of a `RunWatch`, wrapped."""

    def __init__(self) -> None:
        self._entries: Sequence[LogEntry] = ()
        self._wrapped: dict[LogEntry, list[LogLine]] = {}
        self._wrapped_for = 0  # columns
        super().__init__(
            self._line,
            key=lambda line: (line.entry.number, line.part),
            header=lambda width: Text("log"),
            empty="no messages",
            follow_top=True,
            id="log",
        )

    def show(self, entries: Sequence[LogEntry]) -> None:
        """Show the entries, newest first."""
        self._entries = entries
        width = max(20, self.size.width - GUTTER)
        known = self._wrapped if width == self._wrapped_for else {}
        self._wrapped_for = width
        self._wrapped = {entry: known.get(entry) or _wrapped(entry, width) for entry in entries}
        self.set_rows([line for entry in entries for line in self._wrapped[entry]])

    def on_resize(self) -> None:
        if max(20, self.size.width - GUTTER) != self._wrapped_for:
            self.show(self._entries)
        super().on_resize()

    def _line(self, line: LogLine, width: int) -> Text:
        ink, entry = inks(self.app), line.entry
        style = {"info": ink.muted, "warning": ink.warning, "error": ink.bad}[entry.level]
        if line.part:
            return Text(" " * _INDENT + line.text)
        at = time.strftime("%H:%M:%S", time.localtime(entry.at))
        return Text.assemble((at, ink.muted), " ", (_MARKS[entry.level], style), " ", line.text)


def _wrapped(entry: LogEntry, width: int) -> list[LogLine]:
    """Return the lines of an entry, the last one cut if there are too many."""
    times = f"{entry.count}x " if entry.count > 1 else ""
    text = times + brief(entry.text, _LONGEST_TEXT)
    lines = wrapped(text, width - _INDENT)
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], clip(" ".join(lines[_MOST_LINES - 1 :]), width - _INDENT)]
    return [LogLine(entry, part, line) for part, line in enumerate(lines or [""])]


async def entry_details(entry: LogEntry, bench: Bench | None) -> DetailsScreen:
    """Return the details of a log entry; for a failure, with its record in errors.jsonl of `bench` and a remedy."""
    from arena_tui.widgets.dialogs import DetailsScreen

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
    """Return the record of the entry in errors.jsonl: the last one of its question."""
    try:
        loaded = await asyncio.to_thread(bench.failures)
    except ArenaError:
        return None
    for failure in reversed(loaded.items):
        key = TaskKey(failure.stage, failure.model, failure.judge or "", failure.baseline or "")
        if (key, failure.question_id) == (entry.task, entry.question_id):
            return failure
    return None
