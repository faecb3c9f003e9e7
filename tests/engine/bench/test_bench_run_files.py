"""Finished parts survive until their record is whole; files of runs are written whole, or skipped if unreadable."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench import Bench
from engine.bench.atomic import partial_name
from engine.bench.lines import encode_line
from engine.bench.run_files import compact, load_journal, load_runs, write_run
from engine.errors import StorageError
from engine.judging.probabilities import normalised
from engine.labels import LABELS
from engine.records import AnswerPart, AnswerRecord, Choice, Game, GamePart, JudgmentRecord, Turn, Usage


def answer_part(question_id="q", *, index=0, settings="s", text="text") -> AnswerPart:
    choice = Choice(index, (Turn(text, 1),))
    return AnswerPart(question_id, "m", settings, choice, "stop", "server", None, Usage(1, 2))


def game_part(question_id="q", *, number=1, settings="s", inputs="i") -> GamePart:
    return GamePart(question_id, "m", "j", settings, inputs, number, Game("p", "says", "A>B", asks=2))


def answer(question_id, settings) -> bytes:
    return encode_line(AnswerRecord(question_id, "a", "m", (Choice(0, (Turn("text", 1),)),), settings=settings))


def judgment(question_id, games=2, settings="s", inputs="i") -> bytes:
    played = (Game("p", "says", "A=B"),) * games + (None,) * (2 - games)
    return encode_line(JudgmentRecord(question_id, "m", "j", played, "base", 0.0, settings, inputs))


def test_parts_come_back_as_they_went_in(bench):
    parts = [answer_part(), answer_part(index=1), game_part(), game_part(number=2)]
    compact(bench.journal, parts)
    assert load_journal(bench.journal).items == parts


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.none() | st.floats(0, 1))
def test_probabilities_of_a_game_come_back_as_they_went_in(tmp_path_factory, weights, mass):
    reported = normalised(dict(zip(LABELS, weights, strict=True)))
    game = Game("p", "A", "A>B", probabilities=reported, label_mass=mass)
    journal = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    compact(journal, [GamePart("q", "m", "j", "s", "i", 1, game)])
    assert load_journal(journal).items[0].game == game


def test_of_one_call_made_twice_the_last_counts(bench):
    compact(bench.journal, [answer_part(text="first"), game_part(), answer_part(text="second")])
    assert load_journal(bench.journal).items == [answer_part(text="second"), game_part()]


def test_calls_with_other_settings_or_texts_are_other_calls(bench):
    parts = [answer_part(), answer_part(settings="t"), game_part(), game_part(settings="t"), game_part(inputs="k")]
    compact(bench.journal, parts)
    assert load_journal(bench.journal).items == parts


def test_a_line_that_is_no_part_is_reported_and_skipped(bench):
    bench.journal.write_bytes(encode_line(game_part()) + b'{"type":"song"}\n{"torn')
    loaded = load_journal(bench.journal)
    assert loaded.items == [game_part()]
    assert [problem.line for problem in loaded.problems] == [2, 3]


def test_no_journal_and_no_parts_are_the_same(bench):
    assert load_journal(bench.journal).items == []
    compact(bench.journal, [game_part()])
    compact(bench.journal, [])
    assert not bench.journal.exists()
    compact(bench.journal, [])


def test_a_journal_that_cannot_be_written_is_reported_and_stays(bench):
    compact(bench.journal, [game_part()])
    partial_name(bench.journal).mkdir()
    with pytest.raises(StorageError):
        compact(bench.journal, [game_part(), answer_part()])
    assert load_journal(bench.journal).items == [game_part()]


def test_compacting_drops_what_stands_in_a_record_and_keeps_all_else(bench):
    bench.answers_dir.mkdir()
    bench.answers("m").write_bytes(answer("whole", "s") + answer("foreign", None) + answer("refreshing", "old"))
    bench.judgments("j", "m").parent.mkdir(parents=True)
    bench.judgments("j", "m").write_bytes(
        judgment("whole") + judgment("half", games=1) + judgment("changed", inputs="old")
    )
    waiting = [
        answer_part("unanswered"),
        answer_part("refreshing"),
        game_part("unjudged"),
        game_part("half"),
        game_part("changed"),
        game_part("whole", settings="other"),
    ]
    compact(bench.journal, [answer_part("whole"), answer_part("foreign"), game_part("whole"), *waiting])

    facade = Bench(bench.root)
    facade.compact_journal()
    assert facade.journal() == waiting


def test_a_journal_of_finished_records_is_removed(bench):
    bench.answers_dir.mkdir()
    bench.answers("m").write_bytes(answer("q", "s"))
    compact(bench.journal, [answer_part("q")])
    Bench(bench.root).compact_journal()
    assert not bench.journal.exists()


def test_runs_come_back_the_oldest_first_and_what_is_no_run_is_passed_over(tmp_path: Path):
    write_run(tmp_path / "runs" / "20260102-000000-b.json", {"outcome": "done"})
    write_run(tmp_path / "runs" / "20260101-000000-a.json", {"outcome": "failed"})
    (tmp_path / "runs" / "20260103-000000-c.json").write_bytes(b"{")
    (tmp_path / "runs" / "20260104-000000-d.json").write_bytes(b"[]")
    assert load_runs(tmp_path / "runs") == [
        {"id": "20260101-000000-a", "outcome": "failed"},
        {"id": "20260102-000000-b", "outcome": "done"},
    ]


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        write_run(tmp_path / "runs" / "20260101-000000-a.json", {})
