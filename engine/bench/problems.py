"""What was wrong with a file, next to what could be read of it.

Reading a bench never fails because of one bad line: what can be used is used, and each line that cannot be is told
with its file and number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)

MOST_PER_FILE = 20  # problems told one by one; a file that is bad throughout must not flood a screen


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a file; `line` counts from 1, and is None when the whole file is meant."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


class Loaded(msgspec.Struct, Generic[T_co], frozen=True):
    """What a file holds, and what of it could not be used."""

    items: T_co
    problems: tuple[Problem, ...] = ()


class ProblemLog:
    """Collects the problems of one file in the order of their lines, and counts those beyond `MOST_PER_FILE`."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)
        self._found: list[Problem] = []

    def add(self, line: int | None, message: str) -> None:
        self._found.append(Problem(self._file, line, message))

    def result(self) -> tuple[Problem, ...]:
        """The problems by line; a last one stands for all that are not told one by one."""
        told = sorted(self._found, key=lambda problem: problem.line or 0)
        if len(told) <= MOST_PER_FILE:
            return tuple(told)
        rest = len(told) - MOST_PER_FILE
        return (*told[:MOST_PER_FILE], Problem(self._file, None, f"{rest} more lines have problems"))
