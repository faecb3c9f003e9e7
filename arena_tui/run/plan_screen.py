"""What a run will do before it starts: scope, calls, duration; and the dialog for a stop rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias, TypeVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from arena_tui.advice import phrase, title
from arena_tui.keys import bind, closing
from arena_tui.output.clock import money
from arena_tui.run.summary import about
from arena_tui.safe_text import clip, one_line, printable
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.columns import short_number
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import show_notice
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError, as_line

if TYPE_CHECKING:
    from engine.ratings.stop_rule import StopRule
    from engine.work.plan import Plan, Scope
    from engine.work.stopping import StopForecast


PlanChoice: TypeAlias = Literal["start", "stages", "limit", "until", "stale", "unparsed"]
_ValueT = TypeVar("_ValueT")
LIMITS: tuple[int | None, ...] = (None, 10, 50, 100, 250, 500)  # numbers of questions, in the seeded order
UNTIL = {  # stop rules in the syntax of `run --until`
    "": "no",
    "decided": "when better or worse is decided",
    "decided,ci:5": "when decided, or known to ±5 points",
    "decided,equivalent:2": "when decided, or equivalent within ±2 points",
    "ci:5": "when known to ±5 points",
    "ci:2.5": "when known to ±2.5 points",
}
_MOST_WARNINGS, _NAME_COLUMNS = 4, 26
_STAGES = ((True, True), (True, False), (False, True))  # answers, judgments


class _Line(NamedTuple):
    choice: PlanChoice
    name: str
    value: str


class PlanScreen(ModalScreen[None]):
    """Choices of scope; each change makes a new plan. Escape closes without starting."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("start"),
        bind("change", "change(1)"),
        bind("change_back", "change(-1)", show=False),
        *closing(title="Cancel"),
    ]

    def __init__(self, session: ArenaSession) -> None:
        super().__init__()
        self._session = session
        self._problem = ""  # why the last choice cannot be planned

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Plan", style="bold"))
            yield Static(id="about")
            yield VirtualList[_Line](self._line, key=lambda line: line.choice, id="choices")
            yield Static(id="cautions")
        yield KeyBar()

    def on_mount(self) -> None:
        if self._session.run is not None:  # its plan does not include the records it made
            self.run_worker(self._plan(self._session.scope), exclusive=True, exit_on_error=False)
        self._show()
        self.query_one("#choices", VirtualList).styles.height = len(list(self._lines()))

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        if message.row.choice == "start":
            self.action_start()
        elif message.row.choice == "until":
            self.action_type_rule()
        else:
            self.action_change(1)

    def action_start(self) -> None:
        try:
            self._session.start()
        except ArenaError as error:
            show_notice(self, error)
            return
        self.dismiss()

    def action_type_rule(self) -> None:

        self.app.push_screen(StopRuleScreen(self._session.scope.until), self._rule_typed)

    def action_change(self, step: int) -> None:
        line = self.query_one("#choices", VirtualList).row
        if line is not None and line.choice != "start":
            scope = _changed(self._session.scope, line.choice, step)
            self.run_worker(self._plan(scope), exclusive=True, exit_on_error=False)

    def _rule_typed(self, typed: TypedRule | None) -> None:
        if typed is not None:
            scope = replace(self._session.scope, until=typed.rule)
            self.run_worker(self._plan(scope), exclusive=True, exit_on_error=False)

    async def _plan(self, scope: Scope) -> None:
        self.query_one("#about", Static).update(Text("planning ..."))
        try:
            await self._session.make_plan(scope)
            self._problem = ""
        except ArenaError as error:
            self._problem = as_line(title(error), phrase(error.hint))
        self._show()

    def _show(self) -> None:
        self.query_one("#about", Static).update(self._about())
        self.query_one("#choices", VirtualList).set_rows(list(self._lines()))
        plan = self._session.plan
        warnings = [f"! {self._problem}"] if self._problem else []
        warnings += [f"! {phrase(warning)}" for warning in plan.warnings[:_MOST_WARNINGS]] if plan else []
        if plan and len(plan.warnings) > _MOST_WARNINGS:
            warnings.append(f"! {len(plan.warnings) - _MOST_WARNINGS} more warnings: in the log once the run starts")
        cautions = self.query_one("#cautions", Static)
        cautions.update(Text(printable("\n".join(warnings)), inks(self.app).warning))
        cautions.display = bool(warnings)

    def _about(self) -> Text:
        plan, duration = self._session.plan, self._session.duration
        if plan is None:
            return Text("planning ...")
        tasks = (*plan.answers, *plan.judgments)
        to_make = sum(task.total - task.cached for task in tasks)
        text = Text(f"\n{to_make} records to make, {sum(task.cached for task in tasks)} cached\n")
        text.append(_calls(plan, self._session.forecast), Style(bold=True))
        if self._session.forecast is not None:
            text.append(f" ({plan.calls} without a stop rule)")
        prompt, output = sum(t.prompt_tokens for t in tasks), sum(t.max_completion_tokens for t in tasks)
        text.append(f", about {short_number(prompt)} prompt and at most {short_number(output)} output tokens")
        if duration is not None and plan.calls:
            text.append(f", {about(duration)}")
        if self._session.cost is not None and plan.calls:
            text.append(f", cost about {money(self._session.cost)}")
        if (forecast := self._session.forecast) is not None:
            text.append(f"\na model stops early when {printable(forecast.rule.describe(forecast.opponent))}")
        if pending := sum(len(task.awaited) for task in tasks):
            text.append(f"\n{pending} judgments wait for answers; their tokens are not counted")
        if self._session.servers:
            from arena_tui.output.plan import turn_lines

            text.append("\n" + "\n".join(map(printable, turn_lines(self._session.servers))))
        return text.append("\n")

    def _lines(self) -> Iterator[_Line]:
        scope, plan = self._session.scope, self._session.plan
        stale = sum(task.stale for task in (*plan.answers, *plan.judgments)) if plan else 0
        unparsed = sum(task.unparsed for task in plan.judgments) if plan else 0
        yield _Line("start", "Start", "s")
        yield _Line("stages", "Stages", _stages(scope))
        yield _Line("limit", "Questions", f"the first {scope.limit}" if scope.limit else "all")
        rule = str(scope.until or "")
        yield _Line("until", "Stop a model early", UNTIL.get(rule, one_line(rule)))
        yield _Line("stale", "Stale records", _refreshed(scope, "stale", stale))
        yield _Line("unparsed", "Unparsed judgments", _refreshed(scope, "unparsed", unparsed))

    def _line(self, line: _Line, width: int) -> Text:
        if line.choice == "start":
            return Text("Start now", inks(self.app).accent)
        muted, room = inks(self.app).muted, width - _NAME_COLUMNS - 4
        value = clip(line.value, max(1, room))
        return Text.assemble(line.name.ljust(_NAME_COLUMNS), ("‹ ", muted), value, (" ›", muted))


