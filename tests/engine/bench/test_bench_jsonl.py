"""Reading JSONL: whatever happened to a file, its good lines are used and its bad ones told by number."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench.decoding import LineDecoder
from engine.bench.lines import MOST_PER_FILE, LineReader, ProblemLog
from engine.errors import BenchError


class Sample(msgspec.Struct):
    id: str | int | None = None
    text: str | None = None
    size: int | None = None

    def is_plain(self) -> bool:
        return True


decoder = LineDecoder(Sample, dict)


def read(path: Path, block_bytes: int = 1 << 20):
    log = ProblemLog(path)
    rows = []
    for number, _, line in LineReader(path, log, block_bytes=block_bytes):
        record, why = decoder.decode(line)
        if record is None:
            log.add(number, why)
        else:
            rows.append((number, str(record.id), record.text, record.size))
    return rows, [(problem.line, problem.message) for problem in log.result()]


def read_bytes(tmp_path: Path, data: bytes, block_bytes: int = 1 << 20):
    path = tmp_path / "file.jsonl"
    path.write_bytes(data)
    return read(path, block_bytes)


def test_rows_carry_their_line_numbers_and_absent_keys_are_null(tmp_path):
    rows, problems = read_bytes(tmp_path, b'{"id":"a","text":"x","new":{"k":[1]}}\n{"id":"b","size":3}\n')
    assert rows == [(1, "a", "x", None), (2, "b", None, 3)]
    assert problems == []


def test_keys_and_values_that_come_late_are_not_lost(tmp_path):
    early = b'{"id":"q","text":null}\n' * 2000
    rows, _ = read_bytes(tmp_path, early + b'{"id":"q","text":"late","size":1}\n')
    assert rows[-1] == (2001, "q", "late", 1)


def test_integer_ids_read_as_their_decimal_string(tmp_path):
    rows, _ = read_bytes(tmp_path, b'{"id":42}\n{"id":"x"}\n{"id":-7}\n')
    assert [row[1] for row in rows] == ["42", "x", "-7"]


def test_a_value_of_another_type_is_null_and_costs_only_itself(tmp_path):
    rows, problems = read_bytes(tmp_path, b'{"id":"a","size":"big"}\n{"id":"b","size":1.5}\n{"id":"c","size":2}\n')
    assert [row[3] for row in rows] == [None, None, 2]
    assert problems == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b'{"id":"cut', "not JSON"),
        (b'{"id":"a"}{"id":"b"}', "not JSON"),
        (b'{"id":"\xff"}', "not UTF-8 (byte 0xff at 7)"),
        (b"\0\0\0\0", "only NUL bytes"),
        (b"[1, 2]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"id":' + b"[" * 50_000, "nested too deeply"),
    ],
)
def test_a_bad_line_is_told_and_the_others_are_used(tmp_path, bad, why):
    rows, problems = read_bytes(tmp_path, b'{"id":"before"}\n' + bad + b'\n{"id":"cut"\n{"id":"after"}\n')
    assert [row[:2] for row in rows] == [(1, "before"), (4, "after")]
    assert [line for line, _ in problems] == [2, 3]
    assert why in problems[0][1]


@pytest.mark.parametrize("number", [b"1e999", b"9" * 500])
def test_a_number_beyond_all_bounds_costs_nothing_else_of_its_line(tmp_path, number):
    odd = b'{"id":"odd","more":' + number + b',"size":' + number + b"}\n"
    rows, problems = read_bytes(tmp_path, b'{"id":"a"}\n\n' + odd + b'{"id":"b"}\n')
    assert [row[:2] for row in rows] == [(1, "a"), (3, "odd"), (4, "b")]
    assert problems == []


def test_a_torn_last_line_is_left_out_and_told(tmp_path):
    rows, problems = read_bytes(tmp_path, b'{"id":"a"}\n{"id":"b","te')
    assert [row[1] for row in rows] == ["a"]
    assert problems == [(2, "the last line is cut off after 13 bytes and left out")]


def test_a_whole_last_line_without_its_newline_is_used(tmp_path):
    rows, problems = read_bytes(tmp_path, b'{"id":"a"}\n{"id":"b"}')
    assert [row[:2] for row in rows] == [(1, "a"), (2, "b")]
    assert problems == []


def test_nul_bytes_that_a_machine_crash_left_at_the_end_are_told(tmp_path):
    rows, problems = read_bytes(tmp_path, b'{"id":"a"}\n' + b"\0" * 4096)
    assert [row[1] for row in rows] == ["a"]
    assert problems[0][0] == 2


def test_a_byte_order_mark_carriage_returns_and_blank_lines_are_no_problem(tmp_path):
    rows, problems = read_bytes(tmp_path, b'\xef\xbb\xbf{"id":"a"}\r\n\r\n\n   \n{"id":"b"}\r\n')
    assert [row[:2] for row in rows] == [(1, "a"), (5, "b")]
    assert problems == []


def test_a_utf_16_file_is_told_as_such(tmp_path):
    rows, problems = read_bytes(tmp_path, '{"id":"a"}\n'.encode("utf-16"))
    assert rows == []
    assert problems == [(None, "the file is UTF-16; save it as UTF-8")]


def test_unicode_line_separators_and_escaped_nuls_stay_inside_their_text(tmp_path):
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\0g"
    rows, problems = read_bytes(tmp_path, json.dumps({"id": "q", "text": text}, ensure_ascii=False).encode() + b"\n")
    assert rows == [(1, "q", text, None)]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "read_as"),
    [("\U0001f600", "\U0001f600"), ("\ud800 x", "\ufffd x"), ("x\udc00", "x\ufffd"), ("\ude00\ud83d", "\ufffd\ufffd")],
    ids=["whole pair", "first half", "second half", "halves turned"],
)
def test_half_a_surrogate_pair_becomes_a_replacement_character(tmp_path, text, read_as):
    rows, problems = read_bytes(tmp_path, json.dumps({"id": "q", "text": text}).encode() + b"\n")
    assert rows == [(1, "q", read_as, None)]
    assert problems == []


def test_nan_and_infinity_which_python_writes_do_not_cost_a_line(tmp_path):
    rows, problems = read_bytes(tmp_path, b'{"id":"a","size":NaN,"text":"x"}\n{"id":"b","size":-Infinity}\n')
    assert rows == [(1, "a", "x", None), (2, "b", None, None)]
    assert problems == []


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b" "])
def test_an_empty_file_has_no_rows(tmp_path, data):
    assert read_bytes(tmp_path, data) == ([], [])


def test_a_file_that_is_not_there_has_no_rows(tmp_path):
    assert read(tmp_path / "absent.jsonl") == ([], [])


def test_what_is_no_file_is_refused_with_a_hint(tmp_path):
    with pytest.raises(BenchError) as refused:
        read(tmp_path)
    assert str(tmp_path) in refused.value.title
    assert refused.value.hint


def test_a_file_that_is_bad_throughout_does_not_flood_the_screen(tmp_path):
    rows, problems = read_bytes(tmp_path, b"torn\n" * 1000)
    assert rows == []
    assert len(problems) == MOST_PER_FILE + 1
    assert problems[-1] == (None, f"{1000 - MOST_PER_FILE} more lines have problems")


good_line = st.tuples(st.uuids().map(str), st.text()).map(lambda pair: {"id": pair[0], "text": pair[1]})
bad_line = st.sampled_from([b"{", b'{"id":', b"\0", b"3", b"null", b"x", b'{"id":"a"}}', b"\xff"])
blank_line = st.sampled_from([b"", b"\r", b"  \t"])


@settings(deadline=None)  # files
@given(
    lines=st.lists(good_line | bad_line | blank_line, max_size=12),
    ascii_only=st.booleans(),
    block_bytes=st.sampled_from([2, 7, 64, 1 << 20]),
    ended=st.booleans(),
)
def test_every_good_line_is_read_and_every_bad_one_told_in_blocks_of_any_size(
    tmp_path_factory, lines, ascii_only, block_bytes, ended
):
    raw = [
        line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        for line in lines
    ]
    data = b"\n".join(raw) + (b"\n" if ended else b"")
    rows, problems = read_bytes(tmp_path_factory.mktemp("any"), data, block_bytes)

    good = [(number, line["id"], line["text"]) for number, line in enumerate(lines, 1) if isinstance(line, dict)]
    bad = [number for number, line in enumerate(lines, 1) if isinstance(line, bytes) and line.strip()]
    assert [row[:3] for row in rows] == good
    assert [line for line, _ in problems] == bad


@pytest.mark.parametrize("block_bytes", [7, 1 << 16])
def test_a_line_beyond_all_measure_is_left_out_and_the_next_ones_are_used(tmp_path, block_bytes):
    path = tmp_path / "file.jsonl"
    long = b'{"id":"long","text":"' + b"x" * 5000 + b'"}'
    path.write_bytes(b'{"id":"a"}\n' + long + b'\n{"id":"b"}\n' + long)
    log = ProblemLog(path)
    reader = LineReader(path, log, block_bytes=block_bytes, longest=1000)
    assert [(number, line) for number, _, line in reader] == [(1, b'{"id":"a"}'), (3, b'{"id":"b"}')]
    assert [line for line, message in log.found if "it is left out" in message] == [2, 4]
    whole = b'{"id":"a"}\n' + long + b'\n{"id":"b"}\n'
    assert (reader.at, reader.number, reader.rest) == (len(whole), 4, "torn")
    assert reader.checksum == zlib.crc32(whole)


def test_an_endless_line_is_read_in_linear_time_and_not_kept(tmp_path):
    path = tmp_path / "file.jsonl"
    with path.open("wb") as stream:
        for _ in range(64):
            stream.write(b"x" * (8 << 20))
    tracemalloc.start()
    try:
        assert list(LineReader(path, ProblemLog(path), longest=16 << 20)) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
