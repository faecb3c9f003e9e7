"""How the list of judgments, one judgment, and the review look, from the smallest terminal to a roomy one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from judged_bench import make_bench, settle, until
from textual.pilot import Pilot
from textual.widgets import Input

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession

SIZES = [(60, 20), (80, 24), (120, 34)]
KEYS = {
    "list": ("judgments", ()),
    "filter": ("judgments", ("f", "space")),
    "one": ("judgments", ("o", "down", "enter")),
    "prompt": ("judgments", ("o", "down", "enter", "i")),
    "markdown": ("judgments", ("o", "down", "enter", "m", "r", "tab", "tab")),
    "blind": ("review", ()),
    "revealed": ("review", ("a",)),
}


@pytest.fixture
def app_on_bench(tmp_path: Path) -> Callable[[str], ArenaApp]:
    make_bench(tmp_path)

    def make(mode: str) -> ArenaApp:
        session = ArenaSession(Invocation(tmp_path / "config.toml"))
        session.reviewer = "anna"
        return ArenaApp(session, mode)

    return make


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("what", KEYS)
def test_it_looks_as_it_did(snap_compare, app_on_bench, what: str, size: tuple[int, int]):
    mode, keys = KEYS[what]
    assert snap_compare(app_on_bench(mode), terminal_size=size, run_before=after(*keys))


def test_without_colours_everything_is_still_said(snap_compare, app_on_bench, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")  # how Textual is told; nothing of ours is replaced
    assert snap_compare(app_on_bench("judgments"), terminal_size=(80, 24), run_before=after("down", "enter"))


def after(*keys: str) -> Callable[[Pilot[None]], object]:
    """Wait until the judgments are read, then press keys."""

    async def run(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: getattr(pilot.app.screen, "is_read", False))
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        for box in pilot.app.screen.query(Input):
            box.cursor_blink = False
        await settle(pilot)

    return run
