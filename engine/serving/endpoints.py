"""Where a model can be called: at the endpoints that the config names, or at servers that the run starts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import aiohttp

from engine.config.model import Config
from engine.errors import Advice, AdviceKind, CallFailed, FailureKind, StorageError, as_line
from engine.events import EndpointChanged, Event, NoticeLevel, notice, steady_now
from engine.models.client import ModelClient
from engine.models.discover import EndpointReport, probe
from engine.models.endpoint import Endpoint
from engine.serving.listing import EndpointListing, Resolver, resolve

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 1.0  # seconds between two looks at an endpoint that does not answer yet
LOOK_SECONDS = 0.1  # between two looks whether the model is still needed


class ManagedServer(Protocol):
    """A server that is started again when it exits; while it is down it holds the calls of attached clients."""

    def attach(self, client: ModelClient) -> None: ...


@dataclass(frozen=True)
class ModelEndpoints:
    """The endpoints that serve one model, and their reports; empty if none does (the reason was emitted)."""

    endpoints: Sequence[Endpoint] = ()
    servers: Sequence[ManagedServer] = ()
    reports: Sequence[EndpointReport] = ()


@dataclass(frozen=True)
class Demand:
    """What a run asks of a source for one model.

    Attributes:
        needed: whether the model still has work; after a wait it decides whether a server is still started.
        is_early: whether its work can as well begin later (a judge, while answers are made): then a wait has no end.
        waits: called once if endpoints must be waited for.
    """

    needed: Callable[[], bool] = lambda: True
    is_early: Callable[[], bool] = lambda: False
    waits: Callable[[], None] = lambda: None


class EndpointSource(Protocol):
    """Provides the endpoints of models for as long as they are used."""

    def open(self, name: str, demand: Demand) -> AbstractAsyncContextManager[ModelEndpoints]:
        """Provide the endpoints of a model for the length of the block. This may wait for a server."""


class NoEndpoints:
    """An EndpointSource without any endpoint."""

    @asynccontextmanager
    async def open(self, name: str, demand: Demand) -> AsyncIterator[ModelEndpoints]:
        """Provide none."""
        yield ModelEndpoints()


async def probe_endpoints(
    session: aiohttp.ClientSession, config: Config, name: str
) -> tuple[list[Endpoint], list[EndpointReport]]:
    """Return the endpoints of `name` that serve it, and the reports of all."""
    looks = await _look(session, config, name, await EndpointListing(config, name).read())
    return [look.endpoint for look in looks if look.report.ok], [look.report for look in looks]


@dataclass(frozen=True)
class _Look:
    """One endpoint, and what was found there."""

    endpoint: Endpoint
    report: EndpointReport


async def _look(
    session: aiohttp.ClientSession, config: Config, name: str, endpoints: Iterable[Endpoint]
) -> list[_Look]:
    async def look(endpoint: Endpoint) -> _Look:
        limit_field = config.provider(name).max_tokens
        report = await probe(session, endpoint, config.served_name(name), limit_field=limit_field)
        return _Look(replace(endpoint, context=report.max_model_len), report)

    return await asyncio.gather(*map(look, endpoints))


class ConfiguredEndpoints:
    """The endpoints that the config names: probed before the first call, so that a model without any fails once.

    Where nothing listens yet, a server may still be starting: it is waited for, for `wait` seconds if the model has no
    other endpoint, else for as long as the model is called. What waiting cannot mend is reported at once. Where the
    list itself changes (a folder of servers, a name with several addresses), it is read again all the time.
    """

    def __init__(
        self,
        config: Config,
        session: aiohttp.ClientSession,
        emit: Callable[[Event], None],
        *,
        wait: float,
        resolver: Resolver = resolve,
    ) -> None:
        self._config = config
        self._session = session
        self._emit = emit
        self._wait = wait
        self._resolver = resolver

    @asynccontextmanager
    async def open(self, name: str, demand: Demand) -> AsyncIterator[ModelEndpoints]:
        """Yield the endpoints of `name` as soon as one serves it, and report what is wrong with the others."""
        if not demand.needed():
            yield ModelEndpoints()
            return
        if not self._config.models[name].endpoints:
            self._emit(notice("error", f"{name}: has work, but its config entry has no endpoint and no [serve]"))
            yield ModelEndpoints()
            return
        listing = EndpointListing(self._config, name, self._resolver)
        search = _Search(name, listing, self._config, self._session, self._emit, self._wait)
        await search.first(demand)
        is_followed = search.ready and (search.pending or listing.changes)
        following = asyncio.create_task(search.follow()) if is_followed else None
        try:
            endpoints = [*search.ready, *search.pending] if search.ready else []
            yield ModelEndpoints(endpoints, [search], search.reports)
        finally:
            if following is not None:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)


class _Search:
    """Finds the endpoints of one model; a ManagedServer, as it holds calls to those that answer only later.

    `ready` serve the model, `pending` may do so later; `reports` are those of `ready`.
    """

    def __init__(
        self,
        name: str,
        listing: EndpointListing,
        config: Config,
        session: aiohttp.ClientSession,
        emit: Callable[[Event], None],
        wait: float,
    ) -> None:
        self.ready: list[Endpoint] = []
        self.pending: list[Endpoint] = []
        self.reports: list[EndpointReport] = []
        self._name = name
        self._listing = listing
        self._listed: dict[str, Endpoint] = {}  # by address
        self._gone: set[str] = set()  # addresses that are no longer listed
        self._config = config
        self._session = session
        self._emit = emit
        self._wait = wait
        self._clients: list[ModelClient] = []
        self._now = asyncio.get_running_loop().time
        self._started = self._alone_since = self._now()
        self._announced: set[str] = set()  # addresses that are waited for
        self._reported: dict[str, tuple[str, float | None]] = {}  # why, and until when
        self._began = steady_now()

    def attach(self, client: ModelClient) -> None:
        """Hold the calls of `client` to endpoints that do not answer yet."""
        self._clients.append(client)
        for endpoint in self.pending:
            client.hold(endpoint.address)

    async def first(self, demand: Demand) -> None:
        """Wait until one endpoint serves the model; none does when waiting is over or of no use."""
        pause, deadline = FIRST_PAUSE, None
        while True:
            was_early = demand.is_early()
            await self._read_list()
            looks = await _look(self._session, self._config, self._name, self.pending)
            if deadline is None and not was_early:
                deadline = self._now() + self._wait
            is_over = deadline is not None and self._now() >= deadline
            self._take_ready(looks, even_doubtful=is_over)
            hopeful = any(look.report.may_pass for look in looks) or self._lists_none
            if not demand.needed():
                return
            if self.ready or (not was_early and (is_over or not hopeful)):
                self._close(looks, is_over=is_over and not self.ready)
                return
            self._announce(looks, is_early=was_early)
            self._report_waiting(looks, deadline)
            if self._lists_none and "" not in self._announced:
                self._announced.add("")
                until = f"until {self._wait:.0f} s after the last answer" if was_early else f"up to {self._wait:.0f} s"
                self._emit(notice("warning", as_line(self._none_listed(), f"waiting {until}")))
            demand.waits()
            if was_early and not hopeful:  # a server with another model there may be exchanged for the judge's
                await self._sleep(math.inf, demand, was_early=True)
            else:
                end = self._now() + pause
                await self._sleep(end if deadline is None else min(end, deadline), demand, was_early=was_early)
                pause = min(LONGEST_PAUSE, 1.5 * pause)

    async def _sleep(self, end: float, demand: Demand, *, was_early: bool) -> None:
        """Sleep until `end`, but no longer than the demand stays as it is."""
        while (left := end - self._now()) > 0:
            if not demand.needed() or demand.is_early() != was_early:
                return
            await asyncio.sleep(min(LOOK_SECONDS, left))

    async def follow(self) -> None:
        """Take in endpoints that answer or are listed later, until all have been found or given up."""
        pause = FIRST_PAUSE
        while self.pending or self._listing.changes:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 1.5 * pause)
            await self._read_list()
            looks = await _look(self._session, self._config, self._name, self.pending)
            if self._listing.changes and self._has_other():
                self._alone_since = self._now()
            is_over = self._now() - self._alone_since >= self._wait and not self._has_other()
            found = self._take_ready(looks, even_doubtful=is_over)
            failed = self._close([look for look in looks if look.endpoint.address not in found], is_over=is_over)
            if is_over and not found:
                why = CallFailed(FailureKind.CONNECTION, f"no server for {self._wait:.0f} s", attempts=0)
                failed |= dict.fromkeys(self._gone, why)
            for client in self._clients:
                for endpoint in self.ready:
                    if endpoint.address in found:
                        client.add(endpoint)
                for address, why in failed.items():
                    client.disable(address, why)

    async def _read_list(self) -> None:
        """Take in what is listed now; hold the calls to endpoints that no longer are."""
        try:
            listed = {endpoint.address: endpoint for endpoint in await self._listing.read()}
        except StorageError as error:
            if error.title not in self._announced:
                self._announced.add(error.title)
                self._emit(notice("warning", as_line(f"{self._name}: {error.title}", error.hint)))
            return
        self.pending += [endpoint for address, endpoint in listed.items() if address not in self._listed]
        for address in self._listed.keys() - listed:
            self._gone.add(address)
            self._reported.pop(address, None)
            self._emit(EndpointChanged(self._name, address, "waiting", steady_now(), "no longer listed"))
            self._emit(notice("info", f"{self._name}: {address}: no longer listed; its calls go to other servers"))
            for client in self._clients:
                client.hold(address)
        self._gone -= listed.keys()
        self.pending = [endpoint for endpoint in self.pending if endpoint.address not in self._gone]
        self.ready = [endpoint for endpoint in self.ready if endpoint.address not in self._gone]
        self._listed = listed

    @property
    def _lists_none(self) -> bool:
        return self._listing.folder is not None and not self._listed

    def _none_listed(self) -> str:
        served = self._config.served_name(self._name)
        return f"{self._name}: no server of {served!r} is registered in {self._listing.folder}"

    def _has_other(self) -> bool:
        """Return whether the model can be called at an endpoint that is not waited for."""
        waiting = {endpoint.address for endpoint in self.pending} | self._gone
        return any(
            not status.disabled and status.endpoint not in waiting
            for client in self._clients
            for status in client.status()
        )

    def _take_ready(self, looks: Iterable[_Look], *, even_doubtful: bool) -> set[str]:
        """Move what serves the model to `ready`; return the addresses."""
        found = set()
        for look in looks:
            report, address = look.report, look.endpoint.address
            if not report.ok or (report.may_pass and not even_doubtful):
                continue
            found.add(address)
            if self._reported.pop(address, None):
                self._emit(EndpointChanged(self._name, address, "ready", steady_now()))
            self.ready.append(look.endpoint)
            self.reports.append(report)
            if report.warning:
                self._emit(notice("warning", f"{self._name}: {report.url}: {report.warning}"))
            elif address in self._announced:
                self._emit(notice("info", f"{self._name}: {report.url}: ready after {self._waited():.0f} s"))
        self.pending = [endpoint for endpoint in self.pending if endpoint.address not in found]
        return found

    def _close(self, looks: Iterable[_Look], *, is_over: bool) -> dict[str, CallFailed]:
        """Report what is wrong where the model is not served, and stop waiting where that is of no use."""
        failed = {}
        if self._lists_none and not self.ready and not self._clients:
            hint = Advice("start one that registers there", AdviceKind.REGISTER, values=(self._name, "FOLDER"))
            self._emit(notice("error", as_line(f"{self._none_listed()} (waited {self._waited():.0f} s)", hint)))
        for look in looks:
            report, address = look.report, look.endpoint.address
            if address not in {endpoint.address for endpoint in self.pending}:
                continue
            if report.may_pass and not is_over and self.ready:
                self._announce([look], is_early=False)
                self._report_waiting([look], None if self._has_other() else self._started + self._wait)
                continue
            level: NoticeLevel = "warning" if self.ready else "error"
            waited = f" (waited {self._waited():.0f} s)" if report.may_pass and address in self._announced else ""
            error = f"{self._name}: {report.url}: {as_line(report.error)}{waited}"
            self._emit(notice(level, as_line(error, report.hint)))
            failed[address] = CallFailed(FailureKind.CONNECTION, report.error, attempts=0, hint=report.hint)
            self._emit(EndpointChanged(self._name, address, "disabled", steady_now(), as_line(report.error)))
        self.pending = [endpoint for endpoint in self.pending if endpoint.address not in failed]
        return failed

    def _announce(self, looks: Iterable[_Look], *, is_early: bool) -> None:
        for look in looks:
            report, address = look.report, look.endpoint.address
            if address in self._announced:
                continue
            self._announced.add(address)
            if self.ready:
                rest = "it is used as soon as it answers"
            elif not report.may_pass:
                rest = "probed again when all answers are made"
            elif is_early:
                rest = f"waiting for it until {self._wait:.0f} s after the last answer"
            else:
                rest = f"waiting up to {self._wait:.0f} s for it"
            why = f"{self._name}: {report.url}: {report.error or report.warning}"
            self._emit(notice("warning", as_line(why, report.hint or "start it", rest)))

    def _report_waiting(self, looks: Iterable[_Look], deadline: float | None) -> None:
        """Report each endpoint that is waited for, with the end of the wait by the clock of the loop."""
        for look in looks:
            address, why = look.endpoint.address, as_line(look.report.error or look.report.warning)
            if self._reported.get(address) == (why, deadline) or address not in {each.address for each in self.pending}:
                continue
            self._reported[address] = why, deadline
            until = None if deadline is None else steady_now() + deadline - self._now()
            self._emit(EndpointChanged(self._name, address, "waiting", self._began, why, until))

    def _waited(self) -> float:
        return self._now() - self._started
