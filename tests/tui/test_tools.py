"""What can be done on every screen: edit and re-read the config, switch bench, import, export, check, read logs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from judged_bench import make_bench, opened, painted, settle, until
from test_everywhere import choose

from arena_tui.app import ArenaApp
from arena_tui.setup.doctor_screen import DoctorScreen
from arena_tui.setup.editing import editor_command
from arena_tui.setup.export_screen import ExportScreen
from arena_tui.setup.import_screen import ImportScreen
from arena_tui.setup.log_screen import LogScreen
from arena_tui.setup.pick_screen import PickScreen
from arena_tui.setup.setup_screen import SetupScreen
from engine.errors import UsageProblem


def notices(app: ArenaApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


async def test_a_config_that_changes_is_read_again_while_the_app_is_open(tmp_path: Path):
    make_bench(tmp_path)
    config = tmp_path / "config.toml"
    async with opened(tmp_path, "judgments") as (app, pilot):
        before = app.screen
        config.write_text(config.read_text().replace("endpoints", "parallel = 7\nendpoints"))
        await until(pilot, lambda: app.session.config.models["the-judge"].parallel == 7)
        await until(pilot, lambda: app.screen is not before and getattr(app.screen, "is_read", False))
        assert app.current_mode == "judgments"
        config.write_text("nonsense")
        await until(pilot, lambda: "TOML" in notices(app))
        assert app.session.config.models["the-judge"].parallel == 7


async def test_the_bench_is_switched_for_all_screens(tmp_path: Path):
    make_bench(tmp_path)
    shutil.copytree(tmp_path / "data" / "small", tmp_path / "data" / "other")
    shutil.rmtree(tmp_path / "data" / "other" / "model_judgment")
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        assert "3 questions, answers of 3 models" in painted(app)
        await pilot.press(*"oth", "enter")
        await until(pilot, lambda: app.session.bench.name == "other" and getattr(app.screen, "is_read", False))
        await until(pilot, lambda: "no judgments" in painted(app))
        assert (tmp_path / "config.toml").read_text().count('"small"') == 1


async def test_a_bench_is_imported_beside_the_open_one(tmp_path: Path):
    make_bench(tmp_path)
    shutil.copytree(tmp_path / "data" / "small", tmp_path / "elsewhere" / "more")
    async with opened(tmp_path, "run", ready=lambda app: app.session.plan is not None) as (app, pilot):
        await pilot.press("I")
        await until(pilot, lambda: isinstance(app.screen, ImportScreen))
        app.screen.query_one("#path").value = str(tmp_path / "elsewhere")  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: "imported more" in notices(app))
    assert (tmp_path / "data" / "more" / "question.jsonl").exists()


async def test_an_export_is_written_and_overwritten_only_when_confirmed(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments", (100, 34)) as (app, pilot):
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen))
        await pilot.press("down")
        await pilot.pause()
        field = app.screen.query_one("#out")
        assert field.value == "small.csv"  # type: ignore[attr-defined]
        out = tmp_path / "out.csv"
        field.value = str(out)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: out.exists() and "wrote" in painted(app))
        written = out.read_bytes()
        out.write_bytes(b"mine")
        await pilot.press("enter")
        await until(pilot, lambda: "press Enter again" in " ".join(painted(app).split()))
        assert out.read_bytes() == b"mine"
        await pilot.press("enter")
        await until(pilot, lambda: out.read_bytes() == written)


async def test_the_checks_of_doctor_are_a_screen(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments") as (app, pilot):
        await choose(app, pilot, "Checks")
        await until(pilot, lambda: isinstance(app.screen, DoctorScreen))
        await until(pilot, lambda: "1 problem" in painted(app))
        first = painted(app).partition("PROBLEM")[2].splitlines()[0]
        assert "endpoint of the-judge" in first
        await pilot.press("enter")
        await until(pilot, lambda: "to do" in painted(app))
        await pilot.press("escape", "q")
        await until(pilot, lambda: app.current_mode == "judgments" and not isinstance(app.screen, DoctorScreen))


async def test_the_log_of_a_server_is_shown_to_its_end_and_followed(tmp_path: Path):
    bench = make_bench(tmp_path)
    (bench / "logs").mkdir()
    log = bench / "logs" / "the-judge.log"
    log.write_text("".join(f"INFO line {number}\n" for number in range(500)) + "x" * 300 + "\x1b[31m end\n")
    async with opened(tmp_path, "judgments", (80, 24)) as (app, pilot):
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, LogScreen) and "line 499" in painted(app))
        assert "end" in painted(app)
        assert "\x1b" not in painted(app)
        with log.open("a") as file:
            file.write("Traceback: the engine exited\n")
        await until(pilot, lambda: "the engine exited" in painted(app))
        (bench / "logs" / "base.log").write_text("other\n")
        await pilot.press("escape", "L")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and "base.log" in painted(app))


async def test_without_logs_it_says_so(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("L")
        await until(pilot, lambda: "has not started any server" in notices(app))


async def test_an_open_bench_can_be_set_up_anew_or_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_bench(tmp_path)
    monkeypatch.chdir(tmp_path)
    async with opened(tmp_path, "judgments") as (app, pilot):
        app.session.ports = ()
        await choose(app, pilot, "Set up")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen))
        await settle(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, SetupScreen))
        assert app.current_mode == "judgments"
    assert not (tmp_path / "config.toml.1.bak").exists()


def test_the_editor_is_that_of_the_user(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDITOR", "python3 -m idle")
    monkeypatch.delenv("VISUAL", raising=False)
    assert editor_command() == ["python3", "-m", "idle"]
    monkeypatch.setenv("VISUAL", "no-such-editor --wait")
    with pytest.raises(UsageProblem, match="VISUAL: no program 'no-such-editor'"):
        editor_command()
