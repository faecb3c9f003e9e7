"""A run that other processes attach to: what they see, what they may do, and what none of them can do to it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from desk import Desk

from engine.bench import Bench
from engine.config.load import parse_config
from engine.control import socket_file, wire
from engine.control.client import RemoteRun, RunUnreachable
from engine.control.host import MOST_UNSENT, RunHost
from engine.errors import Advice, AdviceKind
from engine.events import (
    CallEnded,
    CallRetried,
    CallStarted,
    EndpointChanged,
    Event,
    Histogram,
    RecordFailed,
    RecordSaved,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    ServerChanged,
    ServerSeen,
    StageEnded,
    StageStarted,
    StandingChanged,
    StopRuleSet,
    TaskKey,
    TaskPlanned,
    TaskStopped,
    VllmMetrics,
    notice,
)
from engine.ratings.stop_rule import Standing
from engine.records import Usage
from engine.run import Run
from engine.work.progress import RunState
from engine.work.reducer import reduce

TASK = TaskKey("judgments", "good", "judge", "base")
METRICS = VllmMetrics(3, 1, 0.5, finished={"stop": 2}, reply_seconds=Histogram((0.5, float("inf")), (1.0, 2.0)))
EVENTS: list[Event] = [
    RunStarted(1.0),
    TaskPlanned(TASK, 10, 2, 1),
    StopRuleSet("decided", "base"),
    StageStarted("judgments", 2.0),
    ServerChanged("judge", ("judge",), "ready", 3.0, address="http://localhost:1/v1", share=0.5),
    ServerSeen("judge", "http://localhost:1/v1", METRICS),
    CallStarted("judge", "http://localhost:1/v1"),
    CallRetried("judge", "http://localhost:1/v1", "timeout", "слишком долго", 1.0, 1, TASK),
    CallEnded("judge", "http://localhost:1/v1", 0.5, Usage(1, 2), task=TASK, fingerprint="f"),
    RecordSaved(TASK, "q1", labels=("A>>B", None), conflicts=1),
    RecordFailed(TASK, "q2", "timeout", Advice("too slow", AdviceKind.RUN)),
    StandingChanged("good", Standing("better", 3, 60.0, difference=None)),
    TaskStopped(TASK),
    notice("warning", Advice("start the server of judge", AdviceKind.SERVE, values=("judge",))),
    EndpointChanged("judge", "http://localhost:1/v1", "down", 3.5, why="refused", until=None),
    RunPaused(3.6),
    RunResumed(3.7),
    StageEnded("judgments", 4.0),
    RunEnded("done", 5.0),
]
SLOW = {"latency": 0.05}


@asynccontextmanager
async def going(desk: Desk, **changes: Any) -> AsyncIterator[Run]:
    """A run that has made its first calls."""
    run = Run(desk.config(**changes))
    task = asyncio.create_task(run.execute())
    async with asyncio.timeout(60):
        while not run.state.calls and not task.done():
            await asyncio.sleep(0.01)
        yield run
        await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_every_event_and_the_state_that_they_make_survive_the_wire():
    assert {type(event) for event in EVENTS} == set(Event.__args__)  # type: ignore[attr-defined]
    sent = wire.decode_events(wire.encode_events(EVENTS))
    assert sent == EVENTS
    text = sent[-6].text  # type: ignore[union-attr]
    assert isinstance(text, Advice)
    assert (text.kinds, text.values) == ((AdviceKind.SERVE,), ("judge",))
    state = RunState()
    for event in EVENTS:
        state = reduce(state, event)
        assert wire.decode_state(wire.encode_state(state)) == state
    assert state.server_numbers


async def test_who_attaches_sees_the_same_state_to_the_end_and_the_log_so_far(at_desk):
    async with at_desk(**SLOW) as desk, going(desk) as run:
        remote = await RemoteRun.attach(run.bench.paths, control=False)
        logged: list[Event] = []
        remote.listen(logged.append)
        assert remote.state.tasks.keys() == run.state.tasks.keys()
        assert (remote.greeting.pid, remote.id, remote.greeting.bench) == (os.getpid(), run.id, "small")
        await remote.follow()
        assert remote.has_ended
        assert remote.state == run.state
    assert remote.state.phase == "done"
    assert {StageStarted, RecordSaved, RunEnded} <= {type(event) for event in logged}


async def test_orders_are_carried_out_and_refused_where_only_reading_was_asked_for(at_desk):
    async with at_desk(latency=0.2) as desk, going(desk) as run:
        remote = await RemoteRun.attach(run.bench.paths, control=False)
        refusals: list[str] = []
        remote.on_refusal = refusals.append
        following = asyncio.create_task(remote.follow())
        remote.pause()
        await until(lambda: refusals)
        assert run.status == "running"
        remote.take_control()
        remote.pause()
        await until(lambda: remote.status == "paused")
        assert run.gate.paused
        remote.set_limits("judge", 7, 12.5)
        await until(lambda: remote.conditions.limits["judge"] == (7, 12.5))
        assert run.config.models["judge"].parallel == 7
        remote.set_limits("nobody", 7, None)
        await until(lambda: len(refusals) == 2)
        remote.retries_failed = True
        await until(lambda: remote.retries_failed)
        assert run.retries_failed
        remote.resume()
        await until(lambda: remote.status == "running")
        remote.stop()
        await following
        assert remote.state.phase == "interrupted"
    assert run.state.phase == "interrupted"
    assert not run.retries_failed


async def test_the_socket_is_private_works_in_long_paths_and_goes_with_the_run(tmp_path: Path, at_desk):
    async with at_desk(**SLOW) as desk:
        long = tmp_path / ("x" * 120) / ("y" * 120)
        long.mkdir(parents=True)
        (desk.bench).rename(long / "small")
        desk.data, desk.bench = long, long / "small"
        async with going(desk) as run:
            file = desk.bench / ".run.sock"
            assert stat.S_ISSOCK(file.lstat().st_mode)
            assert stat.S_IMODE(file.lstat().st_mode) == 0o600
            Bench.open(desk.data, "small")  # a bench is not refused for it
            remote = await RemoteRun.attach(run.bench.paths, control=False)
            remote.close()
        assert not file.exists()
        with pytest.raises(RunUnreachable, match="cannot attach"):
            await RemoteRun.attach(run.bench.paths, control=False)


async def test_the_socket_of_a_dead_process_is_replaced_and_anything_else_left_alone(at_desk):
    async with at_desk(**SLOW) as desk:
        file = desk.bench / ".run.sock"
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(file))
        dead.close()
        async with going(desk) as run:
            (await RemoteRun.attach(run.bench.paths, control=False)).close()
        file.write_text("mine")
        run = await desk.run()
        assert file.read_text() == "mine"
        assert any("cannot attach" in each.text for each in run.state.notices)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_cannot_connect_and_is_not_answered_if_the_file_is_opened_to_all():
    script = """
