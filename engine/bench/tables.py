"""The columns that the index keeps of each kind of file: ids, byte ranges, labels and digests of texts, never texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from engine.bench.decoding import ANSWER_END, ANSWER_START, GameLine, answer_lines, judgment_lines, question_lines
from engine.bench.digest import text_key
from engine.bench.lines import ProblemLog, mark_of
from engine.judging.fence import without_opening_line
from engine.labels import CODES, LABELS, NOT_PLAYED, UNPARSED, digit

Row: TypeAlias = tuple[Any, ...]
Lines: TypeAlias = Iterable[tuple[int, int, bytes]]

USER_START = "<|User Prompt|>\n"  # how every fork's prompt template frames the question and the two answers
_START_A, _END_A = f"{ANSWER_START.format('A')}\n", f"\n{ANSWER_END.format('A')}"
_START_B, _END_B = f"{ANSWER_START.format('B')}\n", f"\n{ANSWER_END.format('B')}"


@dataclass(frozen=True)
class TableKind:
    """What is kept of a kind of file. `unique` columns name a record, of which the last in the file counts.

    `read` turns lines into rows; it reports what cannot be used. A file that `grows` is read on from where it ended.
    """

    name: str
    schema: Mapping[str, Any]
    unique: Sequence[str]
    read: Callable[[Lines, ProblemLog], list[Row]]
    grows: bool = True

    def frame(self, rows: list[Row]) -> pl.DataFrame:
        """Return the rows as a table, of several with one name the last."""
        found = pl.DataFrame(rows, schema=dict(self.schema), orient="row")
        return found.unique(self.unique, keep="last", maintain_order=True)

    def joined(self, old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
        """Return both tables as one, where `new` comes later in the file."""
        return pl.concat([old, new]).unique(self.unique, keep="last", maintain_order=True) if len(new) else old


def _read_questions(lines: Lines, log: ProblemLog) -> list[Row]:
    rows: list[Row] = []
    first_seen: dict[str, int] = {}
    for number, start, line in lines:
        record, why = question_lines.decode(line)
        if record is None:
            log.add(number, why)
            continue
        question, complaint = record.read(first_seen, number)
        if question is None:
            log.add(number, complaint)
        else:
            rows.append((question.id, start, len(line), text_key(question.shown), question.category, question.cluster))
    return rows


def _read_answers(lines: Lines, log: ProblemLog) -> list[Row]:
    rows: list[Row] = []
    for number, start, line in lines:
        record, why = answer_lines.decode(line)
        if record is None:
            log.add(number, why)
            continue
        turns = record.usable()
        if turns is None or not record.key:
            log.add(number, record.complaint())
            if record.key:
                rows.append((record.key, start, len(line), *[None] * (len(ANSWERS.schema) - 3)))
            continue
        rows.append(
            (
                record.key,
                start,
                len(line),
                text_key(turns),
                record.tokens(),
                record.counter(),
                record.settings,
                record.finish_reason,
                record.inputs,
                record.tstamp,
                len(record.choices or ()) or 1,
                [None if other is None else text_key(other) for other in record.others()] or None,
                sum(len(turn.encode("utf-8", "surrogatepass")) for turn in turns),
                True,
            )
        )
    return rows


def _read_judgments(lines: Lines, log: ProblemLog) -> list[Row]:
    rows: list[Row] = []
    for number, start, line in lines:
        record, why = judgment_lines.decode(line)
        if record is None:
            log.add(number, why)
            continue
        for complaint in record.complaints():
            log.add(number, complaint)
        games = record.games
        if not record.key or not games:
            continue
        prompts = [game.shown() if game is not None else None for game in games]
        shown = _shown(prompts) if record.inputs is None else None
        odds = [
            chance
            for each in record.probabilities()
            for chance in ([float("nan")] * len(LABELS) if each is None else [each[label] for label in LABELS])
        ]
        rows.append(
            (
                record.key,
                start,
                len(line),
                mark_of(line),
                record.baseline,
                record.settings,
                record.inputs,
                "".join(map(_digit, games)),
                odds or None,
                record.tstamp,
                sum((game and game.asks) or 1 for game in games),
                *((None, None, None) if shown is None else (text_key((text,)) for text in shown)),
                record.inputs is not None or any(prompts),
                *(max(0, number or 0) for number in (record.choice, record.baseline_choice, record.repeat)),
            )
        )
    return rows


def _digit(game: GameLine | None) -> str:
    label = game.label() if game is not None else None
    code = NOT_PLAYED if game is None else UNPARSED if label is None else CODES[label]
    return digit(code)


def _shown(prompts: Sequence[str | None]) -> tuple[str, str, str] | None:
    """Return the question, the baseline's and the model's answer that the prompts of all games show.

    None where they are not framed as in the template of all forks, or differ between the games.
    """
    found: tuple[str, str, str] | None = None
    for at, prompt in enumerate(prompts):
        if not prompt:
            continue
        sections = _sections(prompt)
        if sections is None:
            return None
        question, one, other = sections
        texts = (question, one, other) if at % 2 == 0 else (question, other, one)
        if found is not None and texts != found:
            return None
        found = texts
    return found


def _sections(prompt: str) -> tuple[str, str, str] | None:
    """Return the question and the answers of A and B of a prompt."""
    begin, start_a, start_b = prompt.find(USER_START), prompt.find(_START_A), prompt.rfind(_START_B)
    end_a, end_b = prompt.rfind(_END_A, start_a, start_b), prompt.rfind(_END_B, start_b)
    if -1 in (begin, start_a, start_b, end_a, end_b) or begin > start_a:
        return None
    question = without_opening_line(prompt[begin + len(USER_START) : start_a]).removesuffix("\n\n")
    return question, prompt[start_a + len(_START_A) : end_a], prompt[start_b + len(_START_B) : end_b]


_SPAN = {"key": pl.String, "start": pl.Int64, "length": pl.Int64}

QUESTIONS = TableKind(
    "questions",
    {**_SPAN, "digest": pl.UInt64, "category": pl.String, "cluster": pl.String},
    ("key",),
    _read_questions,
    grows=False,  # whether a question counts depends on those before it
)
ANSWERS = TableKind(
    "answers",
    {
        **_SPAN,
        "digest": pl.UInt64,
        "tokens": pl.Int64,
        "token_counter": pl.String,
        "settings": pl.String,
        "finish_reason": pl.String,
        "inputs": pl.String,
        "tstamp": pl.Float64,
        "choices": pl.Int32,
        "others": pl.List(pl.UInt64),  # digests of all choices but the first, null for one that is not usable
        "bytes": pl.Int64,
        "is_usable": pl.Boolean,  # null for an error or nothing in place of an answer
    },
    ("key", "is_usable"),
    _read_answers,
)
JUDGMENTS = TableKind(
    "judgments",
    {
        **_SPAN,
        "mark": pl.UInt64,  # of the bytes of the line
        "baseline": pl.String,
        "settings": pl.String,
        "inputs": pl.String,
        "games": pl.String,  # see `labels_of`
        "odds": pl.List(pl.Float64),  # of all labels, game by game; null where no game has any
        "tstamp": pl.Float64,
        "asks": pl.Int32,
        "shown_question": pl.UInt64,  # digests of what the prompts show, where `inputs` is null
        "shown_baseline": pl.UInt64,
        "shown_model": pl.UInt64,
        "is_checkable": pl.Boolean,  # whether it has a digest of its texts or prompts
        "choice": pl.Int32,
        "baseline_choice": pl.Int32,
        "repeat": pl.Int32,
    },
    ("key", "baseline", "choice", "repeat"),
    _read_judgments,
)
