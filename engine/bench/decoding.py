"""Records as the files of a bench hold them: one decoder each for questions, answers and judgments of both generations.

generation 1 is arena-hard-auto v0.1 and arena-hard-local, generation 2 arena-hard-auto v2.0. One file may hold both
(records appended to a published generation 2 file are written in generation 1). Ids and topics may be numbers and read
as their decimal string; any other value of an unexpected type reads as absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from engine.bench.lines import (
    LineReader,
    LineSpan,
    ProblemLog,
    changed_meanwhile,
    clean_line,
    read_object,
)
from engine.judging.probabilities import Probabilities, read_probabilities
from engine.judging.spelling import normalise_label
from engine.labels import LABELS, Label
from engine.records import Question

T = TypeVar("T", bound=msgspec.Struct)
Scalar: TypeAlias = str | int | float | None

ANSWER_START = "<|The Start of Assistant {}'s Answer|>"  # how every fork's prompt template frames the two answers
ANSWER_END = "<|The End of Assistant {}'s Answer|>"
NO_ID = "no question_id (or uid) in it"
ERROR_ANSWER = "$ERROR$"  # what the original stores in place of an answer that it could not get


class _Turn(msgspec.Struct, gc=False):
    content: str | None = None
    token_len: int | None = None


class _Choice(msgspec.Struct, gc=False):
    turns: list[_Turn | None] | None = None


class _Wrapped(msgspec.Struct, gc=False):
    """Generation 2 keeps what a model or a judge wrote in an object."""

    answer: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: str | None = None
    content: str | _Wrapped | None = None


class _Metadata(msgspec.Struct, gc=False):
    token_len: int | None = None


class _Usage(msgspec.Struct, gc=False):
    completion_tokens: int | None = None


class _Line(msgspec.Struct, gc=False, kw_only=True):
    question_id: Scalar = None
    uid: Scalar = None

    @property
    def key(self) -> str:
        """The question's id, "" if absent."""
        named = self.question_id if self.question_id is not None else self.uid
        return "" if named is None else str(named)


class QuestionLine(_Line, gc=False, kw_only=True):
    """A line of `question.jsonl`."""

    turns: list[_Turn | None] | None = None
    prompt: str | None = None
    category: Scalar = None
    cluster: Scalar = None
    subcategory: Scalar = None

    def read(self, first_seen: dict[str, int], number: int) -> tuple[Question | None, str]:
        """Return the question of line `number`, or None and why it is left out; `first_seen` has the lines by id."""
        question = self.question()
        if not self.key:
            return None, NO_ID
        if question is None:
            return None, f"question {self.key} has no text"
        if (first := first_seen.setdefault(self.key, number)) != number:
            return None, f"question {self.key} stands in line {first} already; this one is left out"
        return question, ""

    def question(self) -> Question | None:
        """Return the question, None if it has no text."""
        texts = [self.prompt] if self.turns is None else [turn.content if turn else None for turn in self.turns]
        turns = tuple(text for text in texts if text and text.strip())
        if not turns or len(turns) < len(texts):
            return None
        topic = self.cluster if self.cluster is not None else self.subcategory
        return Question(self.key, turns, string(self.category) or "", string(topic) or "")


class AnswerLine(_Line, gc=False, kw_only=True):
    """A line of `model_answer/<model>.jsonl`. Only the first choice counts."""

    choices: list[_Choice | None] | None = None
    messages: list[_Message | None] | None = None
    metadata: _Metadata | None = None
    settings: str | None = None
    finish_reason: str | None = None
    inputs: str | None = None
    reasoning: str | None = None
    token_counter: str | None = None
    tstamp: float | None = None

    def texts(self) -> list[str | None]:
        """Return the turns of the answer, None for one without text."""
        turns = self._turns()
        if turns is not None:
            return [turn.content if turn is not None else None for turn in turns]
        contents = [message.content for message in self.messages or () if message is not None]
        return [each.answer for each in contents if isinstance(each, _Wrapped) and each.answer is not None]

    def tokens(self) -> int | None:
        """Return the length of the answer in tokens, None unless the file has it for every turn."""
        turns = self._turns()
        if turns is None:
            return self.metadata.token_len if self.metadata is not None else None
        lengths = [turn.token_len for turn in turns if turn is not None and turn.token_len is not None]
        return sum(lengths) if len(lengths) == len(turns) else None

    def usable(self) -> tuple[str, ...] | None:
        """Return the turns if all of them have text."""
        texts = self.texts()
        turns = tuple(text for text in texts if text and text.strip() not in ("", ERROR_ANSWER))
        return turns if turns and len(turns) == len(texts) else None

    def complaint(self) -> str:
        """Return why the answer is not usable."""
        if not self.key:
            return NO_ID
        if any(text and text.strip() == ERROR_ANSWER for text in self.texts()):
            return f"{ERROR_ANSWER} stands in place of an answer to {self.key}; it counts as missing"
        return f"no text in the answer to {self.key}; it counts as missing"

    def _turns(self) -> list[_Turn | None] | None:
        first = self.choices[0] if self.choices else None
        return first.turns if first is not None else None