import os, socket, sys
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b'{"type":"Attach"}\\n')
print(connection.recv(100))
"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101
        async with shown(Path(folder)) as (run, _):
            file = run.bench.paths.root / ".run.sock"
            command = [sys.executable, "-c", script, str(file)]
            refused = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
            assert "PermissionError" in refused.stderr
            file.chmod(0o666)
            ignored = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
            assert "Greeting" not in ignored.stdout
            assert ignored.stdout == "b''\n" or "Error" in ignored.stderr
            (await RemoteRun.attach(run.bench.paths, control=False)).close()


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 200_000,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\n" * 1000,
        b"\xff\xfe\n",
        b'{"type":"Stop"}\n',
        b"[" * 10_000 + b"\n",
    ],
    ids=["endless line", "http", "empty lines", "no text", "unknown", "nested"],
)
async def test_what_is_no_message_ends_its_connection_and_nothing_else(tmp_path: Path, data: bytes):
    async with shown(tmp_path) as (run, host):
        stranger = socket_file.connect(run.bench.paths)
        with stranger:
            for part in (data, b""):
                await asyncio.to_thread(_send, stranger, part)
            assert await asyncio.to_thread(_rest, stranger) == b""
        after_greeting = socket_file.connect(run.bench.paths)
        with after_greeting:
            await asyncio.to_thread(_send, after_greeting, wire.encode(wire.Attach()) + b"\n" + data)
            assert b"Greeting" in await asyncio.to_thread(_rest, after_greeting)
        remote = await RemoteRun.attach(run.bench.paths, control=True)
        remote.pause()
        await until(lambda: run.status == "paused")
        remote.close()
        assert not host.problem


