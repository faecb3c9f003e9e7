"""A list and the detail of its row: side by side from 120 columns on, with the focus moving between them."""

from __future__ import annotations

from pathlib import Path

from judged_bench import ANSWERS, make_bench, opened, painted, settle, until

from arena_tui.board.board_table import BoardTable
from arena_tui.board.group_table import GroupTable
from arena_tui.board.model_panel import ModelPanel
from arena_tui.board.model_screen import ModelScreen
from arena_tui.judgments.judgment_list import JudgmentList
from arena_tui.judgments.preview import JudgmentPreview, PreviewPane


def rated(app) -> bool:
    return getattr(app.screen, "board", None) is not None


async def test_the_leaderboard_has_the_summary_of_its_row_beside_it(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "leaderboard", (120, 34), ready=rated) as (app, pilot):
        panel, table = app.screen.query_one(ModelPanel), app.screen.query_one(BoardTable)
        table.move_to_key("bad-model")
        await until(pilot, lambda: "+ 0 won" in painted(app))
        assert panel.model == "bad-model"
        table.move_to_key("good-model")
        await until(pilot, lambda: "+ 1 won" in painted(app))
        assert panel.model == "good-model"
        table.move_to_key("base")
        await until(pilot, lambda: "the baseline: 50 by definition" in painted(app))


async def test_a_group_beside_the_leaderboard_opens_the_model_on_it(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "leaderboard", (120, 34), ready=rated) as (app, pilot):
        app.screen.query_one(BoardTable).move_to_key("bad-model")
        groups = app.screen.query_one(GroupTable)
        await until(pilot, lambda: "+ 0 won" in painted(app))
        await pilot.press("tab")
        assert app.focused is groups
        groups.move_to_key("poetry")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen))
        assert isinstance(app.screen, ModelScreen)
        assert (app.screen.model, app.screen.group) == ("bad-model", "poetry")


async def test_a_narrow_terminal_shows_the_list_alone_and_gets_the_detail_when_it_grows(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "leaderboard", (100, 30), ready=rated) as (app, pilot):
        panel = app.screen.query_one(ModelPanel)
        assert not panel.display
        assert "won" not in painted(app)
        await pilot.resize_terminal(140, 30)
        await until(pilot, lambda: "won" in painted(app))
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert not panel.display
        assert app.screen.query_one(BoardTable).size.width == 80


async def test_the_judgments_have_their_text_beside_them(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments", (160, 40)) as (app, pilot):
        judgments, pane = app.screen.query_one(JudgmentList), app.screen.query_one(PreviewPane)
        await until(pilot, lambda: ANSWERS["bad-model"] in painted(app))
        judgments.move_to(len(judgments.rows) - 1)
        await until(pilot, lambda: "A good answer with `code`" in painted(app))
        await pilot.press("tab")
        assert app.focused is pane
        await pilot.press("end")
        assert pane.scroll_offset.y == pane.max_scroll_y
        await pilot.press("escape")
        assert app.focused is judgments


async def test_the_text_beside_the_judgments_follows_the_search(tmp_path: Path):
    make_bench(tmp_path)
    async with opened(tmp_path, "judgments", (160, 40)) as (app, pilot):
        await pilot.press("slash", *"moon")
        await until(pilot, lambda: "2 of 6 judgments" in painted(app))
        await until(pilot, lambda: "How far away is the moon, and how do we know?" in painted(app))
        await pilot.press(*"xyz")
        await until(pilot, lambda: "0 of 6 judgments" in painted(app))
        assert app.screen.query_one(JudgmentPreview).row is None
        assert "How far away" not in painted(app)
