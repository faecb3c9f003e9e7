"""Logging, as `-v`, `--log-file` and `--log-format` ask for it: records on stderr and in a file, without secrets.

stdout is never written to. Under the terminal UI, which owns the terminal, records go to a file only. A file is rotated
at 10 MB, with 3 older ones beside it. The modules of the program log by loggers named "arena_tui.*".
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

from arena_tui.safe_text import printable
from engine.redaction import Redactor, masked, names_secret

LogFormat = Literal["text", "json"]
LOGGER = logging.getLogger("arena_tui")
MOST_BYTES, KEPT = 10_000_000, 3
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)  # without -v (a file has INFO), with -v, with -vv

_secrets: set[str] = set()
_flags: list[str] = []


class _Output:
    """What handlers share: the formatters, and lines without secrets."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._redact = Redactor(())

    def __call__(self, text: str) -> str:
        if len(_secrets) != len(self._known):
            self._known = frozenset(_secrets)
            self._redact = Redactor(self._known)
        return self._redact(text)


_redacted = _Output()


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = f"{_moment(record)} {record.levelname:<7} {record.name}: {record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return printable(_redacted(text))


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        import json

        fields: dict[str, Any] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (event := getattr(record, "event", None)) is not None:
            fields["event"] = event
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _redacted(json.dumps(fields, ensure_ascii=False, default=str))


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to what stderr is at the time: a run that leaves its terminal takes its log along."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- logging's own name
        """Drop the record: a lost terminal or a full disk ends no run."""


class _FileHandler(RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace")
        self._is_broken = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- logging's own name
        """Report once that records are lost, and go on."""
        if not self._is_broken:
            self._is_broken = True
            print(f"arena-tui: {self.baseFilename}: the log cannot be written", file=sys.stderr)


def start(verbosity: int, file: Path | None, form: LogFormat, arguments: Iterable[str]) -> None:
    """Begin to log, if anything asks for it. Raises OSError if the file cannot be written."""
    if not verbosity and file is None:
        return
    _flags[:] = ["-v"] * verbosity + ["--log-format", form]
    _flags.extend(["--log-file", str(file.absolute())] if file is not None else [])
    level = LEVELS[min(max(verbosity, 1), 2)]
    LOGGER.setLevel(level)
    formatter = _JsonLines() if form == "json" else _TextLines()
    handlers: list[logging.Handler] = [_StderrHandler()] if verbosity else []
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_FileHandler(file))
    know_secrets(value for name, value in os.environ.items() if names_secret(name))
    for handler in handlers:
        handler.setFormatter(formatter)
        LOGGER.addHandler(handler)
        logging.getLogger().addHandler(handler)  # of libraries and of asyncio, from warnings on
    LOGGER.propagate = False
    from engine.version import __version__

    LOGGER.info("arena-tui %s, pid %d: %s", __version__, os.getpid(), " ".join(masked(list(arguments))))


def flags() -> list[str]:
    """Return the options that make another process of this program log in the same way."""
    return list(_flags)


def know_secrets(values: Iterable[str]) -> None:
    """Have these values replaced in every line from now on."""
    _secrets.update(value for value in values if value)


def is_on() -> bool:
    """Return whether anything is logged."""
    return any(isinstance(handler, _StderrHandler | _FileHandler) for handler in LOGGER.handlers)


def writes_to_stderr() -> bool:
    """Return whether records go to stderr, where a table that redraws itself would be torn."""
    return any(isinstance(handler, _StderrHandler) for handler in LOGGER.handlers)


def leave_stderr(file: Path) -> Path | None:
    """Write no more records to stderr; where they went nowhere else, to `file`, which is returned."""
    on_stderr = [handler for handler in LOGGER.handlers if isinstance(handler, _StderrHandler)]
    for handler in on_stderr:
        LOGGER.removeHandler(handler)
        logging.getLogger().removeHandler(handler)
    if not on_stderr or any(isinstance(handler, _FileHandler) for handler in LOGGER.handlers):
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    into = _FileHandler(file)
    into.setFormatter(on_stderr[0].formatter)
    LOGGER.addHandler(into)
    logging.getLogger().addHandler(into)
    return file


def _moment(record: logging.LogRecord) -> str:
    """Return the time of a record in UTC, to the millisecond."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"
