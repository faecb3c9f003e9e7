"""Records as the files of a bench hold them: one decoder each for questions, answers and judgments of both generations.

generation 1 is arena-hard-auto v0.1 and arena-hard-local, generation 2 arena-hard-auto v2.0. One file may hold both.
Records in other shapes are turned into these, see `shapes`. Ids and topics may be numbers and read as their decimal
string; any other value of an unexpected type reads as absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from engine.bench.lines import LineReader, LineSpan, ProblemLog, changed_meanwhile, clean_line, read_object
from engine.bench.shapes import UnknownShape, answer_fields, judgment_fields, question_fields, record_id
from engine.judging.probabilities import Probabilities, read_probabilities
from engine.judging.spelling import normalise_label
from engine.labels import LABELS, Label
from engine.records import ContextMessage, Question

R = TypeVar("R", bound="_Line")
Scalar: TypeAlias = str | int | float | None

ANSWER_START = "<|The Start of Assistant {}'s Answer|>"  # how every fork's prompt template frames the two answers
ANSWER_END = "<|The End of Assistant {}'s Answer|>"
NO_ID = "no question_id (or uid) in it"
COUNTER_OF_GENERATION_2 = "arena-hard-v2"
ERROR_ANSWER = "$ERROR$"  # what the original stores in place of an answer that it could not get


class _Turn(msgspec.Struct, gc=False):
    role: str | None = None
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

    @property
    def has_id(self) -> bool:
        """Whether it has an id under one of the names of the generations."""
        return self.question_id is not None or self.uid is not None

    def is_plain(self) -> bool:
        """Return whether it is in the shape of one of the generations."""
        raise NotImplementedError


class QuestionLine(_Line, gc=False, kw_only=True):
    """A line of `question.jsonl`."""

    turns: list[_Turn | None] | None = None
    prompt: str | None = None
    system: str | None = None
    system_prompt: str | None = None
    category: Scalar = None
    cluster: Scalar = None
    subcategory: Scalar = None

    def is_plain(self) -> bool:
        """Return whether it is in the shape of one of the generations."""
        if self.turns is None:
            return bool(self.key and self.prompt and not self.prompt.lstrip().startswith(("[", "{")))
        return bool(self.key and self.turns) and all(
            turn is not None and turn.content is not None and turn.role in (None, "user", "assistant", "system")
            for turn in self.turns
        )

    def read(self, first_seen: dict[str, int], number: int) -> tuple[Question | None, str]:
        """Return the question of line `number`, or None and why it is left out; `first_seen` has the lines by id."""
        question = self.question()
        if not self.key:
            return None, NO_ID
        if question is None:
            messages = self._messages()
            if messages and (role := messages[-1].role) != "user":
                return None, f"question {self.key} ends with a turn of the {role}; its last turn must be the user's"
            return None, f"question {self.key} has no text"
        if (first := first_seen.setdefault(self.key, number)) != number:
            return None, f"question {self.key} stands in line {first} already; this one is left out"
        return question, ""

    def question(self) -> Question | None:
        """Return the question, None if it has no text to answer; what precedes the user's last turns is context."""
        messages = self._messages()
        asked = next((at for at, each in enumerate(reversed(messages)) if each.role != "user"), len(messages))
        context, turns = messages[: len(messages) - asked], messages[len(messages) - asked :]
        if not turns or not all(each.content.strip() for each in messages):
            return None
        topic = self.cluster if self.cluster is not None else self.subcategory
        texts = tuple(each.content for each in turns)
        return Question(self.key, texts, string(self.category) or "", string(topic) or "", tuple(context))

    def _messages(self) -> list[ContextMessage]:
        """Return all that a model is sent, without empty system prompts."""
        turns = self.turns if self.turns is not None else [_Turn(content=self.prompt)]
        opening = [_Turn("system", text) for text in (self.system, self.system_prompt)]
        sent = [
            ContextMessage(turn.role or "user", turn.content or "") if turn else ContextMessage("user", "")
            for turn in (*opening, *turns)
        ]
        return [each for each in sent if each.role != "system" or each.content.strip()]


