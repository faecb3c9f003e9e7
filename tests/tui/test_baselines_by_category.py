"""Baselines by category on the screens: boards, the viewer and the review name the baseline of the question."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from judged_bench import ANSWERS, CONFIG, LABELS, QUESTIONS, make_bench, opened, painted, settle, until, write

from arena_tui.board.board_table import BoardTable
from arena_tui.board.choices import Group
from arena_tui.board.leaderboard_screen import LeaderboardScreen
from arena_tui.judgments.viewer_screen import ViewerScreen
from arena_tui.review.review_screen import ReviewScreen
from engine.bench.digest import inputs_digest

OWN = {"science": "base", "poetry": "bad-model"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bench whose poetry is compared with bad-model."""
    bench = make_bench(tmp_path, judged=False)
    rule = '[[judge.by_category]]\ncategory = "poetry"\nbaseline = "bad-model"\nprompt = "creative"\n'
    (tmp_path / "config.toml").write_text(CONFIG.replace("[models.the-judge]", f"{rule}[models.the-judge]"))
    for key, (category, text) in QUESTIONS.items():
        baseline = OWN[category]
        games = [{"user_prompt": "", "judgment": f"[[{label}]]", "score": label} for label in LABELS["good-model", key]]
        record = {"question_id": key, "model": "good-model", "judge": "the-judge", "games": games}
        inputs = inputs_digest((text,), (ANSWERS[baseline],), (ANSWERS["good-model"],))
        write(
            bench / "model_judgment" / "the-judge" / "good-model.jsonl",
            record | {"baseline": baseline, "inputs": inputs},
        )
    key, label = "q1", "A>B"
    games = [{"user_prompt": "", "judgment": f"[[{label}]]", "score": label}] * 2
    record = {"question_id": key, "model": "bad-model", "judge": "the-judge", "games": games, "baseline": "base"}
    inputs = inputs_digest((QUESTIONS[key][1],), (ANSWERS["base"],), (ANSWERS["bad-model"],))
    write(bench / "model_judgment" / "the-judge" / "bad-model.jsonl", record | {"inputs": inputs})
    return tmp_path


async def test_the_board_names_the_baseline_of_each_category(folder: Path) -> None:
    def is_rated(app: object) -> bool:
        return getattr(app.screen, "board", None) is not None  # type: ignore[attr-defined]

    async with opened(folder, "leaderboard", ready=is_rated) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, LeaderboardScreen)
        rows = app.screen.query_one(BoardTable).rows
        assert {row.row.model: row.is_baseline for row in rows} == {"base + bad-model": True, "good-model": False}
        assert "baseline bad-model (poetry) · baseline base (science)" in painted(app)
        assert screen.board is not None
        assert set(screen.board.ranges) == {"base + bad-model", "good-model"}  # bad-model is ranked in science alone
        screen.choose(msgspec.structs.replace(screen.choices, group=Group("category", "poetry", 1)))
        await until(pilot, lambda: screen.board is not None and screen.board.options.baseline == "bad-model")
        await settle(pilot)
        rows = app.screen.query_one(BoardTable).rows
        assert {row.row.model: row.is_baseline for row in rows} == {"bad-model": True, "good-model": False}


async def test_the_viewer_names_the_baseline_of_the_pair_and_shows_its_answer(folder: Path) -> None:
    async with opened(folder, "judgments") as (app, pilot):
        await pilot.press("down", "down", "enter")
        await settle(pilot)
        assert isinstance(app.screen, ViewerScreen)
        assert "good-model against bad-model" in painted(app)
        assert ANSWERS["bad-model"] in painted(app)


async def test_a_review_shows_the_answer_of_the_baseline_of_the_question(folder: Path) -> None:
    async with opened(folder, "review", ready=lambda app: isinstance(app.screen, ReviewScreen)) as (app, _):
        library = app.session.library
        mine = [entry for entry in library.entries if entry.row.model == "good-model"]
        assert {entry.row.question_id: entry.baseline for entry in mine} == {
            "q1": "base",
            "q2": "bad-model",
            "q3": "base",
        }
        assert library.open_answers(("q2", "good-model")).baseline == "bad-model"