def _calls(plan: Plan, forecast: StopForecast | None) -> str:
    if forecast is None:
        return f"{plan.calls} calls"
    spread = f"{forecast.fewest} to {forecast.most}" if forecast.fewest < forecast.most else str(forecast.most)
    decided = f" ({len(forecast.settled)} models already decided)" if forecast.settled else ""
    return f"{spread} calls{decided}"


def _stages(scope: Scope) -> str:
    return " and ".join(name for name, wanted in (("answers", scope.answers), ("judgments", scope.judgments)) if wanted)


def _refreshed(scope: Scope, what: str, count: int) -> str:
    return "recreate" if what in scope.refresh else f"keep ({count})"


def _changed(scope: Scope, choice: PlanChoice, step: int) -> Scope:
    """Return the scope with the next (or, with `step` -1, the previous) value of one choice."""
    if choice == "stages":
        answers, judgments = _next(_STAGES, (scope.answers, scope.judgments), step)
        return replace(scope, answers=answers, judgments=judgments)
    if choice == "limit":
        return replace(scope, limit=_next(LIMITS, scope.limit, step))
    if choice == "until":
        from engine.ratings.stop_rule import parse_stop_rule

        rule = _next(tuple(UNTIL), str(scope.until or ""), step)
        return replace(scope, until=parse_stop_rule(rule) if rule else None)
    return replace(scope, refresh=scope.refresh ^ {choice})  # type: ignore[arg-type]  # stale or unparsed


def _next(values: tuple[_ValueT, ...], value: _ValueT, step: int) -> _ValueT:
    at = values.index(value) if value in values else 0
    return values[(at + step) % len(values)]


_CONDITIONS = """\
decided        it is better or worse than 50
decided:MODEL  it is better or worse than another model
equivalent:2   it is within ±2 points, or surely not
ci:2.5         its score is known to ±2.5 points
calls:4000     the run has made 4000 judge calls
minutes:20     the run has lasted 20 minutes
alpha:0.01     wrong decisions: any in at most 1% of runs (5%)
per-model      that level for each model, not for all together

Separate several by commas; empty for none. Questions come in a seeded order, the same for all models; the \
limits hold at every look."""


class TypedRule(NamedTuple):
    """The rule that was typed; None is no rule."""

    rule: StopRule | None


class StopRuleScreen(ModalScreen[TypedRule]):
    """Returns the typed rule, or nothing when cancelled."""

    DEFAULT_CSS = """
    StopRuleScreen {
        Input { background: $panel; }
        #wrong { color: $ink-bad; height: auto; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("apply", priority=True),
        bind("close", "dismiss", title="Cancel", key="escape"),
    ]

    def __init__(self, rule: StopRule | None) -> None:
        super().__init__()
        self._rule = rule

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Stop a model early, when\n", style="bold"))
            yield Input(str(self._rule) if self._rule else "", id="rule", compact=True, select_on_focus=False)
            yield Static(id="wrong")
            yield Static(Text("\n" + _CONDITIONS))
        yield KeyBar(help=False)

    def action_apply(self) -> None:
        from engine.ratings.stop_rule import parse_stop_rule

        text = self.query_one(Input).value.strip()
        try:
            rule = parse_stop_rule(text) if text else None
        except ArenaError as error:
            self.query_one("#wrong", Static).update(Text(f"! {printable(error.title)}"))
            return
        self.dismiss(TypedRule(rule))
