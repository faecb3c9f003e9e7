"""What a judge wrote in each game, to be read again: only an audit needs that much text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine.bench.lines import blocks, numbered
from engine.bench.problems import Loaded, ProblemLog
from engine.judging.labels import normalise_label
from engine.judging.thinking import split_thinking
from engine.records import Label


class Reply(msgspec.Struct, frozen=True):
    """What the judge wrote in one game, without its thinking, and the label that was stored for it.

    With several `asks` the text is of all of them. `asks` is None in files of other programs.
    """

    text: str
    label: Label | None
    asks: int | None = None


class _Game(msgspec.Struct, gc=False):
    judgment: Any = None
    score: Any = None
    asks: Any = None


class _Record(msgspec.Struct, gc=False):
    question_id: str | int | None = None
    uid: str | int | None = None
    baseline: Any = None
    games: list[_Game | None] | None = None


_decoder = msgspec.json.Decoder(_Record)


def load_replies(path: Path, baseline: str | None = None) -> Loaded[dict[str, tuple[Reply | None, ...]]]:
    """The replies by question id, one entry a game, of both generations; of several records the last counts.

    With `baseline`, records that name another one are passed over. A game without text is None. A file that is not
    there has none. Raises BenchError if it cannot be read.
    """
    log = ProblemLog(path)
    found: dict[str, tuple[Reply | None, ...]] = {}
    for first, block in blocks(path, log):
        for number, line in numbered(first, block, log):
            try:
                record = _decoder.decode(line)
            except msgspec.DecodeError as error:
                log.add(number, f"not a judgment ({error})")
                continue
            key = record.question_id if record.question_id is not None else record.uid
            if key is None or (baseline is not None and record.baseline not in (None, baseline)):
                continue
            found[str(key)] = tuple(map(_reply, record.games or ()))
    return Loaded(found, log.result())


def _reply(game: _Game | None) -> Reply | None:
    written = game.judgment if game is not None else None
    text = written.get("answer") if isinstance(written, dict) else written  # generation 2 wraps it in an object
    if game is None or not isinstance(text, str):
        return None
    label = normalise_label(game.score) if isinstance(game.score, str) else None
    return Reply(split_thinking(text)[0], label, game.asks if isinstance(game.asks, int) else None)
