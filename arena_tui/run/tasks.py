"""The task table: one line for each stage of each model, planned or in progress; and the details of one task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import msgspec
from rich.text import Text

from arena_tui.output.clock import clock
from arena_tui.output.stop_rule import control_words, verdict_words
from arena_tui.safe_text import one_line
from arena_tui.session.run_watch import Speed, SpeedGauge
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns, bar, percent, short_number, short_seconds
from arena_tui.widgets.virtual_list import VirtualList
from engine.events import Stage, TaskKey
from engine.work.progress import RunState, TaskState

if TYPE_CHECKING:
    from arena_tui.widgets.dialogs import DetailsScreen
    from engine.config.model import Config
    from engine.work.plan import Plan


class Planned(msgspec.Struct, frozen=True):
    """What a run would do for one task. Counted once, because counting visits every job."""

    calls: int = 0
    unparsed: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0  # at most


class TaskRow(msgspec.Struct, frozen=True):
    """One task. `planned` is what a run would do, `active` whether its stage is in progress."""

    key: TaskKey
    task: TaskState
    speed: Speed = Speed()
    planned: Planned = Planned()
    active: bool = False
    judged_by: str = ""  # the judge, if there are several
    verdict: str = ""  # of the stop rule that ended the task early

    @property
    def done(self) -> int:
        return min(self.task.expected, self.task.cached + self.task.done)


_SHORT_VERDICTS = {"equivalent": "equal", "precise": "known", "stopped": "ended"}


def _verdict(state: RunState, key: TaskKey, task: TaskState) -> str:
    standing = state.standings.get(key.model)
    return (standing.verdict if standing and standing.verdict != "undecided" else "stopped") if task.stopped else ""


def plan_rows(state: RunState, plan: Plan) -> list[TaskRow]:
    """Return the tasks of a plan; `state` is its state."""
    several = len({key.judge for key in state.tasks if key.judge}) > 1
    rows = []
    for planned in (*plan.answers, *plan.judgments):
        key = planned.key
        work = Planned(planned.calls, planned.unparsed, planned.prompt_tokens, planned.max_completion_tokens)
        rows.append(TaskRow(key, state.tasks[key], planned=work, judged_by=key.judge if several else ""))
    return rows


def task_rows(state: RunState, gauge: SpeedGauge | None) -> list[TaskRow]:
    """Return the tasks of a run, active ones first; `gauge` measures it while it is active."""
    several = len({key.judge for key in state.tasks if key.judge}) > 1
    rows = []
    for key, task in state.tasks.items():
        active = key.stage in state.stages
        speed = gauge.task(key) if gauge and active else Speed()
        judged_by, verdict = key.judge if several else "", _verdict(state, key, task)
        rows.append(TaskRow(key, task, speed, active=active, judged_by=judged_by, verdict=verdict))
    return sorted(rows, key=lambda row: not row.active)


class TaskTable(VirtualList[TaskRow]):
    """The tasks, with the columns of a plan (`show_plan`) or of a run (`show_progress`)."""

    def __init__(self) -> None:
        self._progress: dict[frozenset[str], Columns[TaskRow]] = {}  # by the counts that are not 0 in all rows
        self._planned = Columns(_plan_columns())
        self._columns = self._planned
        super().__init__(
            self._row,
            key=lambda row: row.key,
            header=self._header_line,
            empty="reading the bench ...",
            follow_top=True,
            id="tasks",
        )

    def show_plan(self, rows: list[TaskRow]) -> None:
        self._show(self._planned, rows)

    def show_progress(self, rows: list[TaskRow]) -> None:
        counted = frozenset(name for name in _COUNTS if any(_COUNTS[name](row.task) for row in rows))
        if counted not in self._progress:
            self._progress[counted] = Columns(self._progress_columns(counted))
        self._show(self._progress[counted], rows)

    def _show(self, columns: Columns[TaskRow], rows: list[TaskRow]) -> None:
        if columns is not self._columns:
            self._columns = columns
            self.repaint()
        self.set_rows(rows)

    def _row(self, row: TaskRow, width: int) -> Text:
        return self._columns.row(row, width)

    def _header_line(self, width: int) -> Text:
        return self._columns.header(width)

    def _progress_columns(self, counted: Collection[str]) -> list[Column[TaskRow]]:
        counts = {
            "cached": Column[TaskRow]("cached", lambda row, _: str(row.task.cached), width=6, right=True, need=5),
            "failed": Column[TaskRow]("failed", self._failed, width=6, right=True, need=8),
            "retry": Column[TaskRow]("retry", lambda row, _: str(row.task.retries), width=5, right=True, need=4),
        }
        return [
            _STAGE,
            _MODEL,
            Column("", self._bar, width=14, need=1),
            Column("done", lambda row, _: _counts(row), width=9, right=True, need=9),
            Column("%", lambda row, _: percent(_share(row)) if row.task.expected else "-", width=4, right=True, need=2),
            *(column for name, column in counts.items() if name in counted),
            Column("calls/s", lambda row, _: _speed(row, row.speed.calls), width=7, right=True, need=6),
            Column("tok/s", lambda row, _: _speed(row, row.speed.tokens), width=5, right=True, need=3),
            Column("ETA", _eta, width=7, narrow=6, right=True, need=7),
        ]

    def _bar(self, row: TaskRow, width: int) -> Text:
        return bar(_share(row), width, inks(self.app))

    def _failed(self, row: TaskRow, width: int) -> Text:
        return Text(str(row.task.failed), inks(self.app).bad if row.task.failed else "")


def _model(row: TaskRow, width: int) -> str:
    name = one_line(row.key.model) + (f" vs {one_line(row.key.baseline)}" if row.key.baseline else "")
    return f"{name} < {one_line(row.judged_by)}" if row.judged_by else name


_SHORT_STAGES: dict[Stage, str] = {"answers": "ans", "judgments": "judge"}
_STAGE: Column[TaskRow] = Column(
    "stage", lambda row, width: row.key.stage if width >= 9 else _SHORT_STAGES[row.key.stage], width=9, narrow=5, need=8
)
_MODEL: Column[TaskRow] = Column("model", _model, width=None, least=13, most=44, middle=True, need=10)
_COUNTS: Mapping[str, Callable[[TaskState], int]] = {
    "cached": lambda task: task.cached,
    "failed": lambda task: task.failed,
    "retry": lambda task: task.retries,
}


def _plan_columns() -> list[Column[TaskRow]]:
    return [
        _STAGE,
        _MODEL,
        Column("records", lambda row, _: str(row.task.total), width=7, right=True, need=6),
        Column("cached", lambda row, _: str(row.task.cached), width=6, right=True, need=8),
        Column("stale", lambda row, _: str(row.task.stale), width=5, right=True, need=3),
        Column("unparsed", lambda row, _: str(row.planned.unparsed), width=8, right=True, need=2),
        Column("calls", lambda row, _: str(row.planned.calls), width=6, right=True, need=9),
        Column(
            "prompt tok",
            lambda row, _: _tokens(row.planned, "~", row.planned.prompt_tokens),
            width=10,
            right=True,
            need=5,
        ),
        Column(
            "output tok",
            lambda row, _: _tokens(row.planned, "≤", row.planned.output_tokens),
            width=10,
            right=True,
            need=4,
        ),
    ]


def _tokens(planned: Planned, sign: str, tokens: int) -> str:
    """Return the tokens of a task, `-` if unknown: judgments of missing answers cannot be counted."""
    if not planned.calls:
        return "0"
    return f"{sign}{short_number(tokens)}" if tokens else "-"


def _counts(row: TaskRow) -> str:
    return f"{row.done}/{row.task.expected}" if row.task.expected else "-"


def _share(row: TaskRow) -> float:
    return row.done / row.task.expected if row.task.expected else 0.0


def _speed(row: TaskRow, per_second: float) -> str:
    return short_number(per_second) if row.active and row.task.left else ""


def _eta(row: TaskRow, width: int) -> str:
    if row.verdict:
        return row.verdict if len(row.verdict) <= width else _SHORT_VERDICTS.get(row.verdict, row.verdict)
    if not row.task.expected:
        return "none"  # nothing of it can be made: without answers there is nothing to judge
    if not row.active:
        return "" if row.task.left else "done"
    if not row.task.left:
        return "done"
    eta = row.speed.eta
    return "-" if eta is None else text if len(text := clock(eta)) <= width else short_seconds(eta)


def task_details(row: TaskRow, config: Config, state: RunState) -> DetailsScreen:
    """Return the details of one stage of one model."""
    from arena_tui.widgets.dialogs import DetailsScreen

    task = row.task
    caller = row.key.judge or row.key.model
    facts = [
        ("model", f"{caller} (served as {config.served_name(caller)})"),
        *([("judged against", row.key.baseline or config.judge.pairing.anchor)] if row.key.judge else []),
        ("records", f"{task.total}, {task.cached} of them cached"),
        ("made now", f"{task.done} ({task.truncated} truncated at max_tokens)"),
        ("failed", str(task.failed)),
        ("calls", f"{task.calls}, {task.retries} retried; {task.completion_tokens} tokens generated"),
    ]
    if row.key.judge:
        facts.append(("unparsed", f"{task.unparsed} games, {task.conflicts} of them with conflicting labels"))
    if task.weighed:
        facts.append(("so far", f"{100 * task.won / task.weighed:.1f} % of games won (provisional, no interval)"))
    if standing := state.standings.get(row.key.model):
        facts.append((f"--until {state.stop_rule}", verdict_words(row.key.model, standing, state.opponent)))
        if control := control_words(state.error_control):
            facts.append(("error control", control))
    if task.stale:
        facts.append(("stale", f"{task.stale} cached records of other settings; the plan (s) can recreate them"))
    return DetailsScreen(f"{row.key.stage} of {row.key.model}", facts)
