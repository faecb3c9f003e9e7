"""What the files of a bench hold of questions, answers and judgments, whatever their generation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from engine.bench.decoding import (
    AnswerLine,
    GameLine,
    JudgmentLine,
    answer_lines,
    judgment_lines,
    question_lines,
    string,
)
from engine.bench.lines import CHANGED, LineSpan, Loaded, ProblemLog, read_object
from engine.errors import BenchError
from engine.judging.probabilities import Probabilities, read_probabilities
from engine.judging.reasoning import split_reasoning
from engine.labels import Label
from engine.records import AnswerPart, Choice, Question, Turn, Usage

Choices: TypeAlias = tuple[tuple[str, ...] | None, ...]
"""The turns of every choice of an answer; None for one without text."""


class StoredAnswer(msgspec.Struct, frozen=True):
    """A model's answer to one question: the turns of its first choice, never empty.

    `token_len` is summed over the turns, None if the file does not have it. `settings` and `inputs` (the digest of
    the question that was answered) are None in records of other programs.
    """

    question_id: str
    turns: tuple[str, ...]
    token_len: int | None = None
    settings: str | None = None
    finish_reason: str | None = None
    inputs: str | None = None
    token_counter: str | None = None


class ListedAnswer:
    """A usable answer in a file, whose text is read when it is first used. `count` is the number of its choices."""

    __slots__ = ("_choices", "_path", "_span", "_turns", "count", "inputs", "question_id", "settings")

    def __init__(
        self,
        path: Path,
        span: LineSpan,
        question_id: str,
        settings: str | None,
        inputs: str | None,
        count: int = 1,
    ) -> None:
        self.question_id = question_id
        self.settings = settings
        self.inputs = inputs
        self.count = count
        self._path = path
        self._span = span
        self._turns: tuple[str, ...] | None = None
        self._choices: Choices | None = None

    @property
    def turns(self) -> tuple[str, ...]:
        """Return the text. Raises BenchError if it is no longer there."""
        if self._turns is None:
            self._turns = whole_answer(read_object(self._path, self._span), self.question_id).turns
        return self._turns

    @property
    def choices(self) -> Choices:
        """Return the text of all choices. Raises BenchError if it is no longer there."""
        if self.count == 1:
            return (self.turns,)
        if self._choices is None:
            line = answer_lines.read_at(self._path, self._span, self.question_id)
            self._choices = (line.usable(), *line.others())
        return self._choices

    def parts(self, model: str) -> tuple[AnswerPart, ...]:
        """Return the choices as parts of a record that gets more of them. Raises BenchError if they are gone."""
        return answer_parts(read_object(self._path, self._span), model, self.question_id)


class StoredJudgment(msgspec.Struct, frozen=True):
    """A judge's labels for one question. `labels` and `played` have one entry per game, in the order of the games.

    In game 1 the baseline is A, in game 2 the model is. A label is None without a verdict; a game that was not played
    is False in `played`. `baseline`, `settings` and `inputs` are None where the file does not have them (generation 1
    of other programs has none). `prompts` are what the judge was shown in each game that was played, only where
    `inputs` is None; they are read when they are used. `probabilities` has one entry per game where a game has
    any, and is else empty.
    """

    question_id: str
    model: str | None
    judge: str | None
    labels: tuple[Label | None, ...]
    played: tuple[bool, ...]
    baseline: str | None = None
    settings: str | None = None
    inputs: str | None = None
    prompts: Sequence[str | None] = ()
    probabilities: tuple[Probabilities | None, ...] = ()
    baseline_choice: int = 0


class StoredReply(msgspec.Struct, frozen=True):
    """What the judge wrote in one game, without its reasoning, and the label that was stored for it.

    With several `asks` the text is of all of them. `asks` is None in files of other programs.
    """

    text: str
    label: Label | None
    asks: int | None = None


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of the chat that a judge was sent."""

    role: str
    content: str


class WholeGame(msgspec.Struct, frozen=True):
    """One game as it was played. `messages` is what the file has of the chat: generation 1 keeps the user's only.

    `judgment` holds no reasoning; that is in `reasoning`. `score` is the label as it stands in the file, whatever it
    is. `probabilities` are the judge's for the five labels, where it was asked for them.
    """

    messages: tuple[ChatMessage, ...]
    judgment: str
    label: Label | None
    score: str | None = None
    reasoning: str | None = None
    asks: int | None = None
    finish_reason: str | None = None
    completion_tokens: int | None = None
    probabilities: Probabilities | None = None


