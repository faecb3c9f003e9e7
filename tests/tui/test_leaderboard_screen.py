"""The leaderboard in the terminal UI: the demo ends in it, its choices change what is rated, and everything opens."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from judged_bench import CONFIG, QUESTIONS, answer, judgment, make_bench, opened, painted, settle, until, write
from textual.pilot import Pilot

from arena_tui.app import ArenaApp
from arena_tui.board.board_table import BoardTable
from arena_tui.board.contrast_screen import ContrastList, ContrastScreen
from arena_tui.board.contrast_viewer import ContrastViewer
from arena_tui.board.difference_screen import DifferenceScreen
from arena_tui.board.group_table import FOLDED, _name, arranged
from arena_tui.board.leaderboard_screen import LeaderboardScreen
from arena_tui.board.model_screen import ModelScreen
from arena_tui.board.pages import AuditScreen, GivenUp, Report
from arena_tui.board.rating import GroupRow
from arena_tui.invocation import Invocation
from arena_tui.judgments.page import ReadingPane
from arena_tui.judgments.viewer_screen import ViewerScreen
from arena_tui.session.arena_session import ArenaSession
from engine.auditing.report import AuditReport
from engine.bench import Bench
from engine.bench.digest import inputs_digest
from engine.ratings.leaderboard import Row


def shown(app: ArenaApp) -> list[str]:
    """The models on the board, from the top."""
    return [row.row.model for row in app.screen.query_one(BoardTable).rows]


async def rated(pilot: Pilot[None]) -> LeaderboardScreen:
    """The screen, when it has rated what it was asked to."""
    screen = pilot.app.screen
    assert isinstance(screen, LeaderboardScreen)
    await until(pilot, lambda: screen.board is not None)
    await settle(pilot)
    return screen


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_the_demo_starts_by_itself_and_ends_in_its_leaderboard(tmp_path: Path, size):
    session = ArenaSession(Invocation(data=tmp_path / "data", demo=True))
    app = ArenaApp(session)
    try:
        async with app.run_test(size=size) as pilot:
            async with asyncio.timeout(60):
                while not isinstance(app.screen, LeaderboardScreen):
                    await pilot.pause(0.05)
            await rated(pilot)
            await until(pilot, lambda: "PROVISIONAL" not in painted(app))
            assert shown(app)[0] == "sim-strong"
            assert shown(app)[-1] == "sim-tiny"
            assert shown(app).index("sim-strong") < shown(app).index("sim-baseline")
    finally:
        await session.close()


async def test_a_bench_without_judgments_says_so_and_fills_as_soon_as_there_are_some(tmp_path: Path):
    bench = make_bench(tmp_path, judged=False)
    async with at_board(tmp_path) as (app, pilot):
        await until(pilot, lambda: "nothing to rate yet" in painted(app))
        write(bench / "model_judgment" / "the-judge" / "good-model.jsonl", *map(good, QUESTIONS))
        await press(pilot, "R")
        await rated(pilot)
        assert "good-model" in shown(app)


async def test_the_row_that_was_chosen_stays_chosen_when_numbers_move(tmp_path: Path):
    bench = make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        screen = await rated(pilot)
        assert shown(app) == ["good-model", "base", "bad-model"]
        await press(pilot, "end")
        better = [{**judgment("good-model", key), "model": "bad-model"} for key in QUESTIONS]
        for record in better:
            record["games"] = judgment("bad-model", record["question_id"])["games"]
            for game, label in zip(record["games"], ("B>>A", "A>>B"), strict=True):
                game["score"] = label
        write(bench / "model_judgment" / "the-judge" / "bad-model.jsonl", *better)
        before = screen.board
        await press(pilot, "R")
        await until(pilot, lambda: screen.board is not before)
        await settle(pilot)
        assert shown(app)[0] == "bad-model"
        row = app.screen.query_one(BoardTable).row
        assert row is not None
        assert row.row.model == "bad-model"


async def test_nothing_is_rated_twice(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (_, pilot):
        screen = await rated(pilot)
        before = screen.board
        await press(pilot, "R")
        assert screen.board is before
        await press(pilot, "v", "down", "down", "down", "right")
        assert screen.board is not before
        await press(pilot, "left")
        assert screen.board is before


async def test_options_change_the_interval_the_weight_and_the_games(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        screen = await rated(pilot)
        await press(pilot, "v", "down")
        for key, words in (
            ("down", ""),
            ("right", "clustered errors"),
            ("right", "CI by battle"),
            ("down", ""),
            ("right", "count 1"),
            ("down", ""),
            ("right", "first games only"),
        ):
            await press(pilot, key)
            assert words in painted(app)
        await press(pilot, "escape")
        assert screen.board is not None
        options = screen.board.options
        assert (options.ci, options.weight, options.first_game_only) == ("battle", 1, True)
        await press(pilot, "x")
        assert screen.board.options.ci == "question"


async def test_options_are_changed_in_a_dialog_as_well(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        screen = await rated(pilot)
        await press(pilot, "v", "down", "down", "right")
        assert "clustered errors" in painted(app)
        await press(pilot, "left", "escape")
        assert screen.choices.ci == "question"


async def test_only_the_questions_of_a_category_count_when_it_is_picked(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        screen = await rated(pilot)
        await press(pilot, "c", *"poet", "enter")
        assert "category poetry" in painted(app)
        assert screen.board is not None
        assert {row.model: row.questions for row in screen.board.leaderboard.rows}["good-model"] == 1
        assert not any("not in the question set" in text for text in screen.board.leaderboard.warnings)


async def test_style_control_rates_with_the_answers_of_the_bench(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        await rated(pilot)
        await press(pilot, "v", "end", "right", "escape")
        await until(pilot, lambda: "length and markdown controlled" in painted(app))
        await until(pilot, lambda: "own style" in painted(app))


async def test_rows_are_sorted_by_any_column_and_found_by_name(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        await rated(pilot)
        await press(pilot, "o")
        assert shown(app) == ["bad-model", "base", "good-model"]
        await press(pilot, "O")
        assert shown(app) == ["good-model", "base", "bad-model"]
        await press(pilot, "slash", *"good", "enter")
        assert shown(app) == ["good-model"]
        await press(pilot, "x")
        assert len(shown(app)) == 3
        await press(pilot, "slash", *"good", "enter", "escape")
        assert len(shown(app)) == 3, "Escape clears the search, as in the judgments"


async def test_a_difference_on_enough_questions_says_with_which_margin_a_gate_would_pass(tmp_path: Path):
    (tmp_path / "config.toml").write_text(CONFIG)
    bench = tmp_path / "data" / "small"
    for number in range(40):
        write(bench / "question.jsonl", {"question_id": f"q{number}", "turns": [{"content": "?"}]})
        write(bench / "model_answer" / "base.jsonl", answer("base", f"q{number}", "base"))
        for model, share in (("good", 0.75), ("bad", 0.5)):
            write(bench / "model_answer" / f"{model}.jsonl", answer(model, f"q{number}", model))
            inputs = inputs_digest(["?"], ["base"], [model])
            labels = ("B>A", "A>B") if number % 4 < 4 * share else ("A>B", "B>A")
            games = [{"user_prompt": "", "judgment": "", "score": label} for label in labels]
            judged = {"question_id": f"q{number}", "model": model, "judge": "the-judge", "baseline": "base"}
            write(
                bench / "model_judgment" / "the-judge" / f"{model}.jsonl", judged | {"games": games, "inputs": inputs}
            )
    async with at_board(tmp_path, (120, 40)) as (app, pilot):
        await rated(pilot)
        await press(pilot, "space", "down", "space", "d")
        await until(pilot, lambda: "gate         passes with any margin" in painted(app))
        await press(pilot, "O")
        await until(pilot, lambda: "gate         passes with a margin of" in painted(app))


async def test_two_marked_models_are_compared_paired_by_question(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        await rated(pilot)
        await press(pilot, "space", "end", "space", "d")
        assert isinstance(app.screen, DifferenceScreen)
        await until(pilot, lambda: "p-value" in painted(app))
        page = painted(app)
        assert "good-model" in page
        assert "bad-model" in page
        assert "95% CI [" in page
        assert "3 in common" in page
        difference = page.partition("difference")[2].split()[0]
        await press(pilot, "O")
        await until(pilot, lambda: difference not in painted(app))
        assert painted(app).partition("difference")[2].split()[0] == difference.replace("+", "-")
        await press(pilot, "escape")
        assert isinstance(app.screen, LeaderboardScreen)


async def test_a_difference_opens_its_questions_and_both_answers_beside_the_baselines(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path, (118, 40)) as (app, pilot):
        await rated(pilot)
        await press(pilot, "space", "end", "space", "d", "enter")
        await until(pilot, lambda: "3 common" in painted(app))
        listing = app.screen
        assert isinstance(listing, ContrastScreen)
        margins = [row.margin for row in app.screen.query_one(ContrastList).rows]
        assert len(margins) > 1
        assert margins == sorted(margins, reverse=True)
        await press(pilot, "f")
        assert all(row.margin > 0 for row in app.screen.query_one(ContrastList).rows)
        await press(pilot, "f", "f")
        assert all(row.is_flip for row in app.screen.query_one(ContrastList).rows)
        await press(pilot, "f", "O")
        assert {row.margin for row in app.screen.query_one(ContrastList).rows} == {-margin for margin in margins}
        await press(pilot, "O", "f", "enter")
        assert isinstance(app.screen, ContrastViewer)
        await until(pilot, lambda: "A: good-model" in painted(app))
        titles = next(line for line in painted(app).splitlines() if "A: good-model" in line)
        assert "B: bad-model" in titles
        assert "baseline: base" in titles, "all three side by side"
        assert "Judge on B, game 2" in painted(app)
        pane = app.screen.query_one(ReadingPane)
        await press(pilot, "D")
        assert {"Well", "Nobody"} <= set(underlined(pane)), "words that only one answer has"
        assert not {"sky", "plain."} & set(underlined(pane)), "neither the question nor the baseline's answer"
        await press(pilot, "D")
        assert not underlined(pane)
        first = app.screen.rows[app.screen.index]
        await press(pilot, "right")
        assert app.screen.rows[app.screen.index] is not first
        await press(pilot, "escape")
        assert app.screen is listing
        assert listing.query_one(ContrastList).cursor == 1


def underlined(pane: ReadingPane) -> list[str]:
    parts = [part for y in range(pane.size.height) for part in pane.render_line(y)]
    return [part.text for part in parts if part.style and part.style.underline]


def test_groups_of_few_questions_are_folded_and_the_others_sorted_by_their_upper_limit():
    def group(name: str, questions: int, upper: float) -> GroupRow:
        numbers = {"score": upper - 5, "lower": upper - 10, "upper": upper, "avg_tokens": None, "questions": questions}
        row = Row(rank=1, model="m", games=2 * questions, unparsed=0, missing=0, **numbers)
        return GroupRow(name, questions, row)

    groups = [group("strong", 40, 90), group("weak", 30, 40), group("tiny", 3, 30), group("small", 9, 99)]
    assert [each.name for each in arranged(groups)] == ["weak", "strong", FOLDED]
    assert [each.name for each in arranged(groups, unfolded=True)] == ["weak", "strong", FOLDED, "tiny", "small"]
    folded = arranged(groups)[-1]
    assert [_name(folded, width) for width in (27, 16)] == ["+ 2 with under 10 questions", "+ 2 under 10"]
    assert [each.name for each in arranged(groups[2:])] == ["tiny", "small"], "nothing is folded without a large one"


async def test_without_marks_a_model_is_compared_with_the_baseline(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        await rated(pilot)
        await press(pilot, "d")
        await until(pilot, lambda: "p-value" in painted(app))
        assert "better" in painted(app) or "undecided" in painted(app)
        assert isinstance(app.screen, DifferenceScreen)
        assert app.screen.pair == ("good-model", "base")


async def test_a_models_page_opens_and_its_hardest_loss_opens_in_the_viewer(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path, size=(120, 40)) as (app, pilot):
        await rated(pilot)
        await press(pilot, "end", "enter")
        screen = app.screen
        assert isinstance(screen, ModelScreen)
        await until(pilot, lambda: "Hardest losses" in painted(app))
        page = painted(app)
        assert "science" in page
        assert "poetry" in page
        assert "3 questions: + 0 won" in page
        losses = app.screen.query_one("#losses").rows  # type: ignore[attr-defined]
        assert [row.row.question_id for row in losses] == ["q1", "q2", "q3"]  # from the clearest one
        await press(pilot, "enter")
        assert isinstance(app.screen, ViewerScreen)
        assert app.screen.row.row.question_id == "q1"
        await press(pilot, "right", "escape")
        assert app.screen is screen
        assert screen.query_one("#losses").row.row.question_id == "q2"  # type: ignore[attr-defined]


async def test_the_losses_of_one_category_are_listed_alone(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path, size=(120, 40)) as (app, pilot):
        await rated(pilot)
        await press(pilot, "end", "enter")
        await until(pilot, lambda: "Hardest losses" in painted(app))
        await press(pilot, "shift+tab")
        groups = app.screen.query_one("#groups")
        names = [row.name for row in groups.rows]  # type: ignore[attr-defined]
        await press(pilot, *["down"] * names.index("poetry"), "enter")
        losses = app.screen.query_one("#losses").rows  # type: ignore[attr-defined]
        assert [row.row.question_id for row in losses] == ["q2"]
        await press(pilot, "escape")
        assert len(app.screen.query_one("#losses").rows) == 3  # type: ignore[attr-defined]


async def test_the_audit_page_says_whether_to_trust_the_judge(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        await rated(pilot)
        await press(pilot, "J")
        screen = app.screen
        assert isinstance(screen, AuditScreen)
        await until(pilot, lambda: screen.found is not None)
        await settle(pilot)
        assert "trust:" in painted(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, LeaderboardScreen)


async def test_the_plan_of_a_study_and_all_pairs_are_a_key_away(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path, size=(120, 40)) as (app, pilot):
        await rated(pilot)
        await press(pilot, "number_sign")
        await until(pilot, lambda: "80% power" in painted(app))
        assert "two models, same questions" in painted(app)
        await press(pilot, "escape", "h")
        await until(pilot, lambda: "of 3 pairs are decided" in painted(app))
        await press(pilot, "end", "home", "right", "right")
        page = painted(app)
        assert "good-model" in page.splitlines()[-3], "the pair under the cursor in words"
        assert "corrected" in page
        await press(pilot, "enter")
        assert isinstance(app.screen, DifferenceScreen)
        await press(pilot, "escape", "escape")
        assert isinstance(app.screen, LeaderboardScreen)


async def test_an_audit_is_cancelled_when_the_user_leaves(tmp_path: Path):
    make_bench(tmp_path)
    left, ended = threading.Event(), []

    class WaitingAudit(AuditScreen):
        """Waits until the user leaves."""

        def find(self, report: Report) -> AuditReport:
            report("waiting")
            assert left.wait(30)
            try:
                report("still waiting")
            except GivenUp:
                ended.append("cancelled")
                raise
            raise AssertionError("not cancelled")

    async with at_board(tmp_path) as (app, pilot):
        screen = await rated(pilot)
        await app.push_screen(WaitingAudit(screen.session, screen.choices))
        await until(pilot, lambda: "Escape cancels" in painted(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, LeaderboardScreen))
        left.set()
        await settle(pilot)
        assert ended == ["cancelled"]


async def test_a_hostile_name_stays_in_its_column(tmp_path: Path):
    bench = make_bench(tmp_path)
    name = "evil\u202e\u200b[b]x"
    write(
        Bench.open(bench.parent, bench.name).paths.judgments("the-judge", name),
        *({**judgment("good-model", key), "model": name} for key in QUESTIONS),
    )
    async with at_board(tmp_path, size=(120, 40)) as (app, pilot):
        await rated(pilot)
        assert name in shown(app)
        for keys in ((), ("end", "space", "home", "space", "d"), ("escape", "enter")):
            await press(pilot, *keys)
            page = painted(app)
            assert "\u202e" not in page
            assert "\u200b" not in page
            assert "[b]x" in page or keys


async def test_cautions_are_shown_and_open_in_full(tmp_path: Path):
    make_bench(tmp_path)
    async with at_board(tmp_path) as (app, pilot):
        await rated(pilot)
        assert "! 3 questions; below 30" in painted(app)
        await press(pilot, "exclamation_mark")
        assert "Warnings about these numbers" in painted(app)
        assert "below 30 intervals hold the truth but are wide" in painted(app)


def at_board(folder: Path, size: tuple[int, int] = (80, 24)):  # type: ignore[no-untyped-def]
    return opened(folder, "leaderboard", size, ready=lambda app: app.session.plan is not None)


def good(question_id: str) -> dict[str, object]:
    return judgment("good-model", question_id)
