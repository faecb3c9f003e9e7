"""How the leaderboard and what opens from it look, from the smallest terminal to a roomy one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from judged_bench import QUESTIONS, judgment, make_bench, settle, until, write
from textual.pilot import Pilot
from textual.widgets import Input

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession

SIZES = [(60, 20), (80, 24), (120, 34)]
KEYS = {
    "board": ("down",),
    "sorted": ("o", "O"),
    "options": ("v",),
    "group": ("c", "down"),
    "difference": ("space", "end", "space", "d"),
    "model": ("end", "enter"),
    "audit": ("J",),
}


@pytest.fixture
def app_on_bench(tmp_path: Path) -> ArenaApp:
    bench = make_bench(tmp_path)
    for model, source in (("a-model-whose-name-is-much-longer-than-any-column", "good-model"), ("twin", "bad-model")):
        write(
            bench / "model_judgment" / "the-judge" / f"{model}.jsonl",
            *({**judgment(source, key), "model": model} for key in QUESTIONS),
        )
    return ArenaApp(ArenaSession(Invocation(tmp_path / "config.toml")), "leaderboard")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("what", KEYS)
def test_it_looks_as_it_did(snap_compare, app_on_bench, what: str, size: tuple[int, int]):
    assert snap_compare(app_on_bench, terminal_size=size, run_before=after(*KEYS[what]))


def test_without_colours_everything_is_still_said(snap_compare, app_on_bench, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")  # how Textual is told; nothing of ours is replaced
    assert snap_compare(app_on_bench, terminal_size=(80, 24), run_before=after("down", "space"))


def after(*keys: str) -> Callable[[Pilot[None]], object]:
    """Wait until the board is rated, then press keys; each time until nothing is being worked out."""

    async def run(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: getattr(pilot.app.screen, "board", None) is not None)
        await until(pilot, lambda: pilot.app.session.plan is not None)  # type: ignore[attr-defined]
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        for box in pilot.app.screen.query(Input):
            box.cursor_blink = False
        if keys[-1] == "enter":
            await until(pilot, lambda: getattr(pilot.app.screen, "page", None) is not None)
        await settle(pilot)

    return run
