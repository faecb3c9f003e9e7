"""Everything that is known of one line of the run screen, on a screen over it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from arena_tui.output.stop_rule import verdict_words
from arena_tui.safe_text import one_line, readable
from arena_tui.widgets.key_bar import KeyBar
from engine.errors import ArenaError, FailureKind
from engine.events import TaskKey

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp
    from arena_tui.live.run_watch import LogEntry
    from arena_tui.widgets.task_table import TaskRow
    from engine.records import Failure

Facts: TypeAlias = Sequence[tuple[str, str]]  # what, and what it is

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


class DetailsScreen(ModalScreen[None]):
    """A title, facts, and a text. Scrolls when it is longer than the terminal."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Back"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, title: str, facts: Facts, text: str = "") -> None:
        super().__init__()
        self._title = title
        self._facts = facts
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(one_line(self._title), style="bold"))
            with VerticalScroll():
                yield Static(facts_text(self._facts))
                if self._text:
                    yield Static(Text("\n" + readable(self._text)))
        yield KeyBar()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def facts_text(facts: Facts) -> Text:
    """Facts below each other, their values in one column."""
    width = max((len(name) for name, _ in facts), default=0) + 2
    text = Text()
    for name, value in facts:
        text.append(("\n" if text.plain else "") + name.ljust(width), Style(dim=True))
        text.append(readable(value).replace("\n", "\n" + " " * width))
    return text


def show_task(app: ArenaApp, row: TaskRow) -> None:
    """What there is of one stage of one model."""
    task, config = row.task, app.session.config
    caller = row.key.judge or row.key.model
    facts = [
        ("asked", f"{caller} (served as {config.served_name(caller)})"),
        *([("judged against", row.key.baseline or config.judge.baseline)] if row.key.judge else []),
        ("records", f"{task.total}, of which {task.cached} were there before"),
        ("made now", f"{task.done} ({task.truncated} cut at max_tokens)"),
        ("failed", str(task.failed)),
        ("calls", f"{task.calls}, {task.retries} of them tried again; {task.completion_tokens} tokens generated"),
    ]
    if row.key.judge:
        facts.append(("no verdict", f"{task.unparsed} games, {task.conflicts} of them with conflicting labels"))
    if task.weighed:
        facts.append(("so far", f"{100 * task.won / task.weighed:.1f} % of its games won (provisional, no interval)"))
    state = app.session.state
    if standing := state.standings.get(row.key.model):
        facts.append((f"--until {state.stop_rule}", verdict_words(row.key.model, standing, state.opponent)))
    if task.stale:
        facts.append(("other settings", f"{task.stale} of those that were there; the plan (s) can make them again"))
    app.push_screen(DetailsScreen(f"{row.key.stage} of {row.key.model}", facts))


def show_entry(app: ArenaApp, entry: LogEntry) -> None:
    """One line of the log; of a failure what errors.jsonl holds and what to do about it."""
    app.run_worker(_show_entry(app, entry), exit_on_error=False)


async def _show_entry(app: ArenaApp, entry: LogEntry) -> None:
    facts = [("at", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at)))]
    if entry.count > 1:
        facts.append(("times", str(entry.count)))
    failure = await _failure_of(app, entry) if entry.task else None
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
    app.push_screen(DetailsScreen(title, facts, f"{message}\n\n{remedy}".strip()))


async def _failure_of(app: ArenaApp, entry: LogEntry) -> Failure | None:
    """The record in errors.jsonl that the entry announced: the last one of its question."""
    try:
        loaded = await asyncio.to_thread(app.session.bench.failures)
    except ArenaError:
        return None
    for failure in reversed(loaded.items):
        key = TaskKey(failure.stage, failure.model, failure.judge or "", failure.baseline or "")
        if (key, failure.question_id) == (entry.task, entry.question_id):
            return failure
    return None
