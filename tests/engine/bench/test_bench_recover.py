"""After a crash: files end in whole lines again, and nothing of what was cut off is thrown away."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench.layout import BenchPaths
from engine.bench.repair import recover

WHOLE = b'{"question_id":"a"}\n{"question_id":"b"}\n'


@pytest.mark.parametrize(
    "tail", [b"{", b'{"question_id":"c","text":"\xd0', b"\0" * 5000, b'{"half\0\0\0', b"x" * 200_000]
)
def test_a_torn_tail_is_moved_aside_and_told(bench: BenchPaths, tail):
    path = bench.answers("m")
    path.parent.mkdir()
    path.write_bytes(WHOLE + tail)
    (cut,) = recover(bench)
    assert path.read_bytes() == WHOLE
    assert cut.kept_in.read_bytes() == tail + b"\n"
    assert str(cut) == f"{path}: a last line torn by a crash ({len(tail)} bytes) was moved to m.jsonl.torn"
    assert recover(bench) == []


def test_every_file_that_is_appended_to_is_looked_at(bench, write_lines):
    appended = [
        bench.answers("m"),
        bench.judgments("j", "m"),
        bench.errors,
        bench.journal,
        bench.settings,
        bench.review("r"),
    ]
    for path in [*appended, bench.questions]:
        write_lines(path, {"a": 1}).open("ab").write(b"{torn")
    assert sorted(cut.file for cut in recover(bench)) == sorted(appended)
    assert bench.questions.read_bytes().endswith(b"{torn")


def test_a_whole_last_record_only_gets_its_line_end(bench):
    bench.errors.write_bytes(WHOLE + b'{"question_id":"c"}')
    assert recover(bench) == []
    assert bench.errors.read_bytes() == WHOLE + b'{"question_id":"c"}\n'


def test_a_second_crash_does_not_overwrite_what_the_first_left(bench):
    for tail in (b"{1", b"{2"):
        with bench.errors.open("ab") as stream:
            stream.write(tail)
        recover(bench)
    assert bench.errors.with_name("errors.jsonl.torn").read_bytes() == b"{1\n{2\n"
    assert bench.errors.read_bytes() == b""


def test_a_bench_without_files_needs_nothing(bench):
    assert recover(bench) == []


@settings(deadline=None)  # files
@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), min_size=1, max_size=6), st.data()
)
def test_a_file_cut_anywhere_keeps_exactly_its_whole_records(tmp_path_factory, records, data):
    bench = BenchPaths(tmp_path_factory.mktemp("bench"))
    whole = b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
    cut_at = data.draw(st.integers(0, len(whole)))
    bench.journal.write_bytes(whole[:cut_at])
    recover(bench)
    ends = [0]
    for line in whole.split(b"\n")[:-1]:
        ends.append(ends[-1] + len(line) + 1)
    kept = max(end for end in ends if end - 1 <= cut_at)  # a record is whole even before its line end
    assert bench.journal.read_bytes() == whole[:kept]
