"""A first start on real servers of this machine: found, proposed, checked, written, started, by keys alone."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from judged_bench import make_bench, painted, settle, until
from textual.pilot import Pilot

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.opening import ProblemScreen
from arena_tui.run.run_screen import RunScreen
from arena_tui.session.arena_session import ArenaSession
from arena_tui.setup.import_screen import ImportScreen, completions
from arena_tui.setup.pick_screen import PickScreen
from arena_tui.setup.setup_screen import SetupScreen
from engine.simulator import SimulatedJudge, SimulatedModel, SimulatorConfig, running_simulator

MOST_KEYS = 12  # from an import to the first judge call
TEN = [f"model-{number}" for number in range(10)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a first start."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@asynccontextmanager
async def starting(*ports: int, config: Path | None = None) -> AsyncIterator[tuple[ArenaApp, Pilot[None]]]:
    """The app without a config, which looks for servers at `ports` only."""
    session = ArenaSession(Invocation(config))
    session.ports = ports
    app = ArenaApp(session)
    try:
        async with app.run_test(size=(100, 34)) as pilot:
            yield app, pilot
    finally:
        await session.close()


@asynccontextmanager
async def cast(*models: str, judge: str = "the-judge") -> AsyncIterator[int]:
    """A server with models and a judge; yields its port."""
    config = SimulatorConfig(
        models=tuple(SimulatedModel(name=name) for name in models), judges=(SimulatedJudge(name=judge),)
    )
    async with running_simulator(config) as url:
        yield int(url.rpartition(":")[2])


def published(folder: Path, models: list[str], questions: int = 4) -> Path:
    """A bench as it is downloaded: questions and answers, no config."""
    (folder / "model_answer").mkdir(parents=True)
    with (folder / "question.jsonl").open("w") as file:
        for number in range(questions):
            turns = [{"content": f"What is {number} + {number}?"}]
            file.write(json.dumps({"question_id": f"q{number}", "category": "c", "turns": turns}) + "\n")
    for model in models:
        with (folder / "model_answer" / f"{model}.jsonl").open("w") as file:
            for number in range(questions):
                turns = [{"content": f"It is {2 * number}.", "token_len": 4}]
                choices = [{"index": 0, "turns": turns}]
                file.write(json.dumps({"question_id": f"q{number}", "model_id": model, "choices": choices}) + "\n")
    return folder


def set_up(app: ArenaApp) -> SetupScreen:
    return next(screen for screen in app.screen_stack if isinstance(screen, SetupScreen))


def is_checked(app: ArenaApp) -> bool:
    state = set_up(app).state
    return state.setup is not None and not state.is_looking and not state.is_checking


async def shown(app: ArenaApp, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: isinstance(app.screen, SetupScreen) and is_checked(app))
    await pilot.pause()


async def test_from_an_import_of_ten_models_to_the_first_judge_call_by_few_keys(folder: Path):
    published(folder / "downloads" / "arena-hard", TEN)
    keys = ["I", *"dow", "tab", "tab", "enter", "s"]  # the path is typed with completion
    assert len(keys) <= MOST_KEYS
    async with cast() as port, starting(port) as (app, pilot):
        await shown(app, pilot)
        await pilot.press(keys[0])
        await until(pilot, lambda: isinstance(app.screen, ImportScreen))
        for key in keys[1:-1]:
            await pilot.press(key)
            await pilot.pause()
        await until(pilot, lambda: isinstance(app.screen, SetupScreen))
        await until(pilot, lambda: is_checked(app) and set_up(app).state.setup.bench.name == "arena-hard")
        setup = set_up(app).state.setup
        assert (setup.judge, setup.baseline, len(setup.compared)) == ("the-judge", "model-0", 9)
        assert set_up(app).state.problems == []
        await pilot.press(keys[-1])
        session = app.session
        await until(pilot, lambda: session.state.calls > 0 or session.state.phase == "done")
        await until(pilot, lambda: session.state.phase == "done")
    judged = list((folder / "data/arena-hard/model_judgment/the-judge").glob("*.jsonl"))
    assert len(judged) == 9
    document = tomllib.loads((folder / "config.toml").read_text())
    assert document["bench"] == "arena-hard"
    assert document["answers"]["models"] == []


async def test_a_bench_in_this_folder_is_offered_and_takes_three_keys(folder: Path):
    published(folder / "arena-hard", TEN)
    async with cast() as port, starting(port) as (app, pilot):
        await shown(app, pilot)
        await pilot.press("I")
        await until(pilot, lambda: isinstance(app.screen, ImportScreen) and "a bench" in painted(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen))
        await until(pilot, lambda: is_checked(app) and set_up(app).state.setup.bench.name == "arena-hard")
        await pilot.press("s")
        await until(pilot, lambda: app.session.state.phase == "done")
    assert (folder / "data/arena-hard/model_judgment/the-judge/model-9.jsonl").exists()


async def test_a_starter_bench_is_written_with_the_config_and_not_before(folder: Path):
    async with cast("ckpt-1000", "ckpt-2000") as port, starting(port) as (app, pilot):
        await shown(app, pilot)
        text = painted(app)
        for words in ("starter-ru", "48 questions", "ckpt-1000, ckpt-2000", "the-judge", "198 calls"):
            assert words in text, words
        assert not (folder / "data").exists()
        await pilot.press("W")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.session.plan is not None)
        assert app.session.bench.name == "starter-ru"
        assert not app.session.is_running
    assert (folder / "data/starter-ru/question.jsonl").exists()


async def test_without_servers_it_says_so_and_an_address_can_be_added(folder: Path):
    async with cast("one", "two") as port, starting() as (app, pilot):
        await shown(app, pilot)
        assert "no server found" in painted(app)
        await pilot.press("s")
        await pilot.pause()
        assert isinstance(app.screen, SetupScreen)
        assert not (folder / "config.toml").exists()
        await pilot.press("plus")
        await pilot.pause()
        await pilot.press(*"sk-not a url", "enter")
        await pilot.pause()
        assert "not an address" in painted(app)
        field = app.screen.query_one("#url")
        field.value = f"127.0.0.1:{port}"  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen) and len(set_up(app).state.servers) == 1)
        await until(pilot, lambda: is_checked(app))
        assert set_up(app).state.setup.served == ["one", "the-judge", "two"]
        form = app.screen.query_one("#form")
        form.move_to_key(("server", f"http://127.0.0.1:{port}/v1"))  # type: ignore[attr-defined]
        await pilot.press("x")
        await until(pilot, lambda: set_up(app).state.servers == [])


async def test_roles_are_chosen_from_lists_that_narrow_while_typing(folder: Path):
    published(folder / "data" / "mine", TEN)
    async with cast("one", "two") as port, starting(port) as (app, pilot):
        await shown(app, pilot)
        form = app.screen.query_one("#form")
        form.move_to_key(("baseline", ""))  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"del-7", "enter")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen))
        form.move_to_key(("answers", ""))  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press(*"two", "space", "enter")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen))
        form.move_to_key(("judge", ""))  # type: ignore[attr-defined]
        await pilot.press("right")
        await pilot.pause()
        setup = set_up(app).state.setup
        assert (setup.baseline, setup.answers, setup.judge) == ("model-7", ("one",), "two")


async def test_what_the_doctor_finds_is_shown_while_it_is_chosen(folder: Path):
    async with cast("one", "two") as port, starting(port) as (app, pilot):
        await shown(app, pilot)
        published(folder / "data" / "broken", ["torn"])
        (folder / "data/broken/model_answer/torn.jsonl").write_text("{\n")
        await pilot.press("R")
        await until(pilot, lambda: set_up(app).state.setup.bench.name == "broken" and is_checked(app))
        assert any(check.subject == "damage" for check in set_up(app).state.checks)


async def test_a_demo_that_was_judged_is_opened_and_not_tried_again(folder: Path):
    async with starting() as (app, pilot):
        await shown(app, pilot)
        assert "try it on simulated models" in painted(app)
        await pilot.press("T")
        await until(pilot, lambda: app.session.state.phase == "done" and app.current_mode == "leaderboard")
        await settle(pilot)  # a mode that is still being opened must not meet the end of the app
    async with starting() as (app, pilot):
        await shown(app, pilot)
        assert "open its results" in painted(app)
        await pilot.press("T")
        await until(pilot, lambda: app.current_mode == "leaderboard")
        assert not app.session.is_running
        await settle(pilot)


async def test_all_problems_of_a_config_are_shown_and_it_is_read_again_when_it_changes(folder: Path):
    make_bench(folder)
    good = (folder / "config.toml").read_text()
    bad = good.replace('"small"', '"absent"').replace("http://127", "htp:/127")
    (folder / "config.toml").write_text(bad)
    async with starting() as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
        await settle(pilot)
        text = painted(app)
        for words in ("3 problems", "no bench 'absent'", "base_url: must be an address", "A_KEY_THAT_NOBODY_HAS"):
            assert words in text, words
        (folder / "config.toml").write_text(good)
        await until(pilot, lambda: app.session.plan is not None)
        assert isinstance(app.screen, RunScreen)


async def test_a_config_that_cannot_be_used_is_set_up_anew_and_kept(folder: Path):
    (folder / "config.toml").write_text("nonsense")
    async with cast("one", "two") as port, starting(port) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
        await pilot.press("ctrl+n")
        await shown(app, pilot)
        await pilot.press("W")
        await until(pilot, lambda: app.session.plan is not None)
    assert (folder / "config.toml.1.bak").read_text() == "nonsense"
    assert tomllib.loads((folder / "config.toml").read_text())["judge"]["model"] == "the-judge"


async def test_an_import_that_is_refused_says_why_and_can_be_corrected(folder: Path):
    (folder / "empty").mkdir()
    async with starting() as (app, pilot):
        await shown(app, pilot)
        await pilot.press("I")
        await until(pilot, lambda: isinstance(app.screen, ImportScreen))
        await pilot.press(*"empty", "enter")
        await until(pilot, lambda: "neither an arena-hard bench" in " ".join(painted(app).split()))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen))


def test_paths_are_completed_benches_first(folder: Path):
    published(folder / "some" / "zz-bench", ["m"])
    (folder / "some" / "folder").mkdir()
    (folder / "some" / "answers.jsonl").touch()
    (folder / "some" / "notes.txt").touch()
    (folder / "some" / ".hidden").mkdir()
    assert [place.path for place in completions("some/")] == ["some/zz-bench/", "some/folder/", "some/answers.jsonl"]
    assert [place.path for place in completions("so")] == ["some/"]
    assert [place.path for place in completions(f"{folder}/some/z")] == [f"{folder}/some/zz-bench/"]
    assert completions("nowhere/") == []


async def test_a_silent_server_does_not_block_the_screen(folder: Path):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        await asyncio.sleep(600)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with starting(port) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, SetupScreen) and set_up(app).state.setup is not None)
        assert set_up(app).state.is_looking
        await pilot.press("down", "down")
        assert app.screen.query_one("#form").cursor > 0  # type: ignore[attr-defined]
    server.close()
