"""Places of lines: one record is found again without reading the file, and files that grow are read on."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench.lines import LineSpan, read_object
from engine.bench.places import PlacedLines
from engine.errors import BenchError


def told(lines: PlacedLines, buffer_bytes: int = 1 << 16) -> list[bytes]:
    """What is new, each line checked against what the file has at its place."""
    assert lines.look()
    found = []
    for place, line in lines.read(buffer_bytes):
        data = bytes(line)
        assert lines.path.read_bytes()[place.start : place.start + place.length] == data
        found.append(data)
    return found


@given(
    records=st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=60), max_size=3), max_size=30),
    buffer_bytes=st.integers(2, 200),
    blank=st.sampled_from([b"", b"\n", b"  \r\n"]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_every_line_is_found_at_its_place_whatever_the_buffer(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[dict[str, str]],
    buffer_bytes: int,
    blank: bytes,
    mark: bytes,
):
    path = tmp_path_factory.mktemp("places") / "a.jsonl"
    encoded = [msgspec.json.encode(record) for record in records]
    path.write_bytes(mark + b"".join(line + b"\n" + blank for line in encoded))
    lines = PlacedLines(path)
    assert told(lines, buffer_bytes) == encoded
    assert not lines.look()


def test_only_what_was_appended_is_read_again(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n')
    lines = PlacedLines(path)
    assert told(lines) == [b'{"n":1}']
    with path.open("ab") as stream:
        stream.write(b'{"n":2}\n{"n":3')
    assert told(lines) == [b'{"n":2}']
    assert not lines.is_fresh
    with path.open("ab") as stream:
        stream.write(b"0}\n")
    assert told(lines) == [b'{"n":30}']


def test_a_file_that_was_replaced_or_shortened_is_read_from_its_beginning(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n')
    lines = PlacedLines(path)
    told(lines)
    (tmp_path / "new").write_bytes(b'{"n":3}\n{"n":4}\n{"n":5}\n')
    (tmp_path / "new").rename(path)
    assert told(lines) == [b'{"n":3}', b'{"n":4}', b'{"n":5}']
    assert lines.is_fresh
    path.write_bytes(b'{"n":6}\n')
    os.utime(path, (1, 1))
    assert told(lines) == [b'{"n":6}']
    assert lines.is_fresh


def test_a_file_that_is_not_there_has_no_lines_until_it_comes(tmp_path: Path):
    lines = PlacedLines(tmp_path / "later.jsonl")
    assert not lines.look()
    lines.path.write_bytes(b'{"n":1}\n')
    assert told(lines) == [b'{"n":1}']


def test_a_whole_last_line_without_its_end_counts_but_a_torn_one_does_not(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}')
    assert told(PlacedLines(path)) == [b'{"n":1}', b'{"n":2}']
    path.write_bytes(b'{"n":1}\n{"n":2')
    assert told(PlacedLines(path)) == [b'{"n":1}']


def test_a_record_that_is_gone_is_told_with_what_to_do(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n')
    assert read_object(path, LineSpan(0, 7)) == b'{"n":1}'
    with pytest.raises(BenchError, match="cannot be read"):
        read_object(path, LineSpan(3, 4))
    path.unlink()
    with pytest.raises(BenchError, match="cannot be read"):
        read_object(path, LineSpan(0, 7))
