"""Export in the layouts of arena-hard-auto v0.1 (generation 1, also arena-hard-local's) and v2.0 (generation 2).

Generation 1 keeps fields beyond the original's (`settings`, `inputs`, `baseline`, ...): its scripts ignore them, and
with them an imported judgment can still be checked against today's texts. It has no game that was not played.

Generation 2 has one turn per question: of a question with several, `prompt` is the first, and all of them are in
`turns` for readers of generation 1. Answers carry the style counts that its style control reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from engine.bench.decoding import COUNTER_OF_GENERATION_2
from engine.bench.generation_2 import answer_metadata, chat
from engine.bench.layout import BenchPaths
from engine.bench.shapes import text_or_none
from engine.bench.stored import WholeAnswer, WholeGame, WholeJudgment
from engine.formats.selection import FileRecords, RawRecord, Selection
from engine.records import Question

CountTokens = Callable[[str], int]
BYTES_PER_TOKEN = 4.3  # of UTF-8, in cl100k_base, for English and for Russian alike

_OF_GENERATION_2 = ("uid", "ans_id", "messages", "metadata", "category", "prompt")  # not copied into generation 1
_KEPT = ("tstamp", "settings", "inputs", "finish_reason")  # copied into generation 2: it ignores them, imports do not


class TokenLengths:
    """Fills in the answer lengths in tokens that a file does not give.

    `load` returns a tokenizer, or None where there is none; it is called once, when the first length is missing.
    """

    def __init__(self, load: Callable[[], CountTokens | None]) -> None:
        self._load = load
        self._count: CountTokens | None = None
        self._filled = 0

    def of(self, turns: Sequence[str], stored: int | None) -> int:
        """Return the length of an answer: as stored, else counted, else estimated from its bytes."""
        if stored is not None:
            return stored
        if not self._filled:
            self._count = self._load()
        self._filled += 1
        if self._count is not None:
            return sum(map(self._count, turns))
        return sum(round(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN) for text in turns)

    @property
    def counter(self) -> str:
        """The name of what fills lengths in, for records: without one, the generations have different ones."""
        return "cl100k_base" if self._count is not None else "bytes"

    def note(self) -> str | None:
        """Return how lengths were filled in, if any were."""
        if not self._filled:
            return None
        how = "counted with cl100k_base" if self._count is not None else "estimated from their bytes"
        return f"{self._filled} answers have no token_len: {how}"


def generation_1_files(selection: Selection, lengths: TokenLengths) -> Iterator[FileRecords]:
    """Yield `question.jsonl`, `model_answer/` and `model_judgment/` of generation 1."""
    _note_context(selection)
    paths = BenchPaths(Path())
    yield paths.questions, map(question_of_generation_1, selection.questions.values())
    for model in selection.models:
        yield paths.answers(model), (_answer_1(model, *found, lengths) for found in selection.answers(model))
    yield paths.settings, selection.settings()
    for judge, model in selection.judged():
        yield paths.judgments(judge, model), _judgments_1(selection, judge, model)


def generation_2_files(selection: Selection, lengths: TokenLengths) -> Iterator[FileRecords]:
    """Yield `question.jsonl`, `model_answer/` and `model_judgment/` of generation 2."""
    several = sum(len(question.turns) > 1 for question in selection.questions.values())
    if several:
        selection.note(f"{several} questions have several turns: programs of v2 read only the first")
    _note_context(selection)
    paths = BenchPaths(Path())
    yield paths.questions, map(question_of_generation_2, selection.questions.values())
    for model in selection.models:
        yield paths.answers(model), (_answer_2(model, *found, lengths) for found in selection.answers(model))
    yield paths.settings, selection.settings()
    for judge, model in selection.judged():
        yield paths.judgments(judge, model), _judgments_2(selection, judge, model)


def question_of_generation_1(question: Question) -> RawRecord:
    """Return a question as a line of `question.jsonl`."""
    return {
        "question_id": question.id,
        "category": question.category,
        "cluster": question.cluster,
        "turns": _asked(question),
    }


def _asked(question: Question) -> list[RawRecord]:
    """Return the turns of a question; with their roles where not all are of the user."""
    if not question.context:
        return [{"content": turn} for turn in question.turns]
    context = [{"role": each.role, "content": each.content} for each in question.context]
    return [*context, *({"role": "user", "content": turn} for turn in question.turns)]


def _note_context(selection: Selection) -> None:
    if with_context := sum(bool(question.context) for question in selection.questions.values()):
        selection.note(
            f"{with_context} questions begin with a system prompt or earlier turns, marked by `role`: programs of "
            "arena-hard-auto read all turns as the user's"
        )


def _answer_1(model: str, question: Question, answer: WholeAnswer, raw: RawRecord, lengths: TokenLengths) -> RawRecord:
    """Return the record unchanged if it is whole and of generation 1, which needs the length of every turn."""
    choices = raw["choices"] if isinstance(raw.get("choices"), list) else []
    if _contents(choices) != answer.turns or _tokens(choices) is None or _tokens(choices) != answer.token_len:
        turns = _turns(answer, lengths.of(answer.turns, answer.token_len))
        choices = [{"index": 0, "turns": turns}, *choices[1:]]
    return _without_generation_2(raw) | {
        "question_id": question.id,
        "answer_id": str(raw.get("answer_id") or raw.get("ans_id") or question.id),
        "model_id": model,
        "choices": choices,
        "tstamp": raw.get("tstamp") or 0.0,
        **_counter(answer, raw, lengths, "cl100k_base"),
    }


def _counter(answer: WholeAnswer, raw: RawRecord, lengths: TokenLengths, usual: str) -> RawRecord:
    """Return the field that names the counter of the lengths, unless it is the usual one of the generation."""
    counter = answer.token_counter or lengths.counter
    return {"token_counter": counter} if counter != usual or "token_counter" in raw else {}


def _tokens(choices: list[Any]) -> int | None:
    lengths = [turn.get("token_len") for turn in choices[0]["turns"]]
    return None if None in lengths else sum(lengths)


def _contents(choices: list[Any]) -> tuple[object, ...] | None:
    """Return the contents of the turns of a first choice in generation 1's shape, None in any other."""
    turns = choices[0].get("turns") if choices and isinstance(choices[0], dict) else None
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return None
    return tuple(turn.get("content") for turn in turns)


