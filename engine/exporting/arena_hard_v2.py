"""Export in generation 2, the layout of arena-hard-auto v2.0.

It knows one turn a question: of a question with several, `prompt` is the first, and all of them stand in `turns` for
readers of generation 1. Answers carry the style counts that its style control reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from engine.bench.layout import BenchPaths
from engine.bench.stored import WholeAnswer, WholeGame
from engine.exporting.lengths import Lengths
from engine.exporting.output import Output
from engine.exporting.selection import RawRecord, Selection
from engine.ratings.markdown import count_markdown
from engine.records import Question

_KEPT = ("tstamp", "settings", "inputs", "finish_reason")  # of our records: v2 ignores them, an import reads them


def export_arena_hard_v2(selection: Selection, output: Output, lengths: Lengths) -> None:
    """Write `question.jsonl`, `model_answer/` and `model_judgment/`."""
    several = sum(len(question.turns) > 1 for question in selection.questions.values())
    if several:
        selection.note(f"{several} questions have several turns: programs of v2 see the first only")
    places = BenchPaths(output.root)
    output.lines(places.questions, map(_question, selection.questions.values()))
    for model in selection.models:
        records = (_answer(model, *found, lengths) for found in selection.answers(model))
        output.lines(places.answers(model), records)
    output.lines(places.settings, selection.settings())
    for judge in selection.judges:
        for model in selection.judged_models(judge):
            output.lines(places.judgments(judge, model), _judgments(selection, judge, model))


def _question(question: Question) -> RawRecord:
    record: RawRecord = {
        "uid": question.id,
        "category": question.category,
        "subcategory": question.cluster,
        "prompt": question.turns[0],
    }
    if len(question.turns) > 1:
        record["turns"] = [{"content": turn} for turn in question.turns]
    return record


def _answer(model: str, question: Question, answer: WholeAnswer, raw: RawRecord, lengths: Lengths) -> RawRecord:
    said = zip_longest(question.turns, answer.turns)
    return {
        "uid": question.id,
        "ans_id": str(raw.get("ans_id") or raw.get("answer_id") or question.id),
        "model": model,
        "messages": [message for asked, answered in said for message in _exchange(asked, answered)],
        "metadata": {
            "token_len": lengths.of(answer.turns, answer.token_len),
            **_style("\n\n".join(answer.turns)),
        },
        **_kept(raw),
    }


def _exchange(asked: str | None, answered: str | None) -> Iterator[RawRecord]:
    if asked is not None:
        yield {"role": "user", "content": asked}
    if answered is not None:
        yield {"role": "assistant", "content": {"answer": answered}}


def _style(text: str) -> dict[str, Any]:
    counts = count_markdown(text)
    return {
        "header_count": {f"h{level}": count for level, count in enumerate(counts.headers, start=1)},
        "list_count": {"ordered": counts.ordered, "unordered": counts.unordered},
        "bold_count": {"**": counts.bold_stars, "__": counts.bold_underscores},
    }


def _judgments(selection: Selection, judge: str, model: str) -> Iterator[RawRecord]:
    for question, judgment, raw in selection.judgments(judge, model):
        yield {
            "uid": question.id,
            "category": question.category,
            "judge": judge,
            "model": model,
            "baseline": judgment.baseline or selection.baseline,
            "games": [None if game is None else _game(game) for game in judgment.games],
            **_kept(raw),
        }


def _game(game: WholeGame) -> RawRecord:
    return {
        "score": game.label,
        "judgment": {"answer": game.judgment},
        "prompt": [{"role": message.role, "content": message.content} for message in game.messages],
    }


def _kept(raw: RawRecord) -> RawRecord:
    return {key: raw[key] for key in _KEPT if raw.get(key) is not None}
