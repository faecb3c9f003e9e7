"""Rows of files in every form, encoding and compression, each with its line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench.lines import ProblemLog
from engine.errors import BenchError
from engine.formats.row_files import FileRow, read_rows

try:
    from compression import zstd
except ImportError:
    from backports import zstd


def rows_of(path: Path, encoding: str | None = None) -> tuple[list[FileRow], list[str]]:
    log = ProblemLog(path)
    rows = read_rows(path, log, encoding).rows
    return rows, [str(problem).removeprefix(f"{path}") for problem in log.result()]


def written(tmp_path: Path, name: str, data: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_an_array_gives_each_element_with_its_line(tmp_path):
    path = written(tmp_path, "a.json", '[\n {"prompt": "one"},\n\n "two",\n [{"role": "user", "content": "three"}]\n]')
    rows, problems = rows_of(path)
    assert rows == [
        FileRow(2, {"prompt": "one"}),
        FileRow(4, {"prompt": "two"}),
        FileRow(5, {"messages": [{"role": "user", "content": "three"}]}),
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"data": [{"prompt": "a"}]}', [{"prompt": "a"}]),
        ('{"prompt": "a"}\n{"prompt": "b"}', [{"prompt": "a"}, {"prompt": "b"}]),
        ('[{"role": "user", "content": "a"}]', [{"messages": [{"role": "user", "content": "a"}]}]),
        ('{"messages": [{"role": "user", "content": "a"}]}', [{"messages": [{"role": "user", "content": "a"}]}]),
        ("[]", []),
    ],
)
def test_json_is_read_in_the_layouts_that_people_use(tmp_path, text, fields):
    assert [row.fields for row in rows_of(written(tmp_path, "a.json", text))[0]] == fields


def test_broken_json_is_named_with_its_line(tmp_path):
    path = written(tmp_path, "a.json", '[\n{"prompt": "one"},\n{"prompt": }\n]')
    with pytest.raises(BenchError, match=r"a\.json:3: not JSON"):
        rows_of(path)


def test_a_broken_line_of_json_lines_leaves_the_others(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"prompt": "one"}\n{"prompt": \n\n17\n"four"\n')
    rows, problems = rows_of(path)
    assert [row.line for row in rows] == [1, 5]
    assert [problem.split(":")[1] for problem in problems] == ["2", "4"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_by_the_separator_of_its_header(tmp_path, separator):
    text = (
        separator.join(("id", "prompt"))
        + "\r\n"
        + separator.join(("1", '"two\nlines"'))
        + "\r\n2"
        + separator
        + "x\r\n"
    )
    rows, problems = rows_of(written(tmp_path, "a.csv", text))
    assert rows == [FileRow(2, {"id": "1", "prompt": "two\nlines"}), FileRow(4, {"id": "2", "prompt": "x"})]
    assert problems == []


def test_a_row_of_other_width_is_a_problem_with_its_line(tmp_path):
    _, problems = rows_of(written(tmp_path, "a.csv", "id,prompt\n1,a\n2,b,c\n"))
    assert problems == [":3: 3 cells under 2 columns"]


def test_a_huge_cell_is_read(tmp_path):
    rows, _ = rows_of(written(tmp_path, "a.csv", f"prompt,x\n{'y' * 300_000},1\n"))
    assert len(rows[0].fields["prompt"]) == 300_000


def test_plain_text_is_a_prompt_a_line_or_between_rulers(tmp_path):
    assert [row.fields["prompt"] for row in rows_of(written(tmp_path, "a.txt", "one\n\ntwo\r\n"))[0]] == ["one", "two"]
    rows, _ = rows_of(written(tmp_path, "b.txt", "one\nmore\n---\n\ntwo\n---\n"))
    assert rows == [FileRow(1, {"prompt": "one\nmore"}), FileRow(5, {"prompt": "two"})]


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress], ids=lambda f: f.__module__
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_compression_is_known_by_its_bytes(tmp_path, pack, name):
    rows, _ = rows_of(written(tmp_path, name, pack(b'{"prompt": "\xd0\xaf"}\n')))
    assert rows == [FileRow(1, {"prompt": "Я"})]


def test_damaged_compression_is_named(tmp_path):
    path = written(tmp_path, "a.jsonl.gz", gzip.compress(b'{"prompt": "x"}\n' * 100)[:-20])
    with pytest.raises(BenchError, match="compression is damaged"):
        rows_of(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-8"])
def test_marked_encodings_need_no_name(tmp_path, encoding):
    assert rows_of(written(tmp_path, "a.txt", "Что?\n".encode(encoding)))[0] == [FileRow(1, {"prompt": "Что?"})]


def test_another_encoding_is_read_when_named_and_else_refused_with_its_line(tmp_path):
    path = written(tmp_path, "a.txt", "ok\nЧто?\n".encode("cp1251"))
    with pytest.raises(BenchError, match=r"a\.txt:2: byte 0xd7 is not utf-8"):
        rows_of(path)
    assert rows_of(path, "cp1251")[0][1].fields == {"prompt": "Что?"}
    with pytest.raises(BenchError, match="not an encoding"):
        rows_of(path, "klingon")


def test_parquet_is_read_with_nested_columns(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": [1], "turns": [[{"content": "a"}, {"content": "b"}]]}).write_parquet(path)
    assert rows_of(path)[0] == [FileRow(1, {"id": 1, "turns": [{"content": "a"}, {"content": "b"}]})]
    with pytest.raises(BenchError, match="not Parquet"):
        rows_of(written(tmp_path, "b.parquet", "id,prompt\n"))


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(BenchError, match=r"ends in \.docx"):
        rows_of(written(tmp_path, "a.docx", "x"))
    with pytest.raises(BenchError, match="Parquet"):
        rows_of(written(tmp_path, "a.jsonl", b"PAR1\0\0\0\0"))


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(), min_size=1), max_size=8))
def test_what_json_writes_is_read_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("json")
    for name, text in (
        ("a.json", json.dumps(rows, indent=1)),
        ("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
    ):
        found = [row.fields for row in rows_of(written(folder, name, text))[0]]
        is_chat = bool(rows) and all(row.keys() >= {"role", "content"} for row in rows)
        assert is_chat or found == rows