class GameLine(msgspec.Struct, gc=False):
    """A game in a line of judgments."""

    score: Scalar = None
    user_prompt: str | None = None
    prompt: list[_Message | None] | None = None
    judgment: str | _Wrapped | None = None
    asks: int | None = None
    finish_reason: str | None = None
    reasoning: str | None = None
    usage: _Usage | None = None
    probabilities: dict[str, Any] | None = None

    def shown(self) -> str | None:
        """Return what the judge was shown: the user's prompt (generation 1) or all messages (generation 2)."""
        if self.user_prompt is not None:
            return self.user_prompt
        contents = [message.content for message in self.prompt or () if message is not None]
        return "\n".join(content for content in contents if isinstance(content, str) and content) or None

    def written(self) -> str | None:
        """Return what the judge wrote, its reasoning included."""
        return self.judgment.answer if isinstance(self.judgment, _Wrapped) else self.judgment

    def label(self) -> Label | None:
        """Return the label that the score is, None if it is none."""
        return None if self.score is None else _label(str(self.score))


class JudgmentLine(_Line, gc=False, kw_only=True):
    """A line of `model_judgment/<judge>/<model>.jsonl`."""

    model: Scalar = None
    judge: Scalar = None
    baseline: str | None = None
    settings: str | None = None
    inputs: str | None = None
    tstamp: float | None = None
    games: list[GameLine | None] | None = None

    def probabilities(self) -> tuple[Probabilities | None, ...]:
        """Return one entry a game, or none at all where no game has any."""
        games = self.games or ()
        if not any(game is not None and game.probabilities for game in games):
            return ()
        found = tuple(None if game is None else read_probabilities(game.probabilities) for game in games)
        return found if any(found) or any(map(_has_probabilities, games)) else ()

    def complaints(self) -> Iterator[str]:
        """Yield what is wrong with the line; one without id or games is not a judgment."""
        if not self.key:
            yield NO_ID
            return
        if not self.games:
            yield f"no games in the judgment of {self.key}; it counts as missing"
            return
        for game in self.games:
            if game is not None and game.score is not None and game.label() is None:
                yield f"{str(game.score)[:40]!r} is no label; it counts as no verdict"
        for game, read in zip(self.games, self.probabilities(), strict=False):
            if read is None and _has_probabilities(game):
                yield "the probabilities of a game do not sum to 1; it counts as having none"
                return


class LineDecoder(Generic[T]):
    """Decodes lines of one kind. A line that does not fit its type is read value by value."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[T]:
        return msgspec.json.Decoder(self._kind)

    def decode(self, line: bytes) -> tuple[T | None, str]:
        """Return the record, or None and why the line is not a JSON object."""
        try:
            return self._decoder.decode(line), ""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            cleaned, why = clean_line(line)
            if cleaned is None:
                return None, why
            record: T = _fit(json.loads(cleaned), msgspec.inspect.type_info(self._kind))
            return record, ""

    def read(self, path: Path, log: ProblemLog) -> Iterator[tuple[int, LineSpan, T]]:
        """Yield (line number, span, record) of a file; report the lines that are no JSON objects."""
        for number, start, line in LineReader(path, log):
            record, why = self.decode(line)
            if record is None:
                log.add(number, why)
            else:
                yield number, LineSpan(start, len(line)), record

    def read_at(self, path: Path, span: LineSpan, question_id: str) -> T:
        """Return the record at `span`. Raises BenchError if it is not, or no longer, of `question_id`."""
        record = self.decode(read_object(path, span))[0]
        if record is None or (isinstance(record, _Line) and record.key != question_id):
            raise changed_meanwhile(path, span, f"it is not of question {question_id}")
        return record


question_lines = LineDecoder(QuestionLine)
answer_lines = LineDecoder(AnswerLine)
judgment_lines = LineDecoder(JudgmentLine)


def _has_probabilities(game: GameLine | None) -> bool:
    given = game.probabilities if game is not None else None
    return given is not None and any(given.get(label) is not None for label in LABELS)


@lru_cache(maxsize=1024)
def _label(score: str) -> Label | None:
    return normalise_label(score)


def string(value: Scalar) -> str | None:
    return None if value is None else str(value)


def _fit(value: Any, shape: msgspec.inspect.Type) -> Any:
    """Return plain JSON as a type of this module; what does not fit is None."""
    if isinstance(shape, msgspec.inspect.UnionType):
        fitting = (_fit(value, each) for each in shape.types)
        return next((found for found in fitting if found is not None), None)
    if isinstance(shape, msgspec.inspect.StructType):
        if not isinstance(value, dict):
            return None
        return shape.cls(**{field.name: _fit(value.get(field.name), field.type) for field in shape.fields})
    if isinstance(shape, msgspec.inspect.ListType):
        return [_fit(each, shape.item_type) for each in value] if isinstance(value, list) else None
    return value if isinstance(value, _PLAIN[type(shape)]) and not isinstance(value, bool) else None


_PLAIN: dict[type, tuple[type, ...]] = {
    msgspec.inspect.StrType: (str,),
    msgspec.inspect.IntType: (int,),
    msgspec.inspect.FloatType: (int, float),
    msgspec.inspect.DictType: (dict,),
    msgspec.inspect.NoneType: (),
}
