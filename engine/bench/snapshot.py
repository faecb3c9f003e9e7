"""Snapshots: what was made of many files of a bench, kept in its index as numbers that need only numpy to be read.

A snapshot is valid for the exact files that it names. It saves the join of their tables, and loading Polars for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from engine.bench.digest import text_digest
from engine.bench.index import SETTLED_NS, FileState, file_state, read_cache, write_cache
from engine.bench.layout import BenchPaths

F = TypeVar("F", bound=msgspec.Struct)
Columns: TypeAlias = dict[str, npt.NDArray[Any]]


class _Header(msgspec.Struct, Generic[F], frozen=True):
    files: dict[str, FileState | None]
    facts: F
    arrays: list[tuple[str, str, list[int]]]
    """Name, type and shape of each array of the body."""


class Snapshot(Generic[F]):
    """One snapshot: facts of a `kind`, and numbers, that answer `question` by what these files hold.

    Create it before the files are read: it is saved only if they have not been written to for a while. Raises
    BenchError for a file that cannot be read.
    """

    def __init__(self, paths: BenchPaths, kind: type[F], question: Iterable[str], files: Iterable[Path]) -> None:
        self._kind = kind
        self._place = paths.index / f"{kind.__name__}-{text_digest(tuple(question))}"
        now = time.time_ns()
        self._files = {str(path.relative_to(paths.root)): file_state(path) for path in files}
        states = [state for state in self._files.values() if state is not None]
        self._is_settled = all(now - state.mtime_ns > SETTLED_NS for state in states)

    def load(self) -> tuple[F, Columns] | None:
        """Return what was saved, None if there is nothing of the files as they are now."""
        held = read_cache(self._place, _Header[self._kind])  # type: ignore[name-defined]
        if held is None or held[0].files != self._files:
            return None
        header, body = held
        arrays: Columns = {}
        at = 0
        for name, dtype, shape in header.arrays:
            count = int(np.prod(shape))
            arrays[name] = np.frombuffer(body, dtype, count, at).reshape(shape)
            at += arrays[name].nbytes
        return header.facts, arrays

    def save(self, facts: F, arrays: Columns) -> None:
        """Keep what was made of the files."""
        if self._is_settled:
            shapes = [(name, array.dtype.str, list(array.shape)) for name, array in arrays.items()]
            body = b"".join(array.tobytes() for array in arrays.values())
            write_cache(self._place, _Header(self._files, facts, shapes), body)
