"""The HTTP interface of a watch: a token, bounds, clear errors, and checkpoints named by trainers."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from training import Training, adapter_checkpoint

from engine.checkpoints.listener import LARGEST_BODY, Listener, read_token
from engine.checkpoints.report import CheckpointReport
from engine.errors import UsageProblem

TOKEN = "a-token-of-the-tests"
OWN = {"Authorization": f"Bearer {TOKEN}"}


async def asked(
    listener: Listener, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and JSON of a reply."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, listener.address + path, data=data, headers=OWN if headers is None else headers
        ) as reply,
    ):
        return reply.status, json.loads(await reply.read())


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


async def test_a_checkpoint_that_a_trainer_names_is_evaluated(training: Training, tmp_path: Path) -> None:
    folder = adapter_checkpoint(tmp_path / "elsewhere" / "checkpoint-final")
    watch = training.watch(folder=None, like="base", once=False)
    listener = Listener(watch, TOKEN, 0)
    async with listener.listening():
        running = asyncio.create_task(watch.run())
        assert (await asked(listener, "GET", "/status"))[1]["checkpoints"] == []
        status, reply = await asked(listener, "POST", "/evaluate", {"model": str(folder), "step": 70})
        assert (status, reply["model"], reply["state"]) == (202, "base-checkpoint-final", "waiting")
        async with asyncio.timeout(120):
            while not any(isinstance(event, CheckpointReport) for event in training.events):
                await asyncio.sleep(0.05)
        _, found = await asked(listener, "GET", "/status")
        watch.stop()
        await running
    (checkpoint,) = found["checkpoints"]
    assert (checkpoint["state"], checkpoint["step"], found["best"]) == ("evaluated", 70, "base-checkpoint-final")
    assert checkpoint["standing"]["verdict"] == "better"
    assert found["waiting"] == []
    assert training.lines("watch.jsonl")[0]["step"] == 70


async def test_a_named_checkpoint_that_was_not_evaluated_is_taken_by_the_next_watch(training: Training) -> None:
    folder = adapter_checkpoint(training.folder / "elsewhere" / "checkpoint-7")
    watch = training.watch(folder=None, like="base", once=False, lock=training.folder / "absent")
    assert watch.request(folder, 7) == "base-checkpoint-7"
    reports = await training.watched(folder=None, like="base")
    assert [each.step for each in reports] == [7]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "the body is not such a request"),
        (b"[1]", 400, "Expected `object`"),
        (b"\xff\xfe", 400, "the body is not"),
        ({"step": 1}, 400, "missing required field `model`"),
        ({"model": 5}, 400, "Expected `str`"),
        ({"model": "/x", "step": -1}, 400, "`int` >= 0"),
        ({"model": "/x", "step": "9"}, 400, "Expected `int | null`"),
        ({"model": "/x", "setp": 1}, 400, "unknown field `setp`"),
        ({"model": "runs/checkpoint-1"}, 400, "not an absolute path"),
        ({"model": "/nowhere/checkpoint-1"}, 400, "no such folder on this machine"),
        ({"model": "/a\0b"}, 400, "not an absolute path"),
        (b"x" * (LARGEST_BODY + 1), 413, "more than 65536 bytes"),
    ],
)
async def test_bad_requests_are_answered_with_what_is_wrong(
    training: Training, body: Any, status: int, says: str
) -> None:
    listener = Listener(training.watch(once=False), TOKEN, 0)
    async with listener.listening():
        found, reply = await asked(listener, "POST", "/evaluate", body)
    assert found == status
    assert says in reply["error"]["message"]
    assert reply["error"]["hint"]


async def test_nothing_is_said_without_the_token_and_other_paths_are_named(training: Training) -> None:
    listener = Listener(training.watch(once=False), TOKEN, 0)
    async with listener.listening():
        assert listener.address.startswith("http://127.0.0.1:")
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            for method, path in (("GET", "/status"), ("POST", "/evaluate"), ("GET", "/nothing")):
                status, reply = await asked(listener, method, path, headers=headers)
                assert status == 401
                assert TOKEN not in json.dumps(reply)
        assert (await asked(listener, "GET", "/nothing"))[0] == 404
        status, reply = await asked(listener, "GET", "/evaluate")
        assert (status, reply["error"]["hint"]) == (405, "use POST")
        with pytest.raises(UsageProblem, match="cannot listen on"):
            async with Listener(
                training.watch(once=False), TOKEN, int(listener.address.rpartition(":")[2])
            ).listening():
                pass


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = read_token(file)
    assert len(token) >= 32
    assert read_token(file) == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    with pytest.raises(UsageProblem, match="others may read"):
        read_token(file)
    file.chmod(0o600)
    file.write_text("short")
    with pytest.raises(UsageProblem, match="no usable token"):
        read_token(file)
