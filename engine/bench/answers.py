"""Answers of a model, of both generations, as the last record of each question tells them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl

from engine.bench.digest import text_digest
from engine.bench.jsonl import LINE, scan_blocks
from engine.bench.problems import Loaded, ProblemLog
from engine.bench.schema import ANSWER

ERROR_ANSWER = "$ERROR$"  # what the original stores in place of an answer that it could not get


class StoredAnswer(msgspec.Struct, frozen=True):
    """A model's answer to one question: the turns of its first choice, never empty.

    `token_len` is summed over the turns, None if the file does not tell it. `settings` and `inputs` (the digest of
    the question that was answered) are None in records of other programs.
    """

    question_id: str
    turns: tuple[str, ...]
    token_len: int | None = None
    settings: str | None = None
    finish_reason: str | None = None
    inputs: str | None = None

    @property
    def digest(self) -> str:
        """Fingerprint of the text, see `text_digest`."""
        return text_digest(self.turns)


def load_answers(path: Path) -> Loaded[dict[str, StoredAnswer]]:
    """The answers by question id; of several to one question the last counts.

    Null, empty and "$ERROR$" answers are none: they are told, and do not hide an earlier answer. A file that is not
    there has none. Raises BenchError if it cannot be read.
    """
    log = ProblemLog(path)
    found: dict[str, StoredAnswer] = {}
    for frame in scan_blocks(path, ANSWER, log):
        rows = _select(frame, log).select("id", "turns", "tokens", "settings", "finish_reason", "inputs").iter_rows()
        for question_id, turns, *more in rows:
            found[question_id] = StoredAnswer(question_id, tuple(turns), *more)
    return Loaded(found, log.result())


def load_token_lengths(path: Path) -> Loaded[dict[str, int | None]]:
    """Only the `token_len` of what `load_answers` would load: what a leaderboard needs of the answers."""
    log = ProblemLog(path)
    found: dict[str, int | None] = {}
    for frame in scan_blocks(path, ANSWER, log):
        found.update(_select(frame, log).select("id", "tokens").iter_rows())
    return Loaded(found, log.result())


def _select(frame: pl.DataFrame, log: ProblemLog) -> pl.DataFrame:
    """One row per usable record: `id`, `turns` (list of String), `tokens`, `settings`, `finish_reason`."""
    turn = pl.element().struct
    first_choice = pl.col("choices").list.first().struct.field("turns")
    lengths = first_choice.list.eval(turn.field("token_len"))
    answered = pl.col("messages").list.eval(turn.field("content").struct.field("answer")).list.drop_nulls()
    table = frame.select(
        LINE,
        "settings",
        "finish_reason",
        "inputs",
        id=pl.coalesce("question_id", "uid"),
        turns=pl.coalesce(first_choice.list.eval(turn.field("content")), answered),
        tokens=pl.when(lengths.list.eval(pl.element().is_null()).list.any())
        .then(None)
        .otherwise(pl.coalesce(lengths.list.sum(), pl.col("metadata").struct.field("token_len"))),
    )
    text = pl.element().str.strip_chars()
    is_told = pl.element().is_not_null() & (text != "") & (text != ERROR_ANSWER)
    usable = (
        (pl.col("id") != "") & (pl.col("turns").list.len() > 0) & pl.col("turns").list.eval(is_told).list.all()
    ).fill_null(value=False)
    for line, message in _complaints(table.filter(~usable)):
        log.add(line, message)
    return table.filter(usable)


def _complaints(unusable: pl.DataFrame) -> Iterator[tuple[int, str]]:
    for line, question_id, turns in unusable.select(LINE, "id", "turns").iter_rows():
        if not question_id:
            yield line, "no question_id (or uid) in it"
        elif turns and any(text and text.strip() == ERROR_ANSWER for text in turns):
            yield line, f"{ERROR_ANSWER} stands in place of an answer to {question_id}; it counts as missing"
        else:
            yield line, f"no text in the answer to {question_id}; it counts as missing"
