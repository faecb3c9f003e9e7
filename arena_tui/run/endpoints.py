"""The endpoint table: one line for each model at each endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from rich.text import Text

from arena_tui.safe_text import clip, one_line, text_width
from arena_tui.session.arena_session import ArenaSession
from arena_tui.session.run_watch import Speed, SpeedGauge, stage_words
from arena_tui.theme import inks
from arena_tui.widgets.columns import Column, Columns, percent, short_number, short_seconds
from arena_tui.widgets.virtual_list import VirtualList
from engine.events import EndpointStatus
from engine.work.progress import EndpointKey, EndpointState, RunState, ServerNumbers

_IN_USE, _DOWN, _DISABLED = "", "down", "disabled"
_SERVER_HEALTH = {"ready": _IN_USE, "failed": _DISABLED}
_NO_TRAFFIC = EndpointState()
LOADING = "loading: reading the config and the bench ..."


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
    from engine.serving.listing import endpoints_of

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
    known = {row.key for row in rows}
    rows += [row for row in _found_rows(session, state, gauge, statuses) if row.key not in known]
    return sorted(rows, key=lambda row: (not row.traffic.in_flight, not row.traffic.calls))


def _found_rows(
    session: ArenaSession,
    state: RunState,
    gauge: SpeedGauge | None,
    statuses: Mapping[EndpointKey, EndpointStatus],
) -> Iterator[EndpointRow]:
    """Yield the endpoints that were found while the run lasts: in a folder of servers, or behind a name."""
    for key, status in statuses.items():
        outage = state.outages.get(key)
        yield EndpointRow(
            key,
            state.endpoints.get(key, _NO_TRAFFIC),
            status.limit,
            status.parallel,
            gauge.endpoint(key) if gauge else Speed(),
            session.watch.latency(*key),
            state.server_numbers.get(key),
            outage.condition if outage else _DISABLED if status.disabled else _DOWN if status.is_down else _IN_USE,
            outage.why if outage else status.disabled,
        )


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
            empty=LOADING,
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