def _turns(answer: WholeAnswer, tokens: int) -> list[dict[str, object]]:
    """Return the turns with their lengths; of several, each gets its share by characters."""
    if len(answer.turns) == 1:
        return [{"content": answer.turns[0], "token_len": tokens}]
    size = sum(map(len, answer.turns)) or 1
    return [{"content": turn, "token_len": round(tokens * len(turn) / size)} for turn in answer.turns]


def _judgments_1(selection: Selection, judge: str, model: str) -> Iterator[RawRecord]:
    unplayed = 0
    for question, judgment, raw in selection.judgments(judge, model):
        unplayed += sum(game is None for game in judgment.games)
        yield _without_generation_2(raw) | {
            "question_id": question.id,
            "model": model,
            "judge": judge,
            "games": [_game_1(game, stored) for game, stored in _with_raw(judgment, raw)],
            "baseline": judgment.baseline,
        }
    if unplayed:
        selection.note(f"{unplayed} games of {model} by {judge} were not played: they are exported without a label")


def _game_1(game: WholeGame | None, raw: RawRecord) -> RawRecord:
    if game is None:
        return {"user_prompt": "", "judgment": "", "score": None}
    prompt = next((message.content for message in reversed(game.messages) if message.role == "user"), "")
    more = {key: value for key, value in raw.items() if key != "prompt"}
    return more | {"user_prompt": prompt, "judgment": _written(raw), "score": game.label}


def _written(raw: RawRecord) -> str:
    """Return the judge's text with its reasoning, as in the file; generation 2 wraps it in an object."""
    return text_or_none(raw.get("judgment")) or ""


def _without_generation_2(raw: RawRecord) -> RawRecord:
    return {key: value for key, value in raw.items() if key not in _OF_GENERATION_2}


def question_of_generation_2(question: Question) -> RawRecord:
    """Return a question as a line of `question.jsonl`; turns and context stand beside its first prompt."""
    record: RawRecord = {
        "uid": question.id,
        "category": question.category,
        "subcategory": question.cluster,
        "prompt": question.shown[0],
    }
    if len(question.turns) > 1 or question.context:
        record["turns"] = _asked(question)
    return record


def _answer_2(model: str, question: Question, answer: WholeAnswer, raw: RawRecord, lengths: TokenLengths) -> RawRecord:
    return {
        "uid": question.id,
        "ans_id": str(raw.get("ans_id") or raw.get("answer_id") or question.id),
        "model": model,
        "messages": list(chat(question, [{"answer": turn} for turn in answer.turns])),
        "metadata": answer_metadata(answer.turns, lengths.of(answer.turns, answer.token_len)),
        **_kept(raw),
        **_counter(answer, raw, lengths, COUNTER_OF_GENERATION_2),
    }


def _judgments_2(selection: Selection, judge: str, model: str) -> Iterator[RawRecord]:
    for question, judgment, raw in selection.judgments(judge, model):
        yield {
            "uid": question.id,
            "category": question.category,
            "judge": judge,
            "model": model,
            "baseline": judgment.baseline,
            "games": [_game_2(game, stored) for game, stored in _with_raw(judgment, raw)],
            **_kept(raw),
        }


def _with_raw(judgment: WholeJudgment, raw: RawRecord) -> Iterator[tuple[WholeGame | None, RawRecord]]:
    """Yield each game, also as it is in the file."""
    stored = raw["games"] if isinstance(raw.get("games"), list) else []
    for game, each in zip_longest(judgment.games, stored):
        yield game, each if isinstance(each, dict) else {}


def _game_2(game: WholeGame | None, raw: RawRecord) -> RawRecord | None:
    if game is None:
        return None
    return {
        **{key: value for key, value in raw.items() if key != "user_prompt"},
        "score": game.label,
        "judgment": {"answer": game.judgment},
        "prompt": [{"role": message.role, "content": message.content} for message in game.messages],
    }


def _kept(raw: RawRecord) -> RawRecord:
    return {key: raw[key] for key in _KEPT if raw.get(key) is not None}
