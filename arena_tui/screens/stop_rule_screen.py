"""The stop rule of a run, typed: what `--until` takes, with what each condition means beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from arena_tui.safe_text import printable
from arena_tui.widgets.key_bar import KeyBar
from engine.errors import ArenaError

if TYPE_CHECKING:
    from engine.ratings.stop_rule import StopRule

_CONDITIONS = """\
decided        known to be better or worse than 50
decided:MODEL  than another model
ci:2.5         its score is known to within 2.5 points
calls:4000     the run has made so many judge calls
minutes:20     the run has lasted so long

Join several by commas; nothing asks every question. Questions come in a seeded order, the same for all models, and \
nothing is decided on fewer than 30. The limits hold although one looks all the time."""


class TypedRule(NamedTuple):
    """What was typed; None is no rule."""

    rule: StopRule | None


class StopRuleScreen(ModalScreen[TypedRule]):
    """Gives the rule, or nothing when it is left as it was."""

    DEFAULT_CSS = """
    StopRuleScreen {
        Input { background: $panel; }
        #wrong { color: $ink-bad; height: auto; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "apply", "Apply", priority=True),
        Binding("escape", "dismiss", "Leave as it is"),
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
            self.query_one("#wrong", Static).update(Text(f"! {printable(error.title.removeprefix('--until '))}"))
            return
        self.dismiss(TypedRule(rule))
