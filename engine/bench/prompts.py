"""What a judge was shown, read from the file of a judgment only when it is looked at.

Prompts are most of the bytes of a judgment, and only those of judgments without a digest of their texts are wanted:
held in memory, those of a large file would fill it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import msgspec

from engine.bench.codec import decode_line

_STEP = 64 << 10


class _Message(msgspec.Struct, gc=False):
    content: Any = None


class _Game(msgspec.Struct, gc=False):
    user_prompt: Any = None
    prompt: list[_Message | None] | str | None = None


class _Record(msgspec.Struct, gc=False):
    question_id: str | int | None = None
    uid: str | int | None = None
    games: list[_Game | None] | None = None


_decoder = msgspec.json.Decoder(_Record)


class StoredPrompts(Sequence[str | None]):
    """One prompt a game: the user's (generation 1) or all messages (generation 2), None where there is none.

    Empty where the record at `start` is not, or no longer, of `question_id`.
    """

    __slots__ = ("_path", "_question_id", "_start")

    def __init__(self, path: Path, start: int, question_id: str) -> None:
        self._path = path
        self._start = start
        self._question_id = question_id

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str | None]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str | None] | None:
        return self.read()[index]

    def __len__(self) -> int:
        return len(self.read())

    def read(self) -> tuple[str | None, ...]:
        """All of them, with one look at the file."""
        record = decode_line(_decoder, _line_at(self._path, self._start))
        if record is None or str(record.question_id or record.uid) != self._question_id:
            return ()
        return tuple(map(_prompt, record.games or ()))


def _line_at(path: Path, start: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        line, at = b"", start
        while piece := os.pread(descriptor, _STEP, at):
            end = piece.find(b"\n")
            if end != -1:
                return line + piece[:end]
            line, at = line + piece, at + len(piece)
        return line
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _prompt(game: _Game | None) -> str | None:
    if game is None:
        return None
    if isinstance(game.user_prompt, str):
        return game.user_prompt
    messages = game.prompt if isinstance(game.prompt, list) else ()
    contents = (message.content for message in messages if message is not None)
    return "\n".join(content for content in contents if isinstance(content, str) and content) or None
