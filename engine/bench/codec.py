"""Records as the lines they are on disk: UTF-8 JSON, one object each, nothing escaped that need not be."""

from __future__ import annotations

import json
from typing import TypeVar

import msgspec

from engine.bench.lines import clean_line, without_surrogates

T = TypeVar("T")
_encoder = msgspec.json.Encoder()


def encode_line(record: msgspec.Struct) -> bytes:
    """One line with its "\\n". Half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD."""
    return encode_json(record) + b"\n"


def encode_json(value: object) -> bytes:
    """A record, or plain JSON data, on one line; half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
        return without_surrogates(text).encode()


def decode_line(decoder: msgspec.json.Decoder[T], line: bytes | memoryview) -> T | None:
    """What the line holds, read as it would be after mending where that is what it takes; None where it holds no such
    record: who reads the whole file tells what is wrong with it."""
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        cleaned, _ = clean_line(bytes(line))
        try:
            return decoder.decode(cleaned) if cleaned is not None else None
        except msgspec.DecodeError:
            return None
