"""Answers and questions of other programs, turned into files of generation 1 that an import takes.

    AlpacaEval   `model_outputs.json`: an array of {instruction, output, generator}
    AutoArena    a CSV with the columns prompt and response; the file's name is the model's
    MT-bench     `question.jsonl` and answers whose turns are plain strings

Questions that are identified by their text are matched with the question set of the bench. Without a question set, the
texts become one, under ids that follow from them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from engine.bench.digest import text_digest
from engine.bench.layout import BenchPaths
from engine.bench.lines import ProblemLog, encode_json, json_lines
from engine.bench.stored import load_questions
from engine.errors import Advice, AdviceKind, BenchError

_EXPECTED = (
    'AlpacaEval\'s is an array of {"instruction", "output", "generator"}, AutoArena\'s a CSV with prompt,response'
)

_Answers: TypeAlias = dict[str, list[tuple[str, str]]]
"""By model, question and answer."""


def is_foreign(src: Path) -> bool:
    """Whether a file is in one of these formats."""
    if src.suffix in (".json", ".csv"):
        return True
    first = next(records_of(src), None) if src.suffix == ".jsonl" else None
    return first is not None and _has_plain_turns(first)


def convert(src: Path, bench: BenchPaths, folder: Path) -> list[Path]:
    """Write the content of `src` into `folder` as JSONL of generation 1; the question set first if the bench has none.

    Raises BenchError for a file in none of the formats, and for answers to questions that are not in the set.
    """
    if src.suffix == ".jsonl":
        target = folder / src.name
        _write(target, map(_with_objects, records_of(src)))
        return [target]
    answers = _alpaca_eval(src) if src.suffix == ".json" else _auto_arena(src)
    if not answers:
        raise BenchError(f"{src}: no answer in it", _EXPECTED)
    written = []
    if bench.questions.exists():
        ids = {question.turns[0].strip(): question.id for question in load_questions(bench.questions).items}
    else:
        texts = dict.fromkeys(text for given in answers.values() for text, _ in given)
        ids = {text.strip(): text_digest((text,)) for text in texts}
        written.append(folder / "question.jsonl")
        _write(written[0], ({"question_id": ids[text.strip()], "turns": [{"content": text}]} for text in texts))
    orphans = [text for given in answers.values() for text, _ in given if text.strip() not in ids]
    if orphans:
        raise BenchError(
            f"{src}: {len(orphans)} answers are to questions that are not in {bench.questions}, the first to "
            f"{orphans[0][:60]!r}",
            Advice("import into another bench, or a new one to import the questions too", AdviceKind.BENCH_NAME),
        )
    for number, (model, given) in enumerate(answers.items()):
        target = folder / f"{number}.jsonl"
        _write(target, (_answer(model, ids[text.strip()], said) for text, said in given))
        written.append(target)
    return written


def records_of(src: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a JSONL file; lines that are none are skipped. Raises BenchError if unreadable."""
    log = ProblemLog(src)
    decoder = msgspec.json.Decoder(dict[str, Any])
    return (decoder.decode(line) for _, line in json_lines(src, log))


def _alpaca_eval(src: Path) -> _Answers:
    try:
        rows = msgspec.json.decode(src.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise BenchError(f"{src}: is not JSON ({error})", _EXPECTED) from None
    found: _Answers = {}
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], start=1):
        wanted = [row.get(key) for key in ("generator", "instruction", "output")] if isinstance(row, dict) else []
        model, asked, said = wanted if len(wanted) == 3 else (None, None, None)
        if not (isinstance(model, str) and isinstance(asked, str) and isinstance(said, str)):
            raise BenchError(f"{src}: entry {number} is no output of AlpacaEval", _EXPECTED)
        found.setdefault(model, []).append((asked, said))
    return found


def _auto_arena(src: Path) -> _Answers:
    try:
        with src.open(encoding="utf-8-sig", newline="") as stream:
            rows = [(row.get("prompt"), row.get("response")) for row in csv.DictReader(stream)]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise BenchError(f"{src}: is not CSV ({error})", _EXPECTED) from None
    given = [(asked, said) for asked, said in rows if asked is not None and said is not None]
    if len(given) < len(rows):
        raise BenchError(f"{src}: {len(rows) - len(given)} rows have no prompt or no response", _EXPECTED)
    return {src.stem: given} if given else {}


def _answer(model: str, question_id: str, said: str) -> dict[str, Any]:
    choices = [{"index": 0, "turns": [{"content": said}]}]
    return {"question_id": question_id, "answer_id": question_id, "model_id": model, "choices": choices}


def _has_plain_turns(record: Mapping[str, Any]) -> bool:
    choices = record.get("choices")
    held = [record, *(choices if isinstance(choices, list) else [])]
    lists = [each.get("turns") for each in held if isinstance(each, dict)]
    return any(isinstance(turn, str) for turns in lists if isinstance(turns, list) for turn in turns)


def _with_objects(record: dict[str, Any]) -> dict[str, Any]:
    """The record with every turn as an object."""
    turned = {**record, **_objects(record)}
    if isinstance(record.get("choices"), list):
        choices = [{**choice, **_objects(choice)} for choice in record["choices"] if isinstance(choice, dict)]
        turned["choices"] = choices
    return turned


def _objects(held: Mapping[str, Any]) -> dict[str, Any]:
    turns = held.get("turns")
    if not isinstance(turns, list):
        return {}
    return {"turns": [{"content": turn} if isinstance(turn, str) else turn for turn in turns]}


def _write(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    with path.open("wb") as stream:
        stream.writelines(encode_json(record) + b"\n" for record in records)
