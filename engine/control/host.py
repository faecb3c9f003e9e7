"""The side of the run: listens while the bench is locked, shows the run to who attaches, and carries out their orders.

Nothing that another process does may cost the run time or memory. Events are sent in batches, encoded once for all. Who
reads too slowly misses events and gets a snapshot instead; who sends anything but short, known lines is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import msgspec

from engine.bench import Bench
from engine.config.model import Config
from engine.control import socket_file, wire
from engine.control.wire import Answer, Attach, Conditions, Greeting, Happened, Order, RunSnapshot, SetLimits
from engine.errors import ArenaError
from engine.events import (
    EndpointStatus,
    Event,
    Notice,
    RecordFailed,
    RunEnded,
    ServerChanged,
    StageStarted,
    StandingChanged,
    StopRuleSet,
    notice,
    steady_now,
)
from engine.version import __version__
from engine.work.progress import RunState, run_speed

BATCH_SECONDS = 0.1
SPEED_SECONDS, SPEED_WINDOW = 2.0, 60.0
GREETING_SECONDS = 10.0  # for the first message of who connects
ORDER_SECONDS = 0.02  # between two orders of one connection
GOODBYE_SECONDS = 0.5  # at the end, for who has not read all yet
MOST_PARALLEL = 100_000  # of an order
MOST_PEERS = 16
MOST_UNSENT = 1 << 20  # bytes that one connection has not read yet
KEPT_RECENT = 400  # events behind the log of who attaches
_LOGGED = frozenset((Notice, RecordFailed, ServerChanged, StageStarted, StandingChanged, StopRuleSet, RunEnded))


class ShownRun(Protocol):
    """What a `RunHost` needs of a run."""

    id: str
    config: Config
    bench: Bench
    log: Path | None
    retries_failed: bool

    @property
    def state(self) -> RunState: ...
    @property
    def status(self) -> wire.RunStatus: ...
    def endpoint_statuses(self) -> Mapping[str, Sequence[EndpointStatus]]: ...
    def listen(self, listener: Callable[[Event], None]) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def abort(self) -> None: ...
    def set_limits(self, model: str, parallel: int, rate: float | None) -> None: ...


class _Peer:
    """One attached process."""

    def __init__(self, writer: asyncio.StreamWriter, controls: bool) -> None:
        self.controls = controls
        self.is_behind = True  # and gets a snapshot next
        self.seen: Conditions | None = None
        self._writer = writer

    @property
    def unsent(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    async def close(self) -> None:
        """Close the connection once everything was sent."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def send(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)


