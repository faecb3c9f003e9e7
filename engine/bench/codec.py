"""Records as the lines they are on disk: UTF-8 JSON, one object each, nothing escaped that need not be."""

from __future__ import annotations

import json

import msgspec

from engine.bench.lines import without_surrogates

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