class WholeJudgment(msgspec.Struct, frozen=True):
    """Both games of one question; one that was not played is None. In game 1 the baseline is A, in game 2 the model."""

    question_id: str
    games: tuple[WholeGame | None, ...]
    baseline: str | None = None
    settings: str | None = None
    inputs: str | None = None
    tstamp: float | None = None


class WholeAnswer(msgspec.Struct, frozen=True):
    """The turns of the first choice of an answer."""

    turns: tuple[str, ...]
    token_len: int | None = None
    finish_reason: str | None = None
    reasoning: str | None = None
    token_counter: str | None = None


def load_questions(path: Path) -> Loaded[list[Question]]:
    """Read the questions in the order of the file; of two with one id the first is kept and the other reported.

    The cluster of a generation 2 question is its `subcategory`. Raises BenchError if the file cannot be read.
    """
    log = ProblemLog(path)
    first_seen: dict[str, int] = {}
    questions: list[Question] = []
    for number, _, line in question_lines.read(path, log):
        question, complaint = line.read(first_seen, number)
        if question is None:
            log.add(number, complaint)
        else:
            questions.append(question)
    return Loaded(questions, log.result())


def load_answers(path: Path) -> Loaded[dict[str, StoredAnswer]]:
    """Read the answers by question id; of several to one question the last counts.

    Null, empty and "$ERROR$" answers do not count and do not hide an earlier answer; they are reported. An absent file
    has none. Raises BenchError if it cannot be read.
    """
    log = ProblemLog(path)
    found: dict[str, StoredAnswer] = {}
    for number, _, line in answer_lines.read(path, log):
        turns = line.usable()
        if turns is None or not line.key:
            log.add(number, line.complaint())
            continue
        how = line.settings, line.finish_reason, line.inputs, line.counter()
        found[line.key] = StoredAnswer(line.key, turns, line.tokens(), *how)
    return Loaded(found, log.result())


def load_judgments(path: Path, *, baseline: str | None = None) -> Loaded[dict[str, StoredJudgment]]:
    """Read the judgments by question id; of several of one question the last counts.

    With `baseline`, judgments that name another one are passed over, so that those of an earlier baseline are found
    again. A score that is no label is None and reported. An absent file has none. Raises BenchError if it cannot be
    read.
    """
    log = ProblemLog(path)
    found: dict[str, StoredJudgment] = {}
    for number, span, line in judgment_lines.read(path, log):
        for complaint in line.complaints():
            log.add(number, complaint)
        if not line.key or not line.games or (baseline is not None and line.baseline not in (None, baseline)):
            continue
        found[line.key] = StoredJudgment(
            line.key,
            string(line.model),
            string(line.judge),
            labels=tuple(None if game is None else game.label() for game in line.games),
            played=tuple(game is not None for game in line.games),
            baseline=line.baseline,
            settings=line.settings,
            inputs=line.inputs,
            prompts=StoredPrompts(path, span, line.key) if line.inputs is None else (),
            probabilities=line.probabilities(),
        )
    return Loaded(found, log.result())


def load_replies(path: Path, baseline: str | None = None) -> Loaded[dict[str, tuple[StoredReply | None, ...]]]:
    """Read what a judge wrote by question id, one entry a game; of several records the last counts.

    With `baseline`, records that name another one are passed over. A game without text is None. An absent file has
    none. Raises BenchError if it cannot be read.
    """
    log = ProblemLog(path)
    found: dict[str, tuple[StoredReply | None, ...]] = {}
    for number, _, line in judgment_lines.read(path, log):
        if not line.key or line.games is None:
            log.add(number, next(line.complaints()))
        elif baseline is None or line.baseline in (None, baseline):
            found[line.key] = tuple(map(_reply, line.games))
    return Loaded(found, log.result())


