"""Export in generation 1, the layout of arena-hard-auto v0.1 and arena-hard-local.

Fields beyond the original's (`settings`, `inputs`, `baseline`, ...) stay: its scripts ignore them, and with them a
judgment can still be told to be of today's texts when it comes back.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.bench.layout import BenchPaths
from engine.bench.stored import WholeAnswer, WholeGame, WholeJudgment
from engine.exporting.lengths import Lengths
from engine.exporting.output import Output
from engine.exporting.selection import RawRecord, Selection
from engine.records import Question


def export_arena_hard_v01(selection: Selection, output: Output, lengths: Lengths) -> None:
    """Write `question.jsonl`, `model_answer/` and `model_judgment/`."""
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
    return {
        "question_id": question.id,
        "category": question.category,
        "cluster": question.cluster,
        "turns": [{"content": turn} for turn in question.turns],
    }


def _answer(model: str, question: Question, answer: WholeAnswer, raw: RawRecord, lengths: Lengths) -> RawRecord:
    """The record as it is if it is of this generation and whole; the original needs every turn to tell its length."""
    choices = raw["choices"] if isinstance(raw.get("choices"), list) else []
    if answer.token_len is None or not choices:
        told = lengths.of(answer.turns, answer.token_len)
        choices = [{"index": 0, "turns": _turns(answer, told)}, *choices[1:]]
    more = {key: value for key, value in raw.items() if key not in _OF_GENERATION_2}
    return more | {
        "question_id": question.id,
        "answer_id": str(raw.get("answer_id") or raw.get("ans_id") or question.id),
        "model_id": model,
        "choices": choices,
        "tstamp": raw.get("tstamp") or 0.0,
    }


def _turns(answer: WholeAnswer, tokens: int) -> list[dict[str, object]]:
    """The turns with their lengths; of several each gets its share of the whole."""
    if len(answer.turns) == 1:
        return [{"content": answer.turns[0], "token_len": tokens}]
    size = sum(map(len, answer.turns)) or 1
    return [{"content": turn, "token_len": round(tokens * len(turn) / size)} for turn in answer.turns]


def _judgments(selection: Selection, judge: str, model: str) -> Iterator[RawRecord]:
    unplayed = 0
    for question, judgment, raw in selection.judgments(judge, model):
        unplayed += sum(game is None for game in judgment.games)
        yield _judgment(judge, model, selection.baseline, question, judgment, raw)
    if unplayed:
        selection.note(f"{unplayed} games of {model} by {judge} were never played: they stand there without a verdict")


def _judgment(
    judge: str, model: str, baseline: str, question: Question, judgment: WholeJudgment, raw: RawRecord
) -> RawRecord:
    games = raw["games"] if isinstance(raw.get("games"), list) else []
    more = {key: value for key, value in raw.items() if key not in _OF_GENERATION_2}
    return more | {
        "question_id": question.id,
        "model": model,
        "judge": judge,
        "games": [_game(game, told) for game, told in zip(judgment.games, games, strict=True)],
        "baseline": judgment.baseline or baseline,
    }


def _game(game: WholeGame | None, raw: object) -> RawRecord:
    """v0.1 knows no game that was not played: it gets one without a verdict."""
    if game is None or not isinstance(raw, dict):
        return {"user_prompt": "", "judgment": "", "score": None}
    prompt = next((message.content for message in reversed(game.messages) if message.role == "user"), "")
    more = {key: value for key, value in raw.items() if key != "prompt"}
    return more | {"user_prompt": prompt, "judgment": _written(raw), "score": game.label}


def _written(raw: RawRecord) -> str:
    """What the judge wrote, thinking included, as the file has it; generation 2 wraps it in an object."""
    text = raw.get("judgment")
    text = text.get("answer") if isinstance(text, dict) else text
    return text if isinstance(text, str) else ""


_OF_GENERATION_2 = ("uid", "ans_id", "messages", "metadata", "category", "prompt")