async def test_a_reader_that_stops_reading_costs_a_bounded_buffer_and_catches_up_by_a_snapshot(tmp_path: Path):
    async with shown(tmp_path) as (run, host):
        lazy = socket_file.connect(run.bench.paths)
        await asyncio.to_thread(_send, lazy, wire.encode(wire.Attach()) + b"\n")
        other = await RemoteRun.attach(run.bench.paths, control=False)
        following = asyncio.create_task(other.follow())
        sent = 0
        while host.unsent() <= MOST_UNSENT:
            for _ in range(2000):
                run.emit(CallStarted("judge", "http://localhost:1/v1" + "x" * 200))
            sent += 2000
            await asyncio.sleep(0.12)
            assert sent < 200_000, "it never filled"
        most = host.unsent()
        for _ in range(20_000):
            run.emit(CallEnded("judge", "http://localhost:1/v1" + "x" * 200, 1.0))
        await asyncio.sleep(0.3)
        assert host.unsent() == most  # nothing is added to what waits
        await until(lambda: other.state == run.state)
        with lazy:
            reader, writer = await asyncio.open_unix_connection(sock=lazy, limit=wire.LONGEST_LINE)
            snapshots = []
            while len(snapshots) < 2:
                message = wire.decode_message.decode(await asyncio.wait_for(reader.readline(), 60))
                snapshots += [message] if isinstance(message, wire.RunSnapshot) else []
            assert wire.decode_state(snapshots[1].state) == run.state
            writer.close()
        other.close()
        await following


async def test_a_run_that_breaks_off_says_why_to_who_is_attached(tmp_path: Path):
    logged: list[Event] = []
    with suppress(ZeroDivisionError):
        async with shown(tmp_path) as (run, _):
            remote = await RemoteRun.attach(run.bench.paths, control=False)
            remote.listen(logged.append)
            following = asyncio.create_task(remote.follow())
            raise ZeroDivisionError("the disk")
    await following
    assert remote.state.phase == "failed"
    assert any("the disk" in getattr(event, "text", "") for event in logged)


class StandIn:
    """A run that does only what a test has it do."""

    def __init__(self, bench: Bench) -> None:
        self.id, self.bench = "one", bench
        self.config = parse_config(
            {"bench": "small", "judge": {"model": "judge", "baseline": "base"}, "models": {"judge": {}}}, None, {}
        )
        self.state = RunState()
        self.log: Path | None = None
        self.retries_failed = False
        self.status: wire.RunStatus = "running"
        self._listeners: list[Callable[[Event], None]] = []

    def emit(self, event: Event) -> None:
        self.state = reduce(self.state, event)
        for listener in self._listeners:
            listener(event)

    def listen(self, listener: Callable[[Event], None]) -> None:
        self._listeners.append(listener)

    def endpoint_statuses(self) -> dict[str, Any]:
        return {}

    def pause(self) -> None:
        self.status = "paused"

    def resume(self) -> None:
        self.status = "running"

    def stop(self) -> None:
        self.status = "stopping"

    def abort(self) -> None:
        self.status = "stopping"

    def set_limits(self, model: str, parallel: int, rate: float | None) -> None:
        raise NotImplementedError


@asynccontextmanager
async def shown(folder: Path) -> AsyncIterator[tuple[StandIn, RunHost]]:
    (folder / "small").mkdir()
    (folder / "small" / "question.jsonl").write_bytes(
        msgspec.json.encode({"question_id": "q", "turns": [{"content": "?"}]}) + b"\n"
    )
    run = StandIn(Bench.open(folder, "small"))
    async with RunHost(run) as host:
        yield run, host


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        return  # the run has cut it off already


def _rest(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    connection.settimeout(60)
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)
