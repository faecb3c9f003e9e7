"""What the settings digests in the records stand for, kept beside the records in `settings.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from engine.bench.appender import append_lines
from engine.bench.lines import load_structs

Settings: TypeAlias = Mapping[str, object]

_LONGEST_VALUE = 40  # characters of a value in a sentence
_ABSENT = object()
_decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def load_settings(path: Path) -> dict[str, Settings]:
    """Return the settings by their digest. A line that cannot be read is left out: nothing depends on it."""
    return {
        digest: {key: value for key, value in entry.items() if key != "settings"}
        for entry in load_structs(path, _decoder).items
        if isinstance(digest := entry.get("settings"), str)
    }


def register_settings(path: Path, settings: Mapping[str, Settings]) -> None:
    """Append those settings that are not in the file yet. Raises StorageError."""
    known = load_settings(path)
    lines = [
        msgspec.json.encode({"settings": digest, **shaped}) + b"\n"
        for digest, shaped in settings.items()
        if digest not in known
    ]
    if lines:
        append_lines(path, lines)


def describe_difference(old: Settings, new: Settings) -> str:
    """Return what differs, in words: "max_tokens=1520 (now 4096), no seed (now 7)"; empty if nothing does."""
    before, now = _flat(old), _flat(new)
    parts = []
    for key in (*now, *(key for key in before if key not in now)):
        was, is_now = before.get(key, _ABSENT), now.get(key, _ABSENT)
        if was == is_now:
            continue
        if isinstance(was, str) and isinstance(is_now, str) and max(len(was), len(is_now)) > _LONGEST_VALUE:
            parts.append(f"another {key}")
        else:
            earlier = f"no {key}" if was is _ABSENT else f"{key}={_short(was)}"
            parts.append(f"{earlier} (now {'none' if is_now is _ABSENT else _short(is_now)})")
    return ", ".join(parts)


def describe_settings(digest: str, known: Mapping[str, Settings], current: Mapping[str, Settings]) -> str:
    """Return how the settings of `digest` differ from the closest of `current`."""
    old = known.get(digest)
    if old is None or not current:
        return f"other settings ({digest}, not recorded)"
    closest = min(current.values(), key=lambda new: _distance(old, new))
    return describe_difference(old, closest) or "the same settings as today's"


def _distance(old: Settings, new: Settings) -> int:
    before, now = _flat(old), _flat(new)
    return sum(before.get(key, _ABSENT) != now.get(key, _ABSENT) for key in {*before, *now})


def _flat(settings: Settings, prefix: str = "") -> dict[str, object]:
    """Return nested settings under dotted keys; null is the same as absent."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        elif value is not None:
            flat[prefix + key] = value
    return flat


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