class StoredPrompts(Sequence[str | None]):
    """What a judge was shown in each game (None: not known), read from the file only when it is used.

    Prompts are most of the bytes of a judgment: those of a large file would fill the memory. Empty where the record
    at `span` is not, or no longer, of `question_id`.
    """

    __slots__ = ("_path", "_question_id", "_span")

    def __init__(self, path: Path, span: LineSpan, question_id: str) -> None:
        self._path = path
        self._span = span
        self._question_id = question_id

    def __getitem__(self, index: Any) -> Any:
        return self.read()[index]

    def __len__(self) -> int:
        return len(self.read())

    def read(self) -> tuple[str | None, ...]:
        """Return all of them."""
        try:
            record = judgment_lines.read_at(self._path, self._span, self._question_id)
        except BenchError:
            return ()
        return tuple(game.shown() if game is not None else None for game in record.games or ())


def whole_judgment(data: bytes, question_id: str) -> WholeJudgment:
    """Decode one judgment with all its text. Raises BenchError if it is not of that question."""
    line, _ = judgment_lines.decode(data)
    line = line or JudgmentLine()
    _require_question(line.key, question_id)
    return WholeJudgment(
        question_id=line.key,
        games=tuple(map(_whole_game, line.games or ())),
        baseline=line.baseline,
        settings=line.settings,
        inputs=line.inputs,
        tstamp=line.tstamp,
    )


def whole_answer(data: bytes, question_id: str) -> WholeAnswer:
    """Decode one answer. Raises BenchError if it is not a usable answer to that question."""
    line, _ = answer_lines.decode(data)
    line = line or AnswerLine()
    _require_question(line.key, question_id)
    turns = line.usable()
    if turns is None:
        raise BenchError(line.complaint(), CHANGED)
    return WholeAnswer(turns, line.tokens(), line.finish_reason, line.reasoning, line.counter())


class _OwnAnswer(msgspec.Struct, frozen=True):
    """What a record of this program holds of an answer."""

    choices: tuple[Choice, ...] = ()
    settings: str = ""
    finish_reason: str = "stop"
    reasoning: str | None = None
    usage: Usage = Usage()
    token_counter: str | None = None
    inputs: str | None = None


def answer_parts(data: bytes, model: str, question_id: str) -> tuple[AnswerPart, ...]:
    """Return the choices of a record of this program; the first one has what the record says of all of them."""
    own = msgspec.json.decode(data, type=_OwnAnswer)
    choices = own.choices
    if not choices:  # generation 2 keeps a single choice as messages
        answer = whole_answer(data, question_id)
        length = answer.token_len if len(answer.turns) == 1 else None
        choices = (Choice(0, tuple(Turn(text, length) for text in answer.turns)),)
    return tuple(
        AnswerPart(
            question_id,
            model,
            own.settings,
            choice,
            finish_reason="stop" if at else own.finish_reason,
            token_counter=own.token_counter,
            reasoning=None if at else own.reasoning,
            usage=Usage() if at else own.usage,
            inputs=own.inputs,
        )
        for at, choice in enumerate(choices)
    )


def read_judgment(path: Path, span: LineSpan, question_id: str) -> WholeJudgment:
    """Read one judgment with all its text. Raises BenchError if that of the question is no longer there."""
    return whole_judgment(read_object(path, span), question_id)


def _require_question(found: str, wanted: str) -> None:
    if found != wanted:
        raise BenchError(f"a record of question {found} in place of one of question {wanted}", CHANGED)


def _whole_game(game: GameLine | None) -> WholeGame | None:
    if game is None:
        return None
    written = game.written() or ""
    visible, thought, _ = split_reasoning(written) if game.reasoning is None else (written, None, False)
    if game.user_prompt is not None:
        messages: tuple[ChatMessage, ...] = (ChatMessage("user", game.user_prompt),)
    else:
        messages = tuple(
            ChatMessage(str(each.role), each.content if isinstance(each.content, str) else "")
            for each in game.prompt or ()
            if each is not None
        )
    return WholeGame(
        messages=messages,
        judgment=visible,
        label=game.label(),
        score=string(game.score),
        reasoning=game.reasoning or thought,
        asks=game.asks,
        finish_reason=game.finish_reason,
        completion_tokens=game.usage.completion_tokens if game.usage is not None else None,
        probabilities=read_probabilities(game.probabilities),
    )


def _reply(game: GameLine | None) -> StoredReply | None:
    text = game.written() if game is not None else None
    if game is None or text is None:
        return None
    visible = split_reasoning(text).visible if game.reasoning is None else text
    return StoredReply(visible, game.label(), game.asks)
