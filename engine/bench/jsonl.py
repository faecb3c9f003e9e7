"""Reads JSONL through Polars with an explicit schema, and says which lines are bad where Polars only raises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from engine.bench.lines import BLOCK_BYTES, blocks, has_lone_surrogate, numbered, placed_blocks
from engine.bench.problems import ProblemLog
from engine.bench.schema import Schema

_LINE_END = re.compile(rb"\n")
LINE = "line"  # the column with the number of the line, counting from 1


LINE_START = "start"  # the column with the place of the line in the file, in bytes


def scan(path: Path, schema: Schema, log: ProblemLog, block_bytes: int = BLOCK_BYTES) -> pl.DataFrame:
    """The whole file as one frame, see `scan_blocks`; for files that fit into memory with ease."""
    frames = list(scan_blocks(path, schema, log, block_bytes))
    return pl.concat(frames) if frames else pl.DataFrame(schema={**schema, LINE: pl.Int64})


def scan_blocks(path: Path, schema: Schema, log: ProblemLog, block_bytes: int = BLOCK_BYTES) -> Iterator[pl.DataFrame]:
    """One row for each JSON object of the file: the columns of `schema`, and `line`; some megabytes a frame.

    A value of another type than the schema's is null (the caller tells which rows lack what it needs); a line that is
    no JSON object goes to `log`, and so does a torn last line. A file that is not there has no rows. Raises BenchError
    if it cannot be read.
    """
    for first, block in blocks(path, log, block_bytes):
        yield _read_block(first, block, schema, log)


def scan_placed(path: Path, schema: Schema, log: ProblemLog) -> Iterator[pl.DataFrame]:
    """As `scan_blocks`, with `start` as well: where the line begins, so that its record can be read again."""
    for first, at, block in placed_blocks(path, log):
        frame = _read_block(first, block, schema, log)
        starts = [at, *(at + match.end() for match in _LINE_END.finditer(block))]
        yield frame.with_columns(pl.Series(LINE_START, [starts[line - first] for line in frame[LINE]], dtype=pl.Int64))


def _read_block(first: int, block: bytes, schema: Schema, log: ProblemLog) -> pl.DataFrame:
    if not has_lone_surrogate(block):
        frame = _parse(block, schema)
        # Polars skips blank lines, which would shift the numbers, and reads `null` or `3` as a row of nulls.
        if frame is not None and frame.height == block.count(b"\n") and not _has_row_of_nulls(frame):
            return _with_lines(frame, range(first, first + frame.height))
    lines = list(numbered(first, block, log))
    frame = _parse(b"".join(line + b"\n" for _, line in lines), schema)
    if frame is not None and frame.height == len(lines):
        return _with_lines(frame, [number for number, _ in lines])
    return _read_one_by_one(lines, schema, log)


def _read_one_by_one(lines: list[tuple[int, bytes]], schema: Schema, log: ProblemLog) -> pl.DataFrame:
    """For a block with a line that is JSON but that Polars refuses, such as one with a number of 500 digits."""
    frames = [pl.DataFrame(schema={**schema, LINE: pl.Int64})]
    for number, line in lines:
        frame = _parse(line + b"\n", schema)
        if frame is not None and frame.height == 1:
            frames.append(_with_lines(frame, [number]))
        else:
            log.add(number, "Polars cannot read this JSON")
    return pl.concat(frames)


def _parse(data: bytes, schema: Schema) -> pl.DataFrame | None:
    """Raising on one bad line is all or nothing in Polars: None then."""
    columns: Any = dict(schema)
    try:
        return pl.read_ndjson(data, schema=columns, ignore_errors=True)
    except pl.exceptions.PolarsError:
        return None


def _has_row_of_nulls(frame: pl.DataFrame) -> bool:
    return bool(frame.select(pl.all_horizontal(pl.all().is_null()).any()).item())


def _with_lines(frame: pl.DataFrame, numbers: range | list[int]) -> pl.DataFrame:
    return frame.with_columns(pl.Series(LINE, numbers, dtype=pl.Int64))
