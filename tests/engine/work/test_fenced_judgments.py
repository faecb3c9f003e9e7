"""Runs with a fence around answers: what is stored can be checked, resumed, read again and rated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from desk import QUESTIONS

from engine.api import leaderboard
from engine.bench.settings import load_settings
from engine.judging.fence import fence_code
from engine.work.plan import Scope, make_plan

FENCED = {"fence": "nonce"}


async def test_each_game_has_a_code_of_its_own_that_its_record_gives_away_to_a_reader_alone(
    at_desk: Callable[..., Any],
) -> None:
    async with at_desk() as desk:
        await desk.run(judge=FENCED)
        games = [
            (record["question_id"], number, game)
            for model in ("good", "poor")
            for record in desk.judgments(model)
            for number, game in enumerate(record["games"], start=1)
        ]
        codes = {fence_code(game["fence"], question, number) for question, number, game in games}
        assert len(codes) == len(games) == 4 * QUESTIONS
        for question, number, game in games:
            code = fence_code(game["fence"], question, number)
            assert game["user_prompt"].count(f"<<<{code}\n") == game["user_prompt"].count(f"\n{code}>>>") == 2
        (settings,) = [each for each in load_settings(desk.bench / "settings.jsonl").values() if "judge" in each]
        assert settings["fence"] == "nonce"
        plan = make_plan(desk.config(judge=FENCED), desk.bench_files(), Scope())
        assert plan.calls == 0
        assert leaderboard(desk.config(judge=FENCED)).rows[0].model == "good"


async def test_turning_it_on_makes_the_judgments_stale_and_off_leaves_the_settings_as_they_were(
    at_desk: Callable[..., Any],
) -> None:
    async with at_desk() as desk:
        await desk.run()
        assert all("fence" not in game for record in desk.judgments("good") for game in record["games"])
        plan = make_plan(desk.config(judge=FENCED), desk.bench_files(), Scope())
        assert any("no fence (now nonce)" in warning for warning in plan.warnings)
        assert not any("fence" in settings for settings in load_settings(desk.bench / "settings.jsonl").values())


async def test_a_game_that_is_asked_again_or_resumed_keeps_its_code(at_desk: Callable[..., Any]) -> None:
    from engine.simulator import SimulatedJudge

    async with at_desk(judges=(SimulatedJudge(name="judge", unparsed_rate=1.0),)) as desk:
        await desk.run(judge={**FENCED, "retries": 1})
        before = {record["question_id"]: record["games"] for record in desk.judgments("good")}
        await desk.run(Scope(refresh=frozenset({"unparsed"})), judge={**FENCED, "retries": 3})
        after = {record["question_id"]: record["games"] for record in desk.judgments("good")}
        assert before.keys() == after.keys()
        for games in after.values():
            for game in games:
                assert game["asks"] > 1
                code = fence_code(game["fence"], next(k for k, v in after.items() if v is games), games.index(game) + 1)
                assert game["user_prompt"].count(code) == 4


async def test_prompts_alone_show_that_a_fenced_judgment_is_of_todays_texts(at_desk: Callable[..., Any]) -> None:
    async with at_desk() as desk:
        await desk.run(judge=FENCED)
        records = desk.judgments("good")
        for record in records:
            record.pop("inputs")  # as a program drops it that keeps the published fields alone
        desk.write("model_judgment/judge/good.jsonl", records)
        board = leaderboard(desk.config(judge=FENCED))
        assert next(row.questions for row in board.rows if row.model == "good") == QUESTIONS
        assert not any("cannot be checked" in warning for warning in board.warnings)
