"""The dialog with the figures of an endpoint, which changes the limits of its model."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from arena_tui.keys import bind
from arena_tui.run.endpoints import EndpointRow
from arena_tui.safe_text import one_line
from arena_tui.session.arena_session import ArenaSession
from arena_tui.widgets.columns import percent, short_seconds
from arena_tui.widgets.dialogs import Facts, facts_text
from arena_tui.widgets.lines import KeyBar

_MOST_PARALLEL = 100_000


class EndpointScreen(ModalScreen[None]):
    """Enter applies both limits to every endpoint of the model, Escape cancels."""

    DEFAULT_CSS = """
    EndpointScreen {
        Horizontal { height: 1; margin-top: 1; }
        Label { width: 34; }
        Input { width: 16; background: $panel; }
        #wrong { color: $ink-bad; height: auto; margin-top: 1; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("close", "dismiss", title="Cancel", key="escape"),
        bind("apply", priority=True),
        bind("next_list", "app.focus_next", title="Next field", show=False),
        bind("down", "app.focus_next", title="Next field", key="down", show=False),
        bind("up", "app.focus_previous", title="Field before", key="up", show=False),
    ]

    def __init__(self, session: ArenaSession, row: EndpointRow) -> None:
        super().__init__()
        self._session = session
        self._row = row
        self._entry = session.config.models[row.key[0]]

    def compose(self) -> ComposeResult:
        rate = "" if self._entry.rate is None else f"{self._entry.rate:g}"
        with Vertical(classes="dialog"):
            yield Static(Text(one_line(self._row.key[0]), style="bold"))
            yield Static(facts_text(_facts(self._row)))
            with Horizontal():
                yield Label("Calls in flight at each endpoint")
                yield Input(str(self._entry.parallel), id="parallel", compact=True)
            with Horizontal():
                yield Label("Calls started per second")
                yield Input(rate, placeholder="no limit", id="rate", compact=True)
            yield Static(id="wrong")
        yield KeyBar(help=False)

    def action_apply(self) -> None:
        wrong = self.query_one("#wrong", Static)
        parallel, rate = (self.query_one(name, Input).value.strip() for name in ("#parallel", "#rate"))
        if not parallel.isdecimal() or not 1 <= int(parallel) <= _MOST_PARALLEL:
            wrong.update(Text(f"! calls in flight: a whole number from 1 to {_MOST_PARALLEL}"))
            return
        try:
            per_second = float(rate) if rate else None
        except ValueError:
            per_second = -1.0
        if per_second is not None and not 0 < per_second < float("inf"):
            wrong.update(Text("! calls per second: a number above 0, or empty for no limit"))
            return
        name = self._row.key[0]
        self._session.set_limits(name, int(parallel), per_second)
        self._session.watch.note("info", f"{name}: parallel is {parallel}, rate is {rate or 'unlimited'} from now on")
        self.dismiss()


def _facts(row: EndpointRow) -> Facts:
    traffic = row.traffic
    facts = [
        ("address", row.key[1]),
        ("state", row.stage or row.health or ("busy" if traffic.in_flight else "idle")),
        ("calls", f"{traffic.calls}, {traffic.errors} failed, {traffic.retries} retried"),
        ("in flight", f"{traffic.in_flight} of at most {row.limit} (config: {row.parallel})"),
        (
            "tokens",
            f"{traffic.prompt_tokens} read ({traffic.cached_tokens} cached), {traffic.completion_tokens} generated",
        ),
    ]
    if row.why:
        facts.append(("reason", row.why))
    if row.latency:
        facts.append(("seconds a call", f"{short_seconds(row.latency[0])} median, {short_seconds(row.latency[1])} p95"))
    if row.server is not None:
        now = row.server.now
        facts += [
            ("vLLM", f"{now.running} running, {now.waiting} waiting, {now.preemptions} preempted"),
            ("KV cache", f"{percent(now.kv_cache_usage)} in use"),
            ("prefix cache", f"{percent(row.server.prefix_hit_rate)} of prompt tokens since this run started"),
        ]
        if (first := now.first_token_seconds.quantile(0.5)) is not None:
            facts.append(("first token", f"{short_seconds(first)} median"))
    return facts
