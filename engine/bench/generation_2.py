"""New records as a folder of generation 2 (arena-hard-auto v2.0) holds them; its programs stop at any other.

What the program keeps besides is added under the names of generation 1: programs of v2 ignore it, and it is read back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from engine.bench.lines import ProblemLog, json_lines, plain
from engine.ratings.markdown import count_markdown
from engine.records import AnswerRecord, JudgmentRecord, Question, Turn

PlainRecord: TypeAlias = dict[str, Any]


def is_generation_2(questions: Path) -> bool:
    """Return whether a question set names its questions by `uid` alone. Raises BenchError if it cannot be read."""
    _, line = next(json_lines(questions, ProblemLog(questions)), (0, b"{}"))
    first = msgspec.json.decode(line)
    return "uid" in first and "question_id" not in first


def answer_of_generation_2(record: AnswerRecord, question: Question) -> PlainRecord:
    """Return an answer as a line of `model_answer/<model>.jsonl`; `choices` only where there are several."""
    raw = plain(record)
    turns = record.choices[0].turns
    lengths = [turn.token_len for turn in turns if turn.token_len is not None]
    tokens = sum(lengths) if len(lengths) == len(turns) else None
    ours = ("question_id", "answer_id", "model_id", *(["choices"] if len(record.choices) == 1 else []))
    return {
        "uid": record.question_id,
        "ans_id": record.answer_id,
        "model": record.model_id,
        "messages": list(chat(question, list(map(_said, turns)))),
        "metadata": answer_metadata([turn.content for turn in turns], tokens),
        **{key: value for key, value in raw.items() if key not in ours},
    }


def judgment_of_generation_2(record: JudgmentRecord, question: Question) -> PlainRecord:
    """Return a judgment as a line of `model_judgment/<judge>/<model>.jsonl`."""
    raw = plain(record)
    return {
        "uid": record.question_id,
        "category": question.category,
        "judge": record.judge,
        "model": record.model,
        "baseline": record.baseline,
        **{key: value for key, value in raw.items() if key not in ("question_id", "judge", "model", "baseline")},
        "games": [None if game is None else _game(game) for game in raw["games"]],
    }


def chat(question: Question, answered: Sequence[PlainRecord]) -> Iterator[PlainRecord]:
    """Yield the messages of an answer: each turn of the question, then the answer to it as an object with `answer`."""
    yield from ({"role": each.role, "content": each.content} for each in question.context)
    for asked, said in zip_longest(question.turns, answered):
        if asked is not None:
            yield {"role": "user", "content": asked}
        if said is not None:
            yield {"role": "assistant", "content": said}


def answer_metadata(turns: Sequence[str], tokens: int | None) -> PlainRecord:
    """Return the length and the style counts of an answer, which style control of v2 reads."""
    counts = count_markdown("\n\n".join(turns))
    return {
        "token_len": tokens,
        "header_count": {f"h{level}": count for level, count in enumerate(counts.headers, start=1)},
        "list_count": {"ordered": counts.ordered, "unordered": counts.unordered},
        "bold_count": {"**": counts.bold_stars, "__": counts.bold_underscores},
    }


def _said(turn: Turn) -> PlainRecord:
    return {"answer": turn.content} | ({} if turn.raw is msgspec.UNSET else {"raw": turn.raw})


def _game(game: PlainRecord) -> PlainRecord:
    prompt = {"role": "user", "content": game["user_prompt"]}
    more = {key: value for key, value in game.items() if key not in ("score", "judgment", "user_prompt")}
    return {"score": game["score"], "judgment": {"answer": game["judgment"]}, "prompt": [prompt], **more}
