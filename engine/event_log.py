"""Events of runs as records of Python's `logging`, by the logger "arena_tui.run"; add a handler to read them.

A record has the event as plain JSON in its attribute `event`, and a message of `Kind key=value ...`. Its level: DEBUG
for single calls and records, INFO for what happens a few times in a run, WARNING and ERROR for failures.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from engine.events import (
    CallEnded,
    CallRetried,
    CallStarted,
    EndpointChanged,
    Event,
    Notice,
    RecordFailed,
    RecordSaved,
    RunEnded,
    ServerChanged,
    ServerSeen,
    StandingChanged,
)

LOGGER = logging.getLogger("arena_tui.run")
logging.getLogger("arena_tui").addHandler(logging.NullHandler())  # else Python prints warnings to stderr by itself

_OFTEN = (CallStarted, CallEnded, RecordSaved, ServerSeen, StandingChanged)
_NOTICES = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def event_logger(run: str, bench: str) -> Callable[[Event], None] | None:
    """Return a listener that logs the events of a run; None where no log wants them, which costs nothing."""
    if not LOGGER.isEnabledFor(logging.WARNING) or not LOGGER.hasHandlers() or _is_ignored():
        return None
    about = {"run": run, "bench": bench}

    def log(event: Event) -> None:
        level = level_of(event)
        if LOGGER.isEnabledFor(level):
            fields = msgspec.to_builtins(event, enc_hook=str)  # an `Advice` in it becomes its text
            LOGGER.log(level, "%s", message_of(fields), extra={"event": fields | about})

    return log


def level_of(event: Event) -> int:
    """Return the level of logging that an event has."""
    if isinstance(event, _OFTEN):
        return logging.DEBUG
    if isinstance(event, Notice):
        return _NOTICES[event.level]
    if isinstance(event, RecordFailed | CallRetried):
        return logging.WARNING
    if isinstance(event, EndpointChanged):
        return logging.INFO if event.condition == "ready" else logging.WARNING
    if isinstance(event, ServerChanged):
        return logging.WARNING if event.status in ("down", "failed") else logging.INFO
    return logging.WARNING if isinstance(event, RunEnded) and event.outcome == "failed" else logging.INFO


def message_of(fields: dict[str, Any]) -> str:
    """Return an event as one line: its kind, and each field that holds something."""
    return " ".join([str(fields["type"]), *(f"{key}={_shown(value)}" for key, value in _pairs(fields))])


def _pairs(fields: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in fields.items():
        if isinstance(value, dict):
            found += _pairs(value, f"{prefix}{key}.")
        elif value not in (None, "", []) and key not in ("type", "at"):
            found.append((prefix + key, value))
    return found


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if not text or any(mark in text for mark in ' "=\n\r\t') else text


def _is_ignored() -> bool:
    """Return whether the only handlers on the way up are those that drop records."""
    logger: logging.Logger | None = LOGGER
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True
