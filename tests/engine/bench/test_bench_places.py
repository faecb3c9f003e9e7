"""Places of lines: one record is found again without reading the file, and reading goes on where it ended."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench.lines import LineReader, LineSpan, ProblemLog, read_object
from engine.errors import BenchError


def read(path: Path, block_bytes: int = 1 << 16, after: LineReader | None = None) -> tuple[list[bytes], LineReader]:
    """The lines, each checked against what the file has at its place."""
    reader = LineReader(path, ProblemLog(path), block_bytes=block_bytes)
    if after is not None:
        reader.resume(after.at, after.number, after.checksum)
    found = []
    for number, start, line in reader:
        data = path.read_bytes()
        assert data[start : start + len(line)] == line
        assert data[:start].count(b"\n") == number - 1
        found.append(line)
    return found, reader


@given(
    records=st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=60), max_size=3), max_size=30),
    block_bytes=st.integers(2, 200),
    blank=st.sampled_from([b"", b"\n", b"  \r\n"]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_every_line_is_found_at_its_place_whatever_the_block(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[dict[str, str]],
    block_bytes: int,
    blank: bytes,
    mark: bytes,
):
    path = tmp_path_factory.mktemp("places") / "a.jsonl"
    encoded = [msgspec.json.encode(record) for record in records]
    path.write_bytes(mark + b"".join(line + b"\n" + blank for line in encoded))
    found, reader = read(path, block_bytes)
    assert found == encoded
    assert (reader.at, reader.rest) == (path.stat().st_size, "")
    assert read(path, after=reader)[0] == []


def test_only_what_was_appended_is_read_again(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n')
    found, first = read(path)
    assert found == [b'{"n":1}']
    with path.open("ab") as stream:
        stream.write(b'{"n":2}\n{"n":3')
    found, second = read(path, after=first)
    assert (found, second.rest) == ([b'{"n":2}'], "torn")
    with path.open("ab") as stream:
        stream.write(b"0}\n")
    found, third = read(path, after=second)
    assert found == [b'{"n":30}']
    assert third.checksum == read(path)[1].checksum


def test_a_file_that_is_not_there_has_no_lines_until_it_comes(tmp_path: Path):
    path = tmp_path / "later.jsonl"
    found, reader = read(path)
    assert found == []
    path.write_bytes(b'{"n":1}\n')
    assert read(path, after=reader)[0] == [b'{"n":1}']


def test_a_whole_last_line_without_its_end_counts_but_a_torn_one_does_not(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}')
    found, reader = read(path)
    assert (found, reader.rest) == ([b'{"n":1}', b'{"n":2}'], "whole")
    path.write_bytes(b'{"n":1}\n{"n":2')
    assert read(path)[0] == [b'{"n":1}']


def test_a_record_that_is_gone_is_reported_with_what_to_do(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n')
    assert read_object(path, LineSpan(0, 7)) == b'{"n":1}'
    with pytest.raises(BenchError, match="cannot be read"):
        read_object(path, LineSpan(3, 4))
    path.unlink()
    with pytest.raises(BenchError, match="cannot be read"):
        read_object(path, LineSpan(0, 7))
