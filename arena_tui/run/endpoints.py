"""The endpoint table: one line for each model at each endpoint; and the dialog that changes an endpoint's limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from arena_tui.keys import bind
from arena_tui.safe_text import clip, one_line, text_width
from arena_tui.session.arena_session import ArenaSession
from arena_tui.session.run_watch import Speed, SpeedGauge, stage_words
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns, percent, short_number, short_seconds
from arena_tui.widgets.dialogs import Facts, facts_text
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.virtual_list import VirtualList
from engine.events import EndpointStatus
from engine.work.progress import EndpointKey, EndpointState, RunState, ServerNumbers

_IN_USE, _DOWN, _DISABLED = "", "down", "disabled"
_SERVER_HEALTH = {"ready": _IN_USE, "failed": _DISABLED}
_NO_TRAFFIC = EndpointState()


class EndpointRow(msgspec.Struct, frozen=True):
    """One model at one endpoint. `limit` is the current limit of calls in flight, `parallel` the configured one."""

    key: EndpointKey
    traffic: EndpointState
    limit: int
    parallel: int
    speed: Speed = Speed()
    latency: tuple[float, float] | None = None
    server: ServerNumbers | None = None
    health: str = _IN_USE
    why: str = ""  # it is disabled
    stage: str = ""  # of a server that starts


def endpoint_rows(session: ArenaSession, state: RunState, gauge: SpeedGauge | None) -> list[EndpointRow]:
    """Return the endpoints of the config with what a run has measured, busy ones first; none before the plan."""
    if session.plan is None:
        return []
    from engine.serving.endpoints import endpoints_of

    called = session.run.endpoint_statuses() if session.run is not None else {}
    statuses = {(name, status.endpoint): status for name, found in called.items() for status in found}
    rows = []
    for name, entry in session.config.models.items():
        for endpoint in endpoints_of(session.config, name):
            key = name, endpoint.address
            server = state.server_numbers.get(key)
            latency = session.watch.latency(*key) or (server.latency() if server else None)
            status = statuses.get(key)
            outage = state.outages.get(key)
            health = _IN_USE
            if outage is not None:
                health = outage.condition
            elif status is not None:
                health = _DISABLED if status.disabled else _DOWN if status.is_down else _IN_USE
            rows.append(
                EndpointRow(
                    key,
                    state.endpoints.get(key, _NO_TRAFFIC),
                    status.limit if status else entry.parallel,
                    entry.parallel,
                    gauge.endpoint(key) if gauge else Speed(),
                    latency,
                    server,
                    health,
                    outage.why if outage else status.disabled if status else "",
                )
            )
    known = {row.key for row in rows}
    rows += [row for row in _server_rows(session, state, gauge, statuses) if row.key not in known]
    return sorted(rows, key=lambda row: (not row.traffic.in_flight, not row.traffic.calls))


def _server_rows(
    session: ArenaSession,
    state: RunState,
    gauge: SpeedGauge | None,
    statuses: Mapping[EndpointKey, EndpointStatus],
) -> Iterator[EndpointRow]:
    """Yield the models at the servers that the run starts."""
    for server in state.servers.values():
        for name in server.models:
            key = name, server.address
            status = statuses.get(key)
            parallel = session.config.models[name].parallel if name in session.config.models else 0
            yield EndpointRow(
                key,
                state.endpoints.get(key, _NO_TRAFFIC),
                status.limit if status else parallel,
                parallel,
                gauge.endpoint(key) if gauge else Speed(),
                session.watch.latency(*key),
                state.server_numbers.get(key),
                _SERVER_HEALTH.get(server.status, server.status),
                why=server.detail,
                stage=stage_words(server) if server.status in ("starting", "waiting") else "",
            )


class EndpointTable(VirtualList[EndpointRow]):
    """The endpoints; Enter opens the details of one and the dialog for its limits."""

    def __init__(self) -> None:
        self._columns = Columns(
            [
                Column(
                    "endpoint of",
                    lambda row, _: one_line(row.key[0]),
                    width=None,
                    least=12,
                    most=32,
                    middle=True,
                    need=10,
                ),
                Column("at", lambda row, _: _place(row.key[1]), width=21, middle=True, need=1),
                Column("busy", lambda row, _: f"{row.traffic.in_flight}/{row.limit}", width=7, right=True, need=9),
                Column("waiting", lambda row, _: _waiting(row), width=7, right=True, need=6),
                Column(
                    "KV",
                    lambda row, _: percent(_cache_use(row)),
                    width=4,
                    right=True,
                    need=5,
                ),
                Column(
                    "prefix",
                    lambda row, _: percent(_prefix_hits(row)),
                    width=6,
                    right=True,
                    need=4,
                ),
                Column(
                    "p50", lambda row, _: short_seconds(row.latency and row.latency[0]), width=5, right=True, need=7
                ),
                Column(
                    "p95", lambda row, _: short_seconds(row.latency and row.latency[1]), width=5, right=True, need=7
                ),
                Column("calls/s", lambda row, _: _speed(row.speed.calls), width=7, right=True, need=3),
                Column("tok/s", lambda row, _: _speed(row.speed.tokens), width=5, right=True, need=2),
                Column("state", self._health, width=20, narrow=9, need=8),
            ]
        )
        super().__init__(
            self._columns.row,
            key=lambda row: row.key,
            header=self._columns.header,
            empty="reading the config and the bench ...",
            follow_top=True,
            id="endpoints",
        )

    def _health(self, row: EndpointRow, width: int) -> Text:
        ink = inks(self.app)
        if row.health:
            has_room = text_width(row.stage) <= width
            return Text(
                clip(row.stage if row.stage and has_room else row.health, width),
                ink.bad if row.health == _DISABLED else ink.warning,
            )
        if row.traffic.in_flight and row.limit < row.parallel:
            return Text("throttled", ink.warning)  # by its 429 replies
        return Text("busy" if row.traffic.in_flight else "", ink.muted)


def _place(address: str) -> str:
    return one_line(address.partition("://")[2].removesuffix("/v1"))


def _cache_use(row: EndpointRow) -> float | None:
    return row.server.now.kv_cache_usage if row.server else None


def _prefix_hits(row: EndpointRow) -> float | None:
    return row.server.prefix_hit_rate if row.server else None


def _speed(per_second: float) -> str:
    return short_number(per_second) if per_second else ""


def _waiting(row: EndpointRow) -> str:
    return "-" if row.server is None else str(row.server.now.waiting)


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
