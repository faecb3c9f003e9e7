"""Keys of a config are on no screen, and not in what is printed when the program itself breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from judged_bench import CONFIG, make_bench, settle, until

from arena_tui import console
from arena_tui.app import ArenaApp
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession
from arena_tui.widgets.screens import MODES
from engine.models.endpoint import Endpoint

KEY = "planted-0123456789-key"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A judged bench with a config that holds a key."""
    make_bench(tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG.replace("${A_KEY_THAT_NOBODY_HAS}", KEY))
    return tmp_path


async def test_no_screen_shows_a_key(home):
    session = ArenaSession(Invocation(home / "config.toml"))
    app = ArenaApp(session)
    try:
        async with app.run_test(size=(160, 50)) as pilot:
            await until(pilot, lambda: session.is_open)
            shown = []
            for mode in MODES:
                app.action_show_mode(mode.name)
                await settle(pilot)
                shown.append(app.export_screenshot())
                for key in ["question_mark", *(["enter"] if mode.name == "judgments" else [])]:
                    await pilot.press(key)
                    await settle(pilot)
                    shown.append(app.export_screenshot())
                    await pilot.press("escape")
                    await settle(pilot)
            assert len({len(picture) for picture in shown}) > len(MODES), "they are different screens"
            assert not [picture for picture in shown if KEY in picture or KEY[:14] in picture]
    finally:
        await session.close()


async def test_a_crash_of_the_ui_prints_where_and_neither_keys_nor_escapes(home, capfd):
    session = ArenaSession(Invocation(home / "config.toml"))
    app = ArenaApp(session)

    def broken() -> None:
        endpoint = Endpoint("http://127.0.0.1:9/v1", KEY)
        headers = endpoint.headers()
        raise RuntimeError(f"a reply: \x1b]0;owned\x07\x1b[2J{len(headers)}")

    async def shown() -> None:
        async with app.run_test() as pilot:
            app.call_later(broken)
            await until(pilot, lambda: bool(app._exit_renderables))

    try:
        with pytest.raises(RuntimeError, match="a reply"):
            await shown()
    finally:
        await session.close()
    printed = capfd.readouterr().err
    assert "broken" in printed
    assert "RuntimeError" in printed
    assert KEY not in printed
    assert not {"\x1b", "\x07"} & set(printed)


def test_a_bug_is_reported_in_full_and_without_escapes(capfd):
    try:
        raise RuntimeError("a reply: \x1b]0;owned\x07")
    except RuntimeError:
        assert console.report_bug() == console.FAILED
    printed = capfd.readouterr().err
    assert "Traceback" in printed
    assert "a reply" in printed
    assert "a bug in the program" in printed
    assert not {"\x1b", "\x07"} & set(printed)
