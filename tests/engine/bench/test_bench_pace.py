"""The pace of calls is read from the times of records, without the pauses between runs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench.index import BenchIndex
from engine.bench.layout import BenchPaths
from engine.bench.pace import answering_pace, calls_per_second, judging_pace
from engine.records import AnswerRecord, Choice, Game, JudgmentRecord, Turn


def times(begin: float, count: int, each: float) -> list[float]:
    return [begin + each * index for index in range(count)]


def write(path: Path, records: list[msgspec.Struct]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    return path


def judgment(at: float, settings: str | None = "abc", asks: int = 1) -> JudgmentRecord:
    game = Game("prompt", "reply", "A=B")
    return JudgmentRecord(
        f"q{at}", "model", "judge", (msgspec.structs.replace(game, asks=asks), game), tstamp=at, settings=settings
    )


def test_calls_between_the_first_and_the_last_record_are_counted() -> None:
    assert calls_per_second([(at, 2) for at in times(1000.0, 101, 0.5)]) == pytest.approx(4.0)


def test_a_night_between_two_runs_is_no_work() -> None:
    both = [(at, 2) for at in times(1000.0, 101, 0.5) + times(40_000.0, 101, 0.5)]
    assert calls_per_second(both[::-1]) == pytest.approx(4.0)


def test_slow_calls_are_no_pauses() -> None:
    assert calls_per_second([(at, 1) for at in times(0.0, 30, 100.0)]) == pytest.approx(0.01)


def test_too_few_records_tell_nothing() -> None:
    assert calls_per_second([]) is None
    assert calls_per_second([(at, 2) for at in times(0.0, 19, 1.0)]) is None
    assert calls_per_second([(5.0, 2)] * 50) is None


@given(st.lists(st.tuples(st.floats(0, 1e9), st.integers(1, 6)), max_size=60))
def test_a_pace_is_above_zero_or_unknown(finished: list[tuple[float, int]]) -> None:
    pace = calls_per_second(finished)
    assert pace is None or pace > 0.0


def judged(bench: BenchPaths, *files: list[msgspec.Struct]) -> float | None:
    for number, records in enumerate(files):
        bench.judgments("judge", f"m{number}").parent.mkdir(parents=True, exist_ok=True)
        write(bench.judgments("judge", f"m{number}"), records)
    return judging_pace(BenchIndex(bench), ["judge", "another"])


def test_files_of_several_models_are_read_as_one_run(bench: BenchPaths) -> None:
    pace = judged(
        bench,
        [judgment(at) for at in times(1000.0, 40, 1.0)],
        [judgment(at) for at in times(1000.5, 40, 1.0)],
    )
    assert pace == pytest.approx(4.0)


def test_asks_are_calls(bench: BenchPaths) -> None:
    assert judged(bench, [judgment(at, asks=3) for at in times(1000.0, 41, 1.0)]) == pytest.approx(4.0)


def test_records_of_other_programs_do_not_count(bench: BenchPaths) -> None:
    assert judged(bench, [judgment(at, settings=None) for at in times(1000.0, 40, 1.0)]) is None


def test_answers_count_by_choices(bench: BenchPaths) -> None:
    choices = tuple(Choice(index, (Turn("text"),)) for index in range(2))
    records = [
        AnswerRecord(f"q{at}", "id", "model", choices, tstamp=at, settings="abc") for at in times(1000.0, 31, 0.25)
    ]
    bench.answers_dir.mkdir()
    write(bench.answers("model"), list(records))
    assert answering_pace(BenchIndex(bench), ["model", "missing"]) == pytest.approx(8.0)
