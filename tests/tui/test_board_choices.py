"""The choices of a leaderboard in the UI: each value in words, each step there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from judged_bench import make_bench

from arena_tui.board.choices import NAMES, BoardChoice, BoardChoices
from arena_tui.board.rating import BoardRater
from arena_tui.invocation import Invocation
from arena_tui.session.arena_session import ArenaSession


@pytest.mark.parametrize("choice", get_args(BoardChoice))
def test_every_choice_has_a_name_and_steps_there_and_back(choice: BoardChoice) -> None:
    start = BoardChoices()
    there = start.step(choice, 1, ("one", "other"), ())
    assert 0 < len(NAMES[choice]) < 26, "a blank stays between the name and its value"
    assert there.describe(choice)
    assert there.step(choice, -1, ("one", "other"), ()) == start
    if choice not in ("judge", "group"):
        assert there.phrases(), "what differs from the default is named above the rows"


async def test_pairs_with_an_unparsed_game_and_judgments_that_cannot_be_checked_can_be_left_out(tmp_path: Path) -> None:
    file = make_bench(tmp_path) / "model_judgment" / "the-judge" / "bad-model.jsonl"
    stored = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for record in stored:  # as public sets are published, to save space
        record["games"] = [game and {"score": game["score"]} for game in record["games"]]
    file.write_text("".join(json.dumps(record) + "\n" for record in stored), "utf-8")
    session = ArenaSession(Invocation(tmp_path / "config.toml"))
    await session.open()
    try:
        judged = await session.judged()
        kept = BoardRater().rate(session.bench, judged, BoardChoices()).leaderboard
        dropped = BoardRater().rate(session.bench, judged, BoardChoices(null_games="drop-pair")).leaderboard
        games = {row.model: row.games for row in kept.rows}
        assert any(row.games < games[row.model] for row in dropped.rows)
        assert all(row.unparsed == 0 for row in dropped.rows)
        assert any("left out with their pair" in warning for warning in dropped.warnings)
        strict = await session.judged(strict=True)
        assert len(strict.battles) < len(judged.battles)
        assert any("cannot be checked" in text and "are not counted" in text for text in strict.warnings)
        assert (await session.judged()) is judged
    finally:
        await session.close()
