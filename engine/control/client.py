"""A run of another process: its state by the same reducer, and orders to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.bench.layout import BenchPaths
from engine.control import socket_file, wire
from engine.control.wire import Answer, Attach, Conditions, Greeting, Happened, Order, RunSnapshot, SetLimits
from engine.errors import UsageProblem
from engine.events import EndpointStatus, Event
from engine.work.progress import RunState
from engine.work.reducer import fold

REPLY_SECONDS = 10.0  # for the first snapshot: the loop of a busy run answers within one


class RunUnreachable(UsageProblem):
    """A bench has a run, but this process cannot attach to it."""


class RemoteRun:
    """A run of another process. `attach` opens it, `follow` keeps its state up to date until it ends.

    `state` and `status` are those of the run as last heard; `greeting` says whose run it is. Orders are sent and not
    waited for; `on_refusal` is called with the reason why one was refused.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, controls: bool) -> None:
        self.greeting = Greeting(wire.PROTOCOL, "", "", "", 0, "", 0.0)
        self.state = RunState()
        self.conditions = Conditions()
        self.controls = controls
        self.on_refusal: Callable[[str], None] = lambda _: None
        self._reader = reader
        self._writer = writer
        self._listeners: list[Callable[[Event], None]] = []
        self._past: list[Event] = []  # behind the log, until something listens
        self._is_complete = False
        self._number = 0  # of the last event
        self._orders = 0

    @classmethod
    async def attach(cls, paths: BenchPaths, *, control: bool) -> RemoteRun:
        """Attach to the run of a bench; with `control`, orders can be given. Raises RunUnreachable."""
        try:
            connection = await asyncio.to_thread(socket_file.connect, paths)
        except OSError as error:
            raise RunUnreachable(
                f"cannot attach to the run of {paths.name}: {error.strerror or error}",
                "only its own user can, on its own machine, while it runs",
            ) from None
        connection.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=wire.LONGEST_LINE)
        run = cls(reader, writer, controls=control)
        try:
            run._send(Attach(control))
            async with asyncio.timeout(REPLY_SECONDS):
                await run._open(paths)
        except BaseException as error:
            writer.close()
            if isinstance(error, TimeoutError | OSError | ValueError | msgspec.MsgspecError):
                raise RunUnreachable(f"the run of {paths.name} does not answer", "it may just be ending") from None
            raise
        return run

    @property
    def id(self) -> str:
        return self.greeting.run

    @property
    def status(self) -> wire.RunStatus:
        return self.conditions.status

    @property
    def retries_failed(self) -> bool:
        """Whether another run follows for what fails in this one; setting it orders so, or takes it back."""
        return self.conditions.retries_failed

    @retries_failed.setter
    def retries_failed(self, wanted: bool) -> None:
        if wanted != self.retries_failed:
            self._order("retry" if wanted else "no retry")

    @property
    def has_ended(self) -> bool:
        return self.state.phase in ("done", "failed", "interrupted")

    def endpoint_statuses(self) -> Mapping[str, Sequence[EndpointStatus]]:
        return self.conditions.endpoints

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with the events behind the log so far, as far as the run keeps them, and with every later
        one; those of a time in which this process read too slowly are left out."""
        self._listeners.append(listener)
        past, self._past = self._past, []
        for event in past:
            listener(event)

    async def follow(self) -> None:
        """Keep the state up to date until the run ends or is gone; `has_ended` says which."""
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
            while (message := await self._read()) is not None:
                self._take(message)
        self.close()

    def close(self) -> None:
        """Detach; the run goes on."""
        self._writer.close()

    def take_control(self) -> None:
        """Give orders from now on."""
        self.controls = True
        self._send(Attach(control=True))

    def pause(self) -> None:
        self._order("pause")

    def resume(self) -> None:
        self._order("resume")

    def stop(self) -> None:
        self._order("stop")

    def abort(self) -> None:
        self._order("abort")

    def set_limits(self, model: str, parallel: int, rate: float | None) -> None:
        self._orders += 1
        self._send(SetLimits(self._orders, model, parallel, rate))

    # -- inside

    async def _open(self, paths: BenchPaths) -> None:
        """Read the greeting, the first snapshot and the conditions. Raises ValueError at the end of the connection."""
        self._take(await self._next())
        greeting = self.greeting
        if greeting.protocol != wire.PROTOCOL:
            raise RunUnreachable(
                f"the run of {paths.name} is of arena-tui {greeting.version}, which speaks another protocol",
                "attach with the same version",
            )
        while not self._is_complete:
            self._take(await self._next())

    async def _next(self) -> wire.Message:
        message = await self._read()
        if message is None:
            raise ValueError("the connection has ended")
        return message

    async def _read(self) -> wire.Message | None:
        line = await self._reader.readline()
        return wire.decode_message.decode(line) if line else None

    def _take(self, message: wire.Message) -> None:
        match message:
            case Happened():
                events = wire.decode_events(message.events)
                self.state = fold(self.state, events)
                for event in events:
                    self._pass_on(event)
                self._number = message.number
            case RunSnapshot():
                self.state = wire.decode_state(message.state)
                for number, logged in message.recent:
                    if number > self._number:
                        self._pass_on(wire.decode_event(logged))
                self._number = message.number
            case Conditions():
                self.conditions = message
                self._is_complete = True  # the run sends them after the snapshot
            case Answer():
                if message.problem:
                    self.on_refusal(message.problem)
            case Greeting():
                self.greeting = message

    def _pass_on(self, event: Event) -> None:
        if not self._listeners:
            self._past.append(event)
        for listener in self._listeners:
            listener(event)

    def _order(self, action: wire.Action) -> None:
        self._orders += 1
        self._send(Order(self._orders, action))

    def _send(self, message: wire.Request) -> None:
        if not self._writer.is_closing():
            self._writer.write(wire.encode(message) + b"\n")
