"""The callback of trainers against a real listener; with the real `Trainer` it is tested in tests/integration."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from training import Training, adapter_checkpoint

from engine.checkpoints import listener
from engine.checkpoints.listener import Listener
from engine.watching import callback
from engine.watching.callback import ArenaCallback

TOKEN = "a-token-of-the-tests"


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


async def ended(called: ArenaCallback) -> None:
    """Wait for the requests of a callback, as at the end of a training."""
    await asyncio.to_thread(called.on_train_end, None, None, None)


async def test_a_saved_checkpoint_is_named_by_the_first_process_alone(training: Training) -> None:
    adapter_checkpoint(training.runs / "checkpoint-5")
    watch = training.watch(folder=None, like="base", once=False)
    arguments, served = SimpleNamespace(output_dir=str(training.runs)), Listener(watch, TOKEN, 0)
    async with served.listening():
        called = ArenaCallback(served.address, token=TOKEN)
        called.on_save(arguments, SimpleNamespace(is_world_process_zero=False, global_step=5), None)
        await ended(called)
        assert watch.waiting() == []
        called.on_save(arguments, SimpleNamespace(is_world_process_zero=True, global_step=5), None)
        await ended(called)
        assert watch.waiting() == [str(training.runs / "checkpoint-5")]
    assert [(line["model"], line["step"]) for line in training.lines("watch.jsonl")] == [("base-checkpoint-5", 5)]


async def test_address_and_token_come_from_the_environment_or_a_file(
    training: Training, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = adapter_checkpoint(training.runs / "checkpoint-5")
    watch = training.watch(folder=None, like="base", once=False)
    served = Listener(watch, TOKEN, 0)
    (tmp_path / "token").write_text(TOKEN + "\n")
    with pytest.raises(ValueError, match="name the address"):
        ArenaCallback()
    async with served.listening():
        monkeypatch.setenv("ARENA_TUI_WATCH_URL", served.address + "/")
        called = ArenaCallback(token_file=tmp_path / "token")
        called.evaluate(folder)
        await ended(called)
    assert watch.waiting() == [str(folder)]


async def test_what_goes_wrong_is_a_warning_and_never_an_error(
    training: Training, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    served = Listener(training.watch(folder=None, like="base", once=False), TOKEN, 0)
    async with served.listening():
        for called in (
            ArenaCallback(served.address, token="wrong"),
            ArenaCallback(served.address, token=TOKEN),
            ArenaCallback(served.address, token_file=tmp_path / "absent"),
            ArenaCallback("http://127.0.0.1:9", token=TOKEN),
        ):
            called.evaluate(tmp_path / "absent" / "checkpoint-1", 1)
            await ended(called)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    reasons = ["the token is missing or wrong", "no such folder", "was not reached", "was not reached"]
    assert len(said) == len(reasons)
    assert all(reason in text for reason, text in zip(reasons, said, strict=True)), said


@pytest.mark.parametrize("state", ["", "relative", "/state"])
def test_a_watch_and_a_callback_know_the_same_file_of_the_token(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", state)
    assert callback.default_token_file() == listener.default_token_file()
