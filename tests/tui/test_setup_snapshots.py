"""How set-up and the screens around a bench look, at three sizes, with states as they may be found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from judged_bench import make_bench, settle, until
from test_dialog_snapshots import sizes
from textual.pilot import Pilot
from textual.widgets import Input

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession
from arena_tui.session.setup_session import SetupState
from arena_tui.setup.check_list import CheckList
from arena_tui.setup.doctor_screen import DoctorScreen
from arena_tui.setup.log_screen import LogScreen
from arena_tui.setup.setup_screen import SetupScreen
from engine.diagnosis import Check
from engine.models.discover import ServedModel
from engine.setup.benches import FoundBench
from engine.setup.proposal import propose
from engine.setup.servers import Address, FoundServer

CHECKS = (
    Check("ok", "config", "config.toml is valid"),
    Check("ok", "bench", "data/arena-hard-ru: 500 questions"),
    Check(
        "problem",
        "endpoint of old",
        "http://gpu-2:8001/v1: connection refused",
        "start the server, or correct base_url",
    ),
    Check("note", "GPU", "no nvidia-smi on this machine; not needed if the servers run elsewhere"),
)


def found() -> SetupState:
    """Two benches, three servers, one of which wants a key."""
    answers = dict.fromkeys(["Phi-3-medium-128k-instruct", "aya-23-8B", "suzume-llama-3-8B-multilingual"], 500)
    benches = (
        FoundBench("arena-hard-ru", Path("data/arena-hard-ru"), 500, answers),
        FoundBench("starter-ru", None, 48),
    )
    servers = (
        FoundServer(Address("http://gpu-2:8001/v1"), error="connection refused"),
        FoundServer(Address("http://localhost:8000/v1"), (ServedModel("Llama-3-70B-judge"),), "0.30.1"),
        FoundServer(Address("http://localhost:8001/v1"), (ServedModel("ckpt-1000"), ServedModel("ckpt-2000"))),
    )
    return SetupState(benches, servers, propose(benches, servers), CHECKS, 6000, is_looking=False)


def app_in(config: Path | None, mode: str = "run") -> ArenaApp:
    session = ArenaSession(Invocation(config))
    session.ports = ()
    return ArenaApp(session, mode)  # type: ignore[arg-type]  # a mode


def showing(state: Callable[[], SetupState], *keys: str) -> Callable[[Pilot[None]], object]:
    """Show a state that is found, in place of that of this machine, and press keys."""

    async def run(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, SetupScreen))
        screen = pilot.app.screen
        assert isinstance(screen, SetupScreen)
        await until(pilot, lambda: not screen.state.is_looking and not screen.state.is_checking)
        screen.setup.state = state()
        screen.setup.on_change()
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        for box in pilot.app.screen.query(Input):
            box.cursor_blink = False
        await settle(pilot)

    return run


@sizes
def test_a_set_up_with_everything(snap_compare, tmp_path: Path, monkeypatch, size: tuple[int, int]):
    monkeypatch.chdir(tmp_path)
    assert snap_compare(app_in(None), terminal_size=size, run_before=showing(found))


@sizes
def test_a_set_up_without_servers(snap_compare, tmp_path: Path, monkeypatch, size: tuple[int, int]):
    monkeypatch.chdir(tmp_path)

    def nothing() -> SetupState:
        missing = [Check("problem", "set-up", "no server found", "start one, or add its address")]
        setup = propose(found().benches, [])
        return dataclasses.replace(found(), servers=(), setup=setup, checks=missing, calls=None)

    assert snap_compare(app_in(None), terminal_size=size, run_before=showing(nothing))


@pytest.mark.parametrize("size", [(80, 24)], ids=["80x24"])
@pytest.mark.parametrize(
    ("what", "keys"),
    {
        "baseline": ("end", "up", "up", "enter"),
        "answers": ("end", "up", "up", "up", "up", "enter"),
        "server": ("plus",),
        "import": ("I",),
    }.items(),
)
def test_the_dialogs_of_a_set_up(snap_compare, tmp_path: Path, monkeypatch, what: str, keys: tuple[str, ...], size):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clone").mkdir()
    make_bench(tmp_path / "clone")
    (tmp_path / "clone" / "config.toml").unlink()
    assert snap_compare(app_in(None), terminal_size=size, run_before=showing(found, *keys))


@sizes
@pytest.mark.parametrize("what", ["doctor", "export", "log"])
def test_the_screens_around_a_bench(snap_compare, tmp_path: Path, monkeypatch, what: str, size: tuple[int, int]):
    bench = make_bench(tmp_path)
    monkeypatch.chdir(tmp_path)
    (bench / "logs").mkdir()
    lines = [f"INFO 11-30 02:{number:02} [loggers.py:248] Engine 000: Running: {number} reqs" for number in range(60)]
    (bench / "logs" / "the-judge.log").write_text(
        "\n".join([*lines, "ERROR 11-30 [core.py:1] EngineDeadError: " + "why " * 40])
    )

    async def show(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: getattr(pilot.app.screen, "is_read", False))
        await settle(pilot)
        await pilot.press({"doctor": "C", "export": "E", "log": "L"}[what])
        await settle(pilot)
        screen = pilot.app.screen
        if isinstance(screen, DoctorScreen):
            await until(pilot, lambda: "running" not in screen.query_one(CheckList).title)
            screen.query_one(CheckList).show(CHECKS, is_running=False)
        if isinstance(screen, LogScreen):
            await until(pilot, lambda: len(screen.query_one("#lines").rows) > 60)  # type: ignore[attr-defined]
        for box in screen.query(Input):
            box.cursor_blink = False
        await settle(pilot)

    assert snap_compare(app_in(Path("config.toml"), "judgments"), terminal_size=size, run_before=show)