class RunHost:
    """Shows a run to other processes of its user, as an async context manager inside the lock of the bench.

    A bench whose folder takes no socket is run all the same: `problem` says why it is not shown.
    """

    def __init__(self, run: ShownRun) -> None:
        self._run = run
        self._started = steady_now()
        self._listening: tuple[socket.socket, Path] | None = None
        self._peers: list[_Peer] = []
        self._joined = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0  # of the last event
        self._batch: list[Event] = []
        self._recent: deque[tuple[int, Event]] = deque(maxlen=KEPT_RECENT)
        self._states: deque[tuple[float, RunState]] = deque([(steady_now(), run.state)])
        self.problem = ""

    async def __aenter__(self) -> RunHost:
        try:
            self._listening = socket_file.listen(self._run.bench.paths)
        except OSError as error:
            self.problem = f"{error.filename or self._run.bench.paths.root}: {error.strerror or error}"
            return self
        self._run.listen(self._take)
        self._begin(self._accept(self._listening[0]))
        self._begin(self._send_forever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is None:
            return
        if isinstance(raised, Exception):
            text = str(raised) if isinstance(raised, ArenaError) else f"bug in arena-tui: {raised!r}"
            self._take(notice("error", text))
            self._take(RunEnded("failed", steady_now()))
        self._send()
        if self._peers:
            await asyncio.wait([asyncio.create_task(peer.close()) for peer in self._peers], timeout=GOODBYE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        listening, file = self._listening
        socket_file.remove(file, listening)

    def unsent(self) -> int:
        """Return how many bytes wait for who is attached."""
        return sum(peer.unsent for peer in self._peers)

    # -- events

    def _take(self, event: Event) -> None:
        self._number += 1
        if type(event) in _LOGGED:  # called for every event of a run
            self._recent.append((self._number, event))
        if self._peers:
            self._batch.append(event)

    async def _send_forever(self) -> None:
        """Send batches while a process is attached, and note the state every few seconds for the speed."""
        while True:
            now = steady_now()
            if now - self._states[-1][0] >= SPEED_SECONDS:
                self._states.append((now, self._run.state))
                while now - self._states[0][0] > SPEED_WINDOW:
                    self._states.popleft()
            if self._peers:
                await asyncio.sleep(BATCH_SECONDS)
                self._send()
            else:
                self._joined.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._joined.wait(), SPEED_SECONDS)

    def _send(self) -> None:
        batch, self._batch = self._batch, []
        events = _line(Happened(self._number, wire.encode_events(batch))) if batch else b""
        conditions, snapshot = self._conditions(), b""
        for peer in self._peers:
            if peer.unsent > MOST_UNSENT:
                peer.is_behind = True
            elif not peer.is_behind:
                peer.send(events)
            elif not peer.unsent:
                snapshot = snapshot or self._snapshot()
                peer.send(snapshot)
                peer.is_behind = False
            if not peer.is_behind and peer.seen != conditions:
                peer.seen = conditions
                peer.send(_line(conditions))

    def _snapshot(self) -> bytes:
        recent = list(self._recent)
        events = [(number, wire.encode_event(event)) for number, event in recent]
        return _line(RunSnapshot(self._number, wire.encode_state(self._run.state), events))

    def _conditions(self) -> Conditions:
        run = self._run
        (then, before), (now, after) = self._states[0], self._states[-1]
        return Conditions(
            run.status,
            str(run.log or ""),
            run.retries_failed,
            {name: (entry.parallel, entry.rate) for name, entry in run.config.models.items()},
            {name: tuple(statuses) for name, statuses in run.endpoint_statuses().items()},
            run_speed(before, after, now - then),
        )

    # -- connections

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:  # no descriptor is left, or the other side is gone already
                await asyncio.sleep(1.0)
                continue
            if len(self._tasks) >= MOST_PEERS + 2 or not socket_file.is_trusted(connection):
                connection.close()
            else:
                connection.setblocking(False)
                self._begin(self._attend(connection))

    async def _attend(self, connection: socket.socket) -> None:
        """Show the run to one connection and carry out its orders, until it ends or sends what is none."""
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=wire.LONGEST_ORDER)
        peer = None
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                first = await _read(reader)
            if not isinstance(first, Attach):
                return
            writer.write(_line(self._greeting()))
            if first.protocol != wire.PROTOCOL:
                return
            peer = _Peer(writer, first.control)
            self._peers.append(peer)
            self._joined.set()
            self._send()
            while (request := await _read(reader)) is not None:
                if isinstance(request, Attach):
                    peer.controls = request.control
                else:
                    peer.send(_line(Answer(request.number, self._carry_out(peer, request))))
                    self._send()
                await asyncio.sleep(ORDER_SECONDS)
        except (OSError, ValueError, TimeoutError, msgspec.MsgspecError):
            pass  # gone, or not one of ours
        finally:
            if peer is not None:
                self._peers.remove(peer)
            writer.transport.abort() if writer.is_closing() else writer.close()

    def _greeting(self) -> Greeting:
        run = self._run
        return Greeting(
            wire.PROTOCOL, __version__, run.bench.name, run.id, os.getpid(), socket.gethostname(), self._started
        )

    def _carry_out(self, peer: _Peer, request: Order | SetLimits) -> str:
        """Do what was ordered; return why not, or nothing."""
        run = self._run
        if not peer.controls:
            return "this connection only reads"
        if isinstance(request, SetLimits):
            return _set_limits(run, request)
        match request.action:
            case "pause":
                run.pause()
            case "resume":
                run.resume()
            case "stop":
                run.stop()
            case "abort":
                run.abort()
            case "retry" | "no retry":
                run.retries_failed = request.action == "retry"
        return ""


def _set_limits(run: ShownRun, request: SetLimits) -> str:
    if request.model not in run.config.models:
        return f"no model {request.model!r} in the config of the run"
    if not 1 <= request.parallel <= MOST_PARALLEL:
        return f"calls in flight: a number from 1 to {MOST_PARALLEL}"
    if request.rate is not None and not 0 < request.rate < float("inf"):
        return "calls per second: a number above 0"
    run.set_limits(request.model, request.parallel, request.rate)
    return ""


async def _read(reader: asyncio.StreamReader) -> wire.Request | None:
    """Return the next message, None at the end. Raises ValueError for a line that is too long, or no message."""
    line = await reader.readline()
    return wire.decode_request.decode(line) if line else None


def _line(message: wire.Message) -> bytes:
    return wire.encode(message) + b"\n"
