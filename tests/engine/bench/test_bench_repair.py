"""Damaged files are made readable: nothing is lost, invented or done twice; a torn tail is cut off and kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench import Bench
from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock
from engine.bench.repair import examine_bench, recover, repair_bench, salvage
from engine.errors import BenchError, BenchLocked

A, B, C = (
    json.dumps({"question_id": key, "choices": [{"turns": [{"content": f'{{"question_id": "{key}"'}]}]}).encode()
    for key in "abc"
)


@pytest.fixture
def damaged(bench):
    """Writes raw bytes as the answers of a model."""

    def write(data: bytes):
        path = bench.answers("m")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize(
    ("data", "mended"),
    [
        pytest.param(A + b"\n" + B[:40] + b"\n" + C + b"\n", A + b"\n" + C + b"\n", id="a torn line in the middle"),
        pytest.param(A + b"\n" + B[:40], A + b"\n", id="a torn last line"),
        pytest.param(A + b"\n" + B, A + b"\n" + B + b"\n", id="a last line without its end"),
        pytest.param(A + B + b"\n" + C + b"\n", A + b"\n" + B + b"\n" + C + b"\n", id="lines run together"),
        pytest.param(A + b"\r" + B + b"\r", A + b"\n" + B + b"\n", id="carriage returns for line ends"),
        pytest.param(B[:31] + A + b"\n", A + b"\n", id="a piece, then a whole record"),
        pytest.param(b"\0" * 9 + A + b"\n" + b"\0" * 4096 + b"\n", A + b"\n", id="NUL bytes of a machine's crash"),
        pytest.param(A + b'\n{"question_id": "\xff"}\n', A + b"\n", id="invalid UTF-8"),
        pytest.param(A + b"\n3\nnull\n[]\n", A + b"\n", id="JSON that is no object"),
        pytest.param(b"\xef\xbb\xbf" + A + b"\n", A + b"\n", id="a byte order mark"),
        pytest.param((A + b"\n" + B + b"\n").decode().encode("utf-16"), A + b"\n" + B + b"\n", id="UTF-16"),
    ],
)
def test_damage_is_mended_and_the_file_as_it_was_stands_beside_it(bench, damaged, data, mended):
    path = damaged(data)
    (seen,) = examine_bench(bench)
    assert path.read_bytes() == data, "looking changes nothing"
    (done,) = repair_bench(bench)
    assert (done.damage, done.saved, done.left_out) == (seen.damage, seen.saved, seen.left_out)
    assert path.read_bytes() == mended
    assert done.backup is not None
    assert done.backup.read_bytes() == data
    assert repair_bench(bench) == []
    assert sorted(file.name for file in path.parent.iterdir()) == ["m.jsonl", "m.jsonl.bak"]


@pytest.mark.parametrize(
    "data",
    [
        A + b"\r\n" + B + b"\r\n",
        b"\n\n" + A + b"\n\n",
        b'{"question_id": "a", "score": NaN, "text": "\\ud800"}\n',
        b'{"question_id": "a", "choices": []}\n',
        b"",
    ],
    ids=["CRLF", "blank lines", "NaN and half a surrogate pair", "an empty answer", "empty"],
)
def test_what_every_reader_takes_is_no_damage_and_stays_as_it_is(bench, damaged, data):
    path = damaged(data)
    assert repair_bench(bench) == []
    assert path.read_bytes() == data


def test_each_kind_of_damage_is_reported_with_file_and_line(bench, damaged):
    path = damaged(A + b"\n{torn\n" + B + C + b"\n" + A[:9] + B + b"\n")
    (seen,) = examine_bench(bench)
    assert [str(problem) for problem in seen.damage] == [
        f"{path}:2: not JSON (Expecting property name enclosed in double quotes at character 1); left out",
        f"{path}:3: 2 whole records run together; each gets a line",
        f"{path}:4: 1 whole record and 9 bytes of others; those are left out",
    ]
    assert (seen.saved, seen.left_out) == (3, 2)


def test_a_second_repair_keeps_the_first_backup(bench, damaged):
    path = damaged(A + b"\n{1\n")
    repair_bench(bench)
    with path.open("ab") as stream:
        stream.write(b"{2\n")
    (done,) = repair_bench(bench)
    assert done.backup == path.with_name("m.jsonl.bak1")
    assert path.with_name("m.jsonl.bak").read_bytes() == A + b"\n{1\n"
    assert done.backup.read_bytes() == A + b"\n{2\n"


def test_all_files_of_a_bench_are_looked_at_the_question_set_included(bench, write_lines):
    files = [
        bench.questions,
        bench.answers("m"),
        bench.judgments("j", "m"),
        bench.errors,
        bench.journal,
        bench.review("r"),
    ]
    for path in files:
        write_lines(path, {"a": 1}, b"{torn")
    assert sorted(done.path for done in repair_bench(bench)) == sorted(files)


def test_a_bench_that_a_run_writes_to_is_refused(bench, damaged):
    path = damaged(A + b"\n{torn\n")
    with BenchLock(bench), pytest.raises(BenchLocked):
        repair_bench(bench)
    assert path.read_bytes() == A + b"\n{torn\n"


def test_a_link_stays_a_link_and_the_file_behind_it_is_mended(bench, damaged, tmp_path):
    behind = tmp_path / "data" / "shared.jsonl"
    behind.write_bytes(A + b"\n{torn\n")
    path = damaged(b"")
    path.unlink()
    path.symlink_to(behind)
    repair_bench(bench)
    assert path.is_symlink()
    assert behind.read_bytes() == A + b"\n"
    assert (tmp_path / "data" / "shared.jsonl.bak").exists()


def test_a_link_that_leads_out_of_the_data_folder_is_refused(bench, damaged, tmp_path):
    behind = tmp_path / "mine.jsonl"
    behind.write_bytes(A + b"\n{torn\n")
    path = damaged(b"")
    path.unlink()
    path.symlink_to(behind)
    with pytest.raises(BenchError, match="is a link to"):
        repair_bench(bench)
    assert behind.read_bytes() == A + b"\n{torn\n"


def test_what_looks_like_utf_16_and_is_not_stays_as_it_is(bench, damaged):
    data = b"\xff\xfe" + b"\x00\xd8" * 5
    path = damaged(data)
    (done,) = repair_bench(bench)
    assert not done.mendable
    assert path.read_bytes() == data


def test_problems_of_records_are_reported_by_the_bench_with_file_and_line(bench, write_lines):
    write_lines(bench.questions, {"question_id": "a", "turns": [{"content": "a"}]}, {"question_id": "a", "turns": []})
    path = write_lines(bench.answers("m"), {"question_id": "a", "choices": [{"turns": [{"content": "$ERROR$"}]}]})
    reported = [str(problem) for problem in Bench(bench.root).problems()]
    assert reported[0].startswith(f"{bench.questions}:2: ")
    assert reported[1].startswith(f"{path}:1: $ERROR$ stands in place of an answer")


records = st.builds(
    lambda key, text: json.dumps({"question_id": key, "text": text}).encode(), st.text(max_size=5), st.text(max_size=20)
)


@settings(max_examples=200)
@given(st.lists(records, max_size=5), st.integers(0, 30), st.integers(0, 3))
def test_whole_records_of_a_line_are_saved_unchanged_and_nothing_else(whole, cut, nuls):
    """A piece of a record, then whole ones, then NUL bytes: all whole ones come out, in order."""
    piece = b'{"question_id": "torn", "text": "abc'[:cut]
    line = piece + b"".join(whole) + b"\0" * nuls
    found = salvage(line)
    assert list(found.records) == whole
    assert found.lost == len(piece.strip())


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_salvaging_never_raises_and_saves_only_what_is_there(line):
    found = salvage(line)
    assert all(record in line for record in found.records)
    assert found.lost <= len(line)


WHOLE = b'{"question_id":"a"}\n{"question_id":"b"}\n'


@pytest.mark.parametrize(
    "tail", [b"{", b'{"question_id":"c","text":"\xd0', b"\0" * 5000, b'{"half\0\0\0', b"x" * 200_000]
)
def test_a_torn_tail_is_moved_aside_and_reported(bench: BenchPaths, tail):
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
