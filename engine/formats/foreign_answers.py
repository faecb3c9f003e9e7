"""Answers and questions of other programs, turned into files of the bench's generation that an import takes.

    AlpacaEval   `model_outputs.json`: an array (or JSON lines) of {instruction, output, generator}
    AutoArena    a CSV with the columns prompt and response; the file's name is the model's
    without ids  JSON lines of questions, or of questions and answers, in any shape that `engine.bench.shapes` reads

Questions that are identified by their text are matched with the question set of the bench. Without a question set, the
texts become one, under ids that follow from them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import msgspec

from engine.bench.decoding import answer_lines, question_lines
from engine.bench.digest import text_digest
from engine.bench.generation_2 import answer_of_generation_2, is_generation_2
from engine.bench.layout import BenchPaths
from engine.bench.lines import ProblemLog, encode_json, json_lines
from engine.bench.shapes import kind_of, record_id, unquoted
from engine.bench.stored import load_questions
from engine.errors import Advice, AdviceKind, BenchError
from engine.opening import open_regular, read_whole
from engine.records import AnswerRecord, Choice, Question, Turn

_LARGEST = 4 << 30  # bytes of a file that is read as a whole
_EXPECTED = (
    'AlpacaEval\'s is an array of {"instruction", "output", "generator"}, AutoArena\'s a CSV with prompt,response'
)


class _Pair(msgspec.Struct, frozen=True):
    """A question without an id, and the answer of a model; "" where there is none."""

    asked: Question
    model: str
    said: tuple[str, ...]


def is_foreign(src: Path) -> bool:
    """Whether a file is in one of these formats."""
    if src.suffix in (".json", ".csv"):
        return True
    first = next(records_of(src), None) if src.suffix == ".jsonl" else None
    return first is not None and record_id(first) is None and kind_of(first) in ("questions", "answers")


def convert(src: Path, bench: BenchPaths, folder: Path) -> list[Path]:
    """Write the content of `src` into `folder` as JSONL; the question set first if the bench has none.

    Raises BenchError for a file in none of the formats, and for answers to questions that are not in the set.
    """
    rows = _rows(src)
    if src.suffix == ".json" and rows and _has_id(rows[0]):
        target = folder / f"{src.stem}.jsonl"
        _write(target, rows)
        return [target]
    pairs = [_pair_of(src, number, row) for number, row in enumerate(rows, start=1)]
    if not pairs:
        raise BenchError(f"{src}: no answer in it", _EXPECTED)
    written = []
    if bench.questions.exists() and any(pair.said for pair in pairs):
        ids = {_name(question): question.id for question in load_questions(bench.questions).items}
    else:
        questions = {_name(pair.asked): pair.asked for pair in pairs}
        ids = {name: text_digest(question.shown) for name, question in questions.items()}
        written.append(folder / "question.jsonl")
        _write(written[0], ({"question_id": ids[name], "turns": _turns(each)} for name, each in questions.items()))
    orphans = [pair.asked.shown[0] for pair in pairs if _name(pair.asked) not in ids]
    if orphans:
        raise BenchError(
            f"{src}: {len(orphans)} answers are to questions that are not in {bench.questions}, the first to "
            f"{orphans[0][:60]!r}",
            Advice("import into another bench, or a new one to import the questions too", AdviceKind.BENCH_NAME),
        )
    by_model: dict[str, list[_Pair]] = {}
    for pair in pairs:
        if pair.said:
            by_model.setdefault(pair.model, []).append(pair)
    is_of_2 = bench.questions.exists() and is_generation_2(bench.questions)
    for number, (model, given) in enumerate(by_model.items()):
        target = folder / f"{number}.jsonl"
        answers = ((_answer(model, ids[_name(pair.asked)], pair.said), pair.asked) for pair in given)
        _write(target, (answer_of_generation_2(*each) if is_of_2 else each[0] for each in answers))
        written.append(target)
    return written


def records_of(src: Path, log: ProblemLog | None = None) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a JSONL file; `log` gets the lines that are none. Raises BenchError if unreadable."""
    log = log or ProblemLog(src)
    decoder = msgspec.json.Decoder(dict[str, Any])
    return (decoder.decode(line) for _, line in json_lines(src, log))


def _rows(src: Path) -> list[Any]:
    if src.suffix == ".csv":
        return _auto_arena(src)
    return list(records_of(src)) if src.suffix == ".jsonl" else _alpaca_eval(src)


def _has_id(row: Any) -> bool:
    return (
        isinstance(row, dict) and "instruction" not in row and record_id(row) is not None and kind_of(row) is not None
    )


def _alpaca_eval(src: Path) -> list[Any]:
    try:
        rows = msgspec.json.decode(read_whole(src, _LARGEST).removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise BenchError(f"{src}: is not JSON ({error})", _EXPECTED) from None
    return rows if isinstance(rows, list) else [rows]


def _pair_of(src: Path, number: int, row: Any) -> _Pair:
    """Return question and answer of a row. Raises BenchError if one of them is missing."""
    question = said = None
    model: object = ""
    if isinstance(row, dict):
        data = encode_json({**row, "question_id": number})
        asked, answered = question_lines.decode(data)[0], answer_lines.decode(data)[0]
        question = asked.question() if asked is not None else None
        if question is not None and src.suffix == ".jsonl" and kind_of(row) == "questions":
            return _Pair(question, "", ())
        said = answered.usable() if answered is not None else None
        model = next((row[key] for key in ("generator", "model_id", "model") if row.get(key)), "")
    if src.suffix != ".json":
        model = model or src.stem
    if question is None or not said or not isinstance(model, str) or not model:
        raise BenchError(f"{src}: entry {number} has no question, no answer or no model", _EXPECTED)
    turns = unquoted(said[0])
    if len(said) == 1 and len(question.turns) > 1 and isinstance(turns, list) and len(turns) == len(question.turns):
        said = tuple(map(str, turns))
    return _Pair(question, model, said)


def _auto_arena(src: Path) -> list[dict[str, str]]:
    try:
        with TextIOWrapper(open_regular(src), encoding="utf-8-sig", newline="") as stream:
            rows = [(row.get("prompt"), row.get("response")) for row in csv.DictReader(stream)]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise BenchError(f"{src}: is not CSV ({error})", _EXPECTED) from None
    found = [{"prompt": asked, "response": said} for asked, said in rows if asked and said]
    if len(found) < len(rows):
        raise BenchError(f"{src}: {len(rows) - len(found)} rows have no prompt or no response", _EXPECTED)
    return found


def _name(question: Question) -> tuple[str, ...]:
    """Return what identifies a question without an id: its text."""
    return tuple(text.strip() for text in question.shown)


def _turns(question: Question) -> list[dict[str, str]]:
    context = [{"role": each.role, "content": each.content} for each in question.context]
    return [*context, *({"content": turn} for turn in question.turns)]


def _answer(model: str, question_id: str, said: Sequence[str]) -> AnswerRecord:
    return AnswerRecord(question_id, question_id, model, (Choice(0, tuple(map(Turn, said))),))


def _write(path: Path, records: Iterable[Mapping[str, Any] | AnswerRecord]) -> None:
    with path.open("wb") as stream:
        stream.writelines(encode_json(record) + b"\n" for record in records)
