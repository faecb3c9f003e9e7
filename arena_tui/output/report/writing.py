"""Writes a report to a file or to stdout, and overwrites nothing but an earlier report unless asked to."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from arena_tui.output.report.content import ReportContent
from arena_tui.output.report.page import GENERATOR, html_page
from engine.bench.atomic import atomic_file
from engine.formats.export import refuse_overwriting

ReportFormat: TypeAlias = Literal["html", "markdown"]
_BEGINNING = 4_000  # bytes of a page, within which it names its generator


def usual_report(bench: str) -> Path:
    """Return the path of a page for which none was named."""
    return Path(f"{bench}-report.html")


def today() -> str:
    """Return the date and time that a report carries, UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def write_page(content: ReportContent, out: Path, *, force: bool = False) -> None:
    """Write the page. Raises UsageProblem for a file that is no report (unless `force`), and StorageError."""
    refuse_overwriting(out, force=force or is_report(out), is_folder=False)
    write_text(out, html_page(content, today()))


def write_text(out: Path, pieces: Iterable[str]) -> int:
    """Write a text as UTF-8, whole or not at all; return its lines. Raises StorageError."""
    lines = 0
    with atomic_file(out) as stream:
        for piece in pieces:
            stream.write(piece.encode("utf-8", "replace"))
            lines += piece.count("\n")
    return lines


def is_report(path: Path) -> bool:
    """Return whether a file is a page that this program made."""
    try:
        with path.open("rb") as stream:
            return f'name="generator" content="{GENERATOR} '.encode() in stream.read(_BEGINNING)
    except OSError:
        return False


def print_text(pieces: Iterable[str]) -> None:
    """Print a text on stdout as UTF-8, whatever the encoding of the terminal."""
    for piece in pieces:
        sys.stdout.buffer.write(piece.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
