"""Rows of a file as questions: which column is what, which turns are asked, and which id a question gets.

A question is read in any shape that `engine.bench.shapes` knows. What was answered already is no part of it: a chat
that ends with the assistant's turn loses that turn, of TRL's pairs without a prompt the part that both begin with is
asked. A question without an id gets one that follows from its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.bench.decoding import question_lines
from engine.bench.digest import text_digest
from engine.bench.lines import ProblemLog, encode_json
from engine.bench.shapes import record_id
from engine.errors import Advice, AdviceKind, UsageProblem
from engine.formats.row_files import FileRow
from engine.records import Question

LONGEST_PROMPT = 1_000_000  # characters: about a quarter of a million tokens
FIELDS = {
    "id": "question_id",
    "question_id": "question_id",
    "prompt": "prompt",
    "question": "prompt",
    "system": "system",
    "category": "category",
    "cluster": "cluster",
    "topic": "cluster",
}
"""By the name that a mapping uses, the field of a question."""

_ASKED = (
    "turns", "prompt", "messages", "conversation", "conversations", "instruction", "question", "query", "text",
    "input", "context", "chosen", "rejected",
)  # fmt: skip
_CHATS = ("messages", "conversation", "conversations", "prompt")
_REPLYING = {"assistant", "gpt", "chatgpt", "bot", "model", "ai"}


class FoundQuestion(msgspec.Struct, frozen=True):
    """A question and the line that it was read from."""

    line: int
    question: Question


class ColumnMap:
    """Which column becomes which field, from pairs of names such as `("instruction_ru", "prompt")`.

    A column inside of another one is named with a dot. Raises UsageProblem for a field that a question does not have.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        for _, field in pairs:
            if field not in FIELDS:
                hint = Advice(f"known are {', '.join(FIELDS)}", AdviceKind.COLUMNS)
                raise UsageProblem(f"a question has no field {field!r}", hint)
        self._pairs = [(column, FIELDS[field]) for column, field in pairs]
        self._fields = {field for _, field in self._pairs}

    def apply(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row with its columns under the names of the fields. Raises KeyError for a column it lacks."""
        values = [(field, _column(row, column)) for column, field in self._pairs]
        kept = dict(row)
        if "prompt" in self._fields:
            kept = {key: value for key, value in kept.items() if key not in _ASKED}
        for field, value in values:
            kept[field] = value
        return kept


def read_questions(rows: Sequence[FileRow], columns: ColumnMap, log: ProblemLog) -> list[FoundQuestion]:
    """Return the questions of the rows, in their order; `log` gets the rows that hold none, by their line.

    Of two rows with one id and different texts the second is a problem; two with one id and one text are both returned.
    """
    found: list[FoundQuestion] = []
    texts: dict[str, tuple[int, Question]] = {}
    for line, fields in rows:
        try:
            question, why = _question(columns.apply(fields))
        except KeyError as error:
            question, why = None, f"no column {error.args[0]!r}, only {_listed_columns(fields)}"
        if question is None:
            log.add(line, why)
            continue
        first, known = texts.setdefault(question.id, (line, question))
        if known.shown != question.shown:
            log.add(line, f"the id {question.id} stands in line {first} already, with another text")
        else:
            found.append(FoundQuestion(line, question))
    return found


def _question(row: dict[str, Any]) -> tuple[Question | None, str]:
    row = _asked_only(row)
    given = record_id(row)
    if isinstance(given, str) and not given.strip():
        given = None
    record, why = question_lines.decode(encode_json({**row, "question_id": "-" if given is None else given}))
    if record is None:
        return None, why.removeprefix("-: ")
    question, why = record.read({}, 1)
    if question is None:
        return None, "empty: no text to ask" if why.endswith("has no text") else why.replace("question - ", "it ")
    size = sum(map(len, question.shown))
    if size > LONGEST_PROMPT:
        return None, f"{size:,} characters, at most {LONGEST_PROMPT:,} can be asked"
    if given is None:
        question = msgspec.structs.replace(question, id=text_digest(question.shown))
    return question, ""


def _asked_only(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row without what was replied already."""
    for key in _CHATS:
        chat = row.get(key)
        if isinstance(chat, list) and chat and isinstance(chat[-1], dict):
            while chat and _is_reply(chat[-1]):
                chat = chat[:-1]
            return {**row, key: chat}
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if isinstance(chosen, list) and isinstance(rejected, list) and not row.keys() & {*_ASKED[:9]}:
        shared = [one for one, other in zip(chosen, rejected, strict=False) if one == other]
        return _asked_only({**row, "messages": shared})
    return row


def _is_reply(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    role = message.get("role", message.get("from"))
    return isinstance(role, str) and role.casefold() in _REPLYING


def _column(row: Mapping[str, Any], name: str) -> Any:
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise KeyError(name)
        value = value[part]
    return value


def _listed_columns(row: Mapping[str, Any]) -> str:
    return ", ".join(f"`{str(key)[:30]}`" for key in list(row)[:8])
