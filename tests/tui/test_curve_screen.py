"""The curve of a training in the terminal UI: opened by a key, walked over, and drawn again during a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from judged_bench import opened, painted, settle, until
from textual.pilot import Pilot
from training_bench import CONFIG, judge_checkpoint, make_training

from arena_tui.app import ArenaApp
from arena_tui.board.curve_screen import CurveScreen
from arena_tui.board.curve_view import CurveView
from arena_tui.board.model_screen import ModelScreen
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession
from engine.simulator import SimulatedJudge, SimulatedModel, SimulatorConfig, running_simulator

RISING = {1000 * (at + 1): min(0.3 + 0.05 * at, 0.75) for at in range(12)}
SIZES = [(60, 20), (80, 24), (120, 34)]


def make_bench(folder: Path) -> Path:
    bench = make_training(folder, RISING)
    for step, share in ((100, 0.4), (200, 0.6)):
        judge_checkpoint(bench, f"other-checkpoint-{step}", share)
    return bench


async def drawn(pilot: Pilot[None]) -> CurveScreen:
    """The screen, when it shows a curve or why there is none."""
    await until(pilot, lambda: isinstance(pilot.app.screen, CurveScreen))
    screen = pilot.app.screen
    assert isinstance(screen, CurveScreen)
    await until(pilot, lambda: screen.found is not None or "reading" not in painted(pilot.app))  # type: ignore[arg-type]
    await settle(pilot)
    return screen


def point_of(screen: CurveScreen) -> str:
    point = screen.query_one(CurveView).point
    assert point is not None
    return point.model


def board_ready(app: ArenaApp) -> bool:
    return app.session.plan is not None and getattr(app.screen, "board", None) is not None


async def test_a_key_opens_the_curve_and_arrows_move_over_its_steps(tmp_path: Path) -> None:
    make_bench(tmp_path)
    async with opened(tmp_path, "leaderboard", (120, 40), ready=board_ready) as (app, pilot):
        await pilot.press("P")
        screen = await drawn(pilot)
        assert screen.curve is not None
        assert screen.curve.series == "other"
        assert "training 1 of 2" in painted(app)
        await pilot.press("tab")
        await settle(pilot)
        assert screen.curve.series == "run"
        text = painted(app)
        assert "best so far: step 11,000" in text
        assert "keep step 11,000" in text
        assert point_of(screen) == "run-step11000"
        await pilot.press("left")
        await settle(pilot)
        assert point_of(screen) == "run-step10000"
        assert "step 10,000  run-step10000" in painted(app)
        await pilot.press("home")
        await settle(pilot)
        assert "the first step" in painted(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen))
        await pilot.press("escape")
        await settle(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CurveScreen))


async def test_a_click_chooses_a_step(tmp_path: Path) -> None:
    make_training(tmp_path, RISING)
    async with opened(tmp_path, "leaderboard", (118, 40), ready=board_ready) as (app, pilot):
        await pilot.press("P")
        screen = await drawn(pilot)
        await pilot.click(CurveView, offset=(9, 4))
        await settle(pilot)
        assert point_of(screen) == "run-step1000"
        assert "step 1,000  " in painted(app)


async def test_the_margin_is_changed_by_a_key(tmp_path: Path) -> None:
    make_training(tmp_path, RISING)
    async with opened(tmp_path, "leaderboard", (120, 40), ready=board_ready) as (_, pilot):
        await pilot.press("P")
        screen = await drawn(pilot)
        await pilot.press("v")
        await until(pilot, lambda: screen.found is not None and screen.found.margin == 3.0)


async def test_a_bench_without_checkpoints_says_what_they_are(tmp_path: Path) -> None:
    bench = make_training(tmp_path, {})
    judge_checkpoint(bench, "some-model", 0.5)
    async with opened(tmp_path, "leaderboard", (80, 24), ready=board_ready) as (app, pilot):
        await pilot.press("P")
        await drawn(pilot)
        await until(pilot, lambda: "no judged model is a checkpoint" in painted(app))
        await pilot.press("left", "enter", "tab")
        await settle(pilot)


async def test_new_judgments_are_drawn_when_they_are_read_again(tmp_path: Path) -> None:
    bench = make_training(tmp_path, {1000: 0.4, 2000: 0.5})
    async with opened(tmp_path, "leaderboard", (80, 24), ready=board_ready) as (_, pilot):
        await pilot.press("P")
        screen = await drawn(pilot)
        judge_checkpoint(bench, "run-step3000", 0.9)
        await pilot.press("R")
        await until(pilot, lambda: screen.curve is not None and len(screen.curve.points) == 3)


async def test_it_follows_a_run(tmp_path: Path) -> None:
    names = ("base", "run-step1", "run-step2")
    cast = SimulatorConfig(
        models=tuple(SimulatedModel(name=name) for name in names), judges=(SimulatedJudge(name="judge"),)
    )
    async with running_simulator(cast) as url:
        tables = "".join(f'[models."{name}"]\nendpoints = [{{ base_url = "{url}/v1" }}]\n' for name in names)
        make_training(tmp_path, {}, config=CONFIG.split("[models.judge]")[0] + tables + _judge(url))
        session = ArenaSession(Invocation(tmp_path / "config.toml"))
        app = ArenaApp(session, "leaderboard")
        try:
            async with app.run_test(size=(80, 24)) as pilot:
                await until(pilot, lambda: session.plan is not None)
                await pilot.press("P")
                screen = await drawn(pilot)
                assert screen.curve is None
                session.start()
                await until(pilot, lambda: screen.curve is not None and screen.curve.questions == 60)
                await until(pilot, lambda: "keep step" in painted(app))
        finally:
            await session.close()


def _judge(url: str) -> str:
    return f'[models.judge]\nendpoints = [{{ base_url = "{url}/v1" }}]\n'


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("keys", [("P", "tab", "left"), ("P",)], ids=["run", "other"])
def test_it_looks_as_it_did(snap_compare, tmp_path: Path, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    make_bench(tmp_path)

    async def before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: board_ready(pilot.app))  # type: ignore[arg-type]
        for key in keys:
            await pilot.press(key)
            await drawn(pilot)

    app = ArenaApp(ArenaSession(Invocation(tmp_path / "config.toml")), "leaderboard")
    assert snap_compare(app, terminal_size=size, run_before=before)
