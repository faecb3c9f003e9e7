"""One record with all its text, for reading by people: judgments and answers of both generations.

Files hold more than what rates a model (what the judge was shown, what it wrote, what it thought), and all of it may
be missing or of an unexpected type in files of other programs. What is not as it should be reads as absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine.bench.places import Place, read_object
from engine.judging.labels import normalise_label
from engine.judging.probabilities import Probabilities, read_probabilities
from engine.judging.thinking import split_thinking
from engine.records import Label


class Message(msgspec.Struct, frozen=True):
    """One message of the chat that a judge was sent."""

    role: str
    content: str


class WholeGame(msgspec.Struct, frozen=True):
    """One game as it was played. `messages` is what the file tells of the chat: generation 1 keeps the user's only.

    `judgment` holds no thinking; that is in `reasoning`. `score` is the label as it stands in the file, whatever it is.
    `probabilities` are the judge's for the five labels, where it was asked for them.
    """

    messages: tuple[Message, ...]
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
    """The turns of the first choice of an answer, without thinking that was kept in the text."""

    turns: tuple[str, ...]
    token_len: int | None = None
    finish_reason: str | None = None
    reasoning: str | None = None


def read_judgment(path: Path, place: Place) -> WholeJudgment:
    """Raises BenchError if the record is not there any more."""
    record = _dict(msgspec.json.decode(read_object(path, place)))
    games = record.get("games")
    return WholeJudgment(
        question_id=str(record.get("question_id") or record.get("uid") or ""),
        games=tuple(map(_game, games)) if isinstance(games, list) else (),
        baseline=_text(record.get("baseline")),
        settings=_text(record.get("settings")),
        inputs=_text(record.get("inputs")),
        tstamp=_number(record.get("tstamp")),
    )


def read_answer(path: Path, place: Place) -> WholeAnswer | None:
    """None if the record holds no usable answer. Raises BenchError if it is not there any more."""
    record = _dict(msgspec.json.decode(read_object(path, place)))
    choices = record.get("choices")
    first = _dict(choices[0]) if isinstance(choices, list) and choices else {}
    turns = [_dict(turn) for turn in _list(first.get("turns"))]
    texts = [_text(turn.get("content")) for turn in turns]
    lengths = [turn.get("token_len") for turn in turns]
    if not texts:
        contents = [_dict(message).get("content") for message in _list(record.get("messages"))]
        texts = [_text(content.get("answer")) for content in contents if isinstance(content, dict)]
        lengths = [_dict(record.get("metadata")).get("token_len")]
    if not texts or not all(text and text.strip() and text.strip() != "$ERROR$" for text in texts):
        return None
    known = [length for length in lengths if isinstance(length, int)]
    return WholeAnswer(
        turns=tuple(text for text in texts if text is not None),
        token_len=sum(known) if known and len(known) == len(lengths) else None,
        finish_reason=_text(record.get("finish_reason")),
        reasoning=_text(record.get("reasoning")),
    )


def _game(value: Any) -> WholeGame | None:
    if not isinstance(value, dict):
        return None
    written = value.get("judgment")
    said = _text(written.get("answer") if isinstance(written, dict) else written) or ""
    visible, thought, _ = split_thinking(said)
    score = _text(value.get("score"))
    asks, tokens = value.get("asks"), _dict(value.get("usage")).get("completion_tokens")
    return WholeGame(
        messages=_messages(value),
        judgment=visible,
        label=normalise_label(score) if score is not None else None,
        score=score,
        reasoning=_text(value.get("reasoning")) or thought,
        asks=asks if isinstance(asks, int) else None,
        finish_reason=_text(value.get("finish_reason")),
        completion_tokens=tokens if isinstance(tokens, int) else None,
        probabilities=read_probabilities(value.get("probabilities")),
    )


def _messages(game: dict[str, Any]) -> tuple[Message, ...]:
    prompt = game.get("user_prompt")
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    told = map(_dict, _list(game.get("prompt")))
    return tuple(Message(str(message.get("role")), _text(message.get("content")) or "") for message in told)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
