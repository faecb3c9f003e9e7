"""How everything that lies over a screen looks, and the screens of a first start, at three sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from judged_bench import make_bench, settle, until
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.opening import ProblemScreen
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import THEMES
from arena_tui.widgets.dialogs import QuitScreen
from arena_tui.widgets.screens import show_notice
from engine.errors import ArenaError

SIZES = [(60, 20), (80, 24), (120, 34)]
TERMINALS_IN_TERMINALS = ("TMUX", "STY")  # in which copying is told about in more words
sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))

OVER_A_SCREEN = {
    "help-judgments": ("judgments", ("question_mark",)),
    "help-one": ("judgments", ("enter", "question_mark")),
    "help-review": ("review", ("question_mark",)),
    "copy": ("judgments", ("enter", "y")),
    "copied": ("judgments", ("enter", "y", "enter")),
    "palette": ("review", ("ctrl+p", *"theme:")),
    "search": ("judgments", ("slash", *"moon")),
    "note": ("review", ("a", "w", *"why")),
    "reviewed": ("review", ("0", "0", "0", "0", "0", "0")),
}


@sizes
@pytest.mark.parametrize("what", OVER_A_SCREEN)
def test_it_looks_as_it_did(snap_compare, tmp_path: Path, monkeypatch, what: str, size: tuple[int, int]):
    make_bench(tmp_path)
    for variable in TERMINALS_IN_TERMINALS:
        monkeypatch.delenv(variable, raising=False)
    mode, keys = OVER_A_SCREEN[what]
    assert snap_compare(app_on(tmp_path / "config.toml", mode), terminal_size=size, run_before=reading(*keys))


@sizes
@pytest.mark.parametrize("mode", ["judgments", "review"])
def test_empty_screens_say_what_to_do(snap_compare, tmp_path: Path, monkeypatch, mode: str, size: tuple[int, int]):
    bench = make_bench(tmp_path, judged=False)
    if mode == "review":
        for file in (bench / "model_answer").iterdir():
            file.unlink()
    monkeypatch.chdir(tmp_path)  # the file is named in what is shown
    assert snap_compare(app_on(Path("config.toml"), mode), terminal_size=size, run_before=reading())


@sizes
def test_a_config_that_cannot_be_used(snap_compare, tmp_path: Path, monkeypatch, size: tuple[int, int]):
    (tmp_path / "bad.toml").write_text('bench = "x"\n[judge]\nmodel = "j"\nbase = "b"\n[models.j]\nparalel = 3\n')
    monkeypatch.chdir(tmp_path)
    assert snap_compare(app_on(Path("bad.toml")), terminal_size=size, run_before=showing(ProblemScreen))


@sizes
def test_the_question_before_a_run_is_left(snap_compare, tmp_path: Path, size: tuple[int, int]):
    make_bench(tmp_path)

    async def ask(pilot: Pilot[None]) -> None:
        await reading()(pilot)
        pilot.app.push_screen(QuitScreen())
        await pilot.pause()

    assert snap_compare(app_on(tmp_path / "config.toml", "judgments"), terminal_size=size, run_before=ask)


@sizes
def test_an_error_is_a_notice_over_the_screen(snap_compare, tmp_path: Path, size: tuple[int, int]):
    make_bench(tmp_path)

    async def tell(pilot: Pilot[None]) -> None:
        await reading()(pilot)
        app = pilot.app
        assert isinstance(app, ArenaApp)
        show_notice(
            app, ArenaError("data/small/review/anna.jsonl: cannot be written (No space left)", "make room on the disk")
        )
        await pilot.pause()

    assert snap_compare(app_on(tmp_path / "config.toml", "judgments"), terminal_size=size, run_before=tell)


def test_without_colours_a_dialog_still_says_everything(snap_compare, tmp_path: Path, monkeypatch):
    make_bench(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")  # how Textual is told; nothing of ours is replaced
    app = app_on(tmp_path / "config.toml", "judgments")
    assert snap_compare(app, terminal_size=(80, 24), run_before=reading("f", "space"))


@pytest.mark.parametrize("theme", ["arena-light", "arena-contrast"])
def test_the_other_themes(snap_compare, tmp_path: Path, theme: str):
    make_bench(tmp_path)

    async def change(pilot: Pilot[None]) -> None:
        await reading("o", "down", "enter")(pilot)
        pilot.app.theme = theme
        await pilot.pause()

    assert snap_compare(app_on(tmp_path / "config.toml", "judgments"), terminal_size=(120, 34), run_before=change)


def app_on(config: Path | None, mode: str = "run") -> ArenaApp:
    session = ArenaSession(Invocation(config))
    session.reviewer = "anna"
    return ArenaApp(session, mode)


def reading(*keys: str) -> Callable[[Pilot[None]], object]:
    """Wait until the judgments are read, then press keys."""

    async def run(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: getattr(pilot.app.screen, "is_read", False))
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        if isinstance(pilot.app.screen, CommandPalette):
            await until(pilot, lambda: pilot.app.screen.query_one("CommandList").option_count == len(THEMES))
        for box in pilot.app.screen.query(Input):
            box.cursor_blink = False
        await settle(pilot)

    return run


def showing(kind: type[object]) -> Callable[[Pilot[None]], object]:
    """Wait until a screen of a kind is on top."""

    async def run(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, kind))
        await pilot.pause()

    return run
