"""Battles files of any origin are read for what they hold; what they do not say is reported."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from battle_builder import BattleBuilder

from engine.errors import BenchError, StorageError
from engine.formats.battles_file import load_battles, save_battles, save_bootstrap
from engine.ratings.estimate import RatingOptions, rate_battles


def line(question: object, winner: str = "model_b", model_a: str = "base", model_b: str = "model") -> str:
    return json.dumps({"question_id": question, "model_a": model_a, "model_b": model_b, "winner": winner})


def write(folder: Path, *lines: str, end: str = "\n", start: bytes = b"") -> Path:
    file = folder / "battles.jsonl"
    file.write_bytes(start + "".join(text + end for text in lines).encode())
    return file


def test_integer_ids_and_text_ids_are_the_same_questions(tmp_path: Path) -> None:
    loaded = load_battles(write(tmp_path, line(7), line("7", "model_a"), line("abc")))
    assert loaded.battles.questions == ("7", "abc")


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    loaded = load_battles(write(tmp_path, line(1), "", line(2), end="\r\n", start=b"\xef\xbb\xbf"))
    assert loaded.rows == 2
    assert loaded.problems == ()


def test_all_ways_to_say_tie_are_ties(tmp_path: Path) -> None:
    loaded = load_battles(write(tmp_path, line(1, "tie"), line(2, "tie (bothbad)"), line(3, "both_bad")))
    assert loaded.battles.points.tolist() == [0.5, 0.5, 0.5]


def test_bad_lines_are_reported_with_their_number_and_the_rest_is_used(tmp_path: Path) -> None:
    bad = ['{"question_id": 1', '{"question_id": 1, "model_a": "base"}', line(2, "nobody"), "\x00\x00"]
    loaded = load_battles(write(tmp_path, line(1), *bad, line(3)))
    assert loaded.rows == 2
    assert [problem.line for problem in loaded.problems] == [2, 3, 4, 5]
    assert "the winner 'nobody' is unknown" in loaded.problems[2].message


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path: Path) -> None:
    file = write(tmp_path, line(1))
    file.write_bytes(
        file.read_bytes() + b'{"question_id": "\xff\xfe", "model_a": "a", "model_b": "b", "winner": "tie"}\n'
    )
    loaded = load_battles(file)
    assert (loaded.rows, len(loaded.problems)) == (1, 1)


@pytest.mark.parametrize("content", ["", "\n\n", "not json\n"])
def test_a_file_without_any_battle_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(BenchError, match="holds no battle") as raised:
        load_battles(write(tmp_path, content, end=""))
    assert "winner" in raised.value.hint


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"nowhere\.jsonl: cannot be read"):
        load_battles(tmp_path / "nowhere.jsonl")


def test_another_weight_can_be_tried_on_a_published_file(tmp_path: Path) -> None:
    strong_win_and_plain_loss = [line(q, winner) for q in range(4) for winner in ("model_b",) * 3 + ("model_a",)]
    battles = load_battles(write(tmp_path, *strong_win_and_plain_loss)).battles
    score = {
        weight: rate_battles(battles, RatingOptions(baseline="base", weight=weight)).rate[1] for weight in (1, 3, 9)
    }
    assert score == {1: 0.5, 3: 0.75, 9: 0.9}
    first = rate_battles(battles, RatingOptions(baseline="base", first_game_only=True))
    assert first.rate[1] == 1.0


def test_a_file_made_with_another_weight_tells_it(tmp_path: Path) -> None:
    rows = [line(1)] * 10 + [line(2, "model_a")] * 2 + [line(3)] * 5 + [line(3, "model_a")]
    loaded = load_battles(write(tmp_path, *rows))
    assert loaded.weight == 5
    ratings = rate_battles(loaded.battles, RatingOptions(baseline="base", weight=loaded.weight))
    assert ratings.rate[1] == pytest.approx(15 / 18)  # as a plain count of the rows


def test_votes_that_are_not_pairs_of_games_count_as_they_stand(tmp_path: Path) -> None:
    votes = [line(1, winner) for winner in ("model_b", "model_a", "tie", "model_b", "model_b", "model_a", "tie")]
    loaded = load_battles(write(tmp_path, *votes))
    assert loaded.weight is None
    assert "1 of 1 comparisons cannot be traced back" in loaded.problems[0].message
    for weight in (1, 3):
        assert rate_battles(loaded.battles, RatingOptions(baseline="base", weight=weight)).rate[1] == 4 / 7
    assert not len(loaded.battles.first_games())


def test_saved_battles_repeat_strong_verdicts_and_leave_out_what_has_none(tmp_path: Path) -> None:
    builder = BattleBuilder()
    builder.add("q", "base", "модель/1", 1.0, strong=1.0, game=1)
    builder.add("q", "base", "модель/1", 0.5, game=2)
    builder.add("r", "base", "модель/1", math.nan, game=1)
    file = tmp_path / "saved.jsonl"
    assert save_battles(file, builder.build(), 2) == 3
    rows = [json.loads(text) for text in file.read_text("utf-8").splitlines()]
    assert [row["winner"] for row in rows] == ["model_b", "model_b", "tie"]
    assert set(rows[0]) == {"question_id", "model_a", "model_b", "winner"}
    assert load_battles(file).battles.models == ("base", "модель/1")


def test_half_known_strong_verdicts_are_saved_as_whole_rows_with_the_same_total(tmp_path: Path) -> None:
    loaded = load_battles(write(tmp_path, *[line(q) for q in range(3) for _ in range(4)]))
    for weight in (1, 2, 3, 4):
        assert save_battles(tmp_path / "saved.jsonl", loaded.battles, weight) == 3 * (weight + 1)


def test_infinite_and_undetermined_rounds_are_null_in_the_bootstrap_file(tmp_path: Path) -> None:
    file = tmp_path / "rounds.jsonl"
    save_bootstrap(file, ["low", "high", "none"], np.array([[0.25, 1.0, np.nan], [0.2, 0.9, np.nan]]))
    rows = [json.loads(text) for text in file.read_text("utf-8").splitlines()]
    assert [list(row) for row in rows] == [["high", "low"], ["high", "low"]]
    assert rows[0]["high"] is None
    assert rows[0]["low"] == pytest.approx(1000 - 400 * math.log10(3), abs=1e-9)


def test_a_file_that_cannot_be_written_is_a_storage_problem_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        save_battles(tmp_path / "no-such-folder" / "saved.jsonl", BattleBuilder().build(), 3)
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError):
        save_battles(tmp_path / "taken", BattleBuilder().build(), 3)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