class AnswerLine(_Line, gc=False, kw_only=True):
    """A line of `model_answer/<model>.jsonl`. It is usable if its first choice is."""

    choices: list[_Choice | None] | None = None
    messages: list[_Message | None] | None = None
    metadata: _Metadata | None = None
    settings: str | None = None
    finish_reason: str | None = None
    inputs: str | None = None
    reasoning: str | None = None
    token_counter: str | None = None
    tstamp: float | None = None

    def is_plain(self) -> bool:
        """Return whether it is in the shape of one of the generations, with text."""
        turns = self._turns()
        if turns is None:
            texts = self.texts()
            contents = (each.content for each in self.messages or () if each is not None and each.role == "assistant")
            return self.has_id and bool(texts) and all(isinstance(content, _Wrapped) for content in contents)
        for turn in turns:
            if turn is None or turn.content is None or turn.role is not None:
                return False
        return self.has_id and bool(turns)

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

    def counter(self) -> str | None:
        """Return what counted the tokens, None if the file does not have their number."""
        if self.tokens() is None:
            return None
        return self.token_counter or ("cl100k_base" if self._turns() is not None else COUNTER_OF_GENERATION_2)

    def usable(self) -> tuple[str, ...] | None:
        """Return the turns if all of them have text."""
        return _usable(self.texts())

    def others(self) -> list[tuple[str, ...] | None]:
        """Return the turns of all choices but the first, None for one of which not all turns have text."""
        return [
            None
            if choice is None
            else _usable([turn.content if turn is not None else None for turn in choice.turns or ()])
            for choice in (self.choices or ())[1:]
        ]

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
        messages = [message for message in self.prompt or () if message is not None]
        if all(message.role == "system" for message in messages):
            return None
        return "\n".join(each.content for each in messages if isinstance(each.content, str) and each.content) or None

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
    choice: int | None = None
    baseline_choice: int | None = None
    repeat: int | None = None
    games: list[GameLine | None] | None = None

    def is_plain(self) -> bool:
        """Return whether it is in the shape of one of the generations."""
        return self.has_id and self.games is not None

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


class LineDecoder(Generic[R]):
    """Decodes lines of one kind. A line in no shape of the generations is read by `fields`, and value by value."""

    def __init__(self, kind: type[R], fields: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        self._kind = kind
        self._fields = fields

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[R]:
        return msgspec.json.Decoder(self._kind)

    def decode(self, line: bytes) -> tuple[R | None, str]:
        """Return the record, or None and why the line cannot be used."""
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = self._decoder.decode(line)
            if record.is_plain():
                return record, ""
        cleaned, why = clean_line(line)
        if cleaned is None:
            return None, why
        plain = json.loads(cleaned)
        try:
            fields = self._fields(plain)
        except UnknownShape as error:
            return None, f"{record_id(plain) or 'record'}: {error}"
        except RecursionError:
            return None, "JSON nested too deeply"
        fitted: R = _fit(fields, msgspec.inspect.type_info(self._kind))
        return fitted, ""

    def read(self, path: Path, log: ProblemLog) -> Iterator[tuple[int, LineSpan, R]]:
        """Yield (line number, span, record) of a file; report the lines that are no JSON objects."""
        for number, start, line in LineReader(path, log):
            record, why = self.decode(line)
            if record is None:
                log.add(number, why)
            else:
                yield number, LineSpan(start, len(line)), record

    def read_at(self, path: Path, span: LineSpan, question_id: str) -> R:
        """Return the record at `span`. Raises BenchError if it is not, or no longer, of `question_id`."""
        record = self.decode(read_object(path, span))[0]
        if record is None or record.key != question_id:
            raise changed_meanwhile(path, span, f"it is not of question {question_id}")
        return record


question_lines = LineDecoder(QuestionLine, question_fields)
answer_lines = LineDecoder(AnswerLine, answer_fields)
judgment_lines = LineDecoder(JudgmentLine, judgment_fields)


def _usable(texts: Sequence[str | None]) -> tuple[str, ...] | None:
    turns = tuple(text for text in texts if text and text.strip() not in ("", ERROR_ANSWER))
    return turns if turns and len(turns) == len(texts) else None


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
