"""The records of a bench, as the program holds them: immutable, generation-neutral, JSON by msgspec.

`AnswerRecord` and `JudgmentRecord` are also exactly what is appended to a folder of generation 1 of the ecosystem's
layout, plus fields that older readers ignore; for the other see `engine.bench.generation_2`. Reading either published
generation is `engine.bench`'s job.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from engine.labels import Label

Text: TypeAlias = str | msgspec.Raw
"""A text, or the JSON string that it is encoded as: prompts are encoded once for the request and for the record."""


class ContextMessage(msgspec.Struct, frozen=True):
    """A message that a question begins with: a system prompt, or an earlier turn of the user or the assistant."""

    role: str  # "system", "user" or "assistant"
    content: str


class Question(msgspec.Struct, frozen=True):
    """One question; `turns` are the messages of the user that a model answers, in order (nearly always one).

    `context` is sent before them as it is.
    """

    id: str
    turns: tuple[str, ...]
    category: str = ""
    cluster: str = ""
    context: tuple[ContextMessage, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """Return the turns as a judge sees them and as digests cover them: the context is part of the first one."""
        if not self.context:
            return self.turns
        opening = "".join(f"[{each.role.capitalize()}]\n{each.content}\n\n" for each in self.context)
        return (f"{opening}[User]\n{self.turns[0]}", *self.turns[1:])


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one call, or summed over several, as the server counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cached_tokens + other.cached_tokens,
        )


class VerdictMode(msgspec.Struct, frozen=True):
    """How a judge is brought to a verdict.

    kind          "text": it writes, and a label is looked for; "constrained": the server lets it write a label and
                  nothing else; "soft": the probabilities of all five labels are read from its first token
    thinks_first  it writes freely first, and is then asked for a constrained or soft verdict in a second call
    constrains_reasks   a text without a label is followed by a constrained call
    """

    kind: Literal["text", "constrained", "soft"] = "text"
    thinks_first: bool = False
    constrains_reasks: bool = False


class Completion(msgspec.Struct, frozen=True):
    """What one successful call brought: `content` is never empty and holds no reasoning. `seconds` is wall time.

    `first_token` has the likeliest tokens in place of the first one, with their log-probabilities, where asked for.
    `warnings` are what is odd about the reply though it is kept.
    """

    content: str
    finish_reason: str  # "stop", "length", or a server's own name that is not known
    reasoning: str | None = None
    usage: Usage = Usage()
    seconds: float = 0.0
    first_token: tuple[tuple[str, float], ...] = ()
    fingerprint: str = ""  # by which the server names its own version and settings
    warnings: tuple[str, ...] = ()
    raw: str | None = None  # all that the model wrote, where reasoning was split off it
    counts_limit: bool = False  # finish_reason is "length" by that very name, as servers say it that count exactly


class Turn(msgspec.Struct, frozen=True):
    """One assistant message, its length in tokens (of the record's `token_counter`), and all that the model wrote.

    `raw` is unset unless reasoning was split off the message.
    """

    content: str
    token_len: int | None = None
    raw: str | msgspec.UnsetType = msgspec.UNSET


class Choice(msgspec.Struct, frozen=True):
    """One whole conversation of a model on a question."""

    index: int
    turns: tuple[Turn, ...]


class AnswerRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model's answer to one question, one line of `model_answer/<model>.jsonl`.

    `usage` is summed over all calls, `finish_reason` is "length" if any of them was cut, `reasoning` joins what
    was thought. `inputs` is the digest of the question's text. It, `settings` and `tstamp` are absent in records that
    other programs wrote.
    """

    question_id: str
    answer_id: str
    model_id: str
    choices: tuple[Choice, ...]
    tstamp: float = 0.0
    settings: str | None = None
    token_counter: str | None = None  # "cl100k_base" or "server"
    finish_reason: str | None = None
    reasoning: str | None = None
    usage: Usage | None = None
    inputs: str | None = None


class Game(msgspec.Struct, frozen=True, omit_defaults=True):
    """One judge verdict. `score` is the label, or None when the judge gave none; `asks` counts the calls made.

    `unparsed` says why there is no label: "none" was found, different ones were a "conflict", or there was an
    "unknown" one. `probabilities` are the judge's for all five labels, summing to 1, where it was asked for them;
    `score` is then the most probable one. `label_mass` is the share of all that the judge might have said which was a
    label, where that is known.
    """

    user_prompt: Text
    judgment: str
    score: Label | None
    asks: int = 1
    unparsed: Literal["none", "conflict", "unknown"] | None = None
    finish_reason: str | None = None
    reasoning: str | None = None
    usage: Usage | None = None
    probabilities: dict[Label, float] | None = None
    label_mass: float | None = None
    fence: str | None = None  # the seed of the code around the answers in `user_prompt`, see `engine.judging.fence`
    raw: str | None = None  # all that the judge wrote, where reasoning was split off it


class JudgmentRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Both games of one question, one line of `model_judgment/<judge>/<model>.jsonl`.

    In game 1 the baseline is A, in game 2 the model is. `inputs` is the digest of the question and of the two
    answers that were compared: a judgment whose `inputs` no longer match is not current. A game is None when it was
    never played. Those whose `choice` (of the model's answer) or `repeat` is not 0 stand in `judgment_repeats`, see
    `engine.repeats`.
    """

    question_id: str
    model: str
    judge: str
    games: tuple[Game | None, ...]
    baseline: str | None = None
    tstamp: float = 0.0
    settings: str | None = None
    inputs: str | None = None
    choice: int = 0
    baseline_choice: int = 0
    repeat: int = 0


class AnswerPart(msgspec.Struct, frozen=True, tag="answer"):
    """A finished choice of an answer whose record is not whole yet (kept in the journal until it is)."""

    question_id: str
    model: str
    settings: str
    choice: Choice
    finish_reason: str
    token_counter: str | None
    reasoning: str | None
    usage: Usage
    inputs: str | None = None  # digest of the question's text


class GamePart(msgspec.Struct, frozen=True, tag="game"):
    """A finished game of a judgment whose other game is still out (kept in the journal until the record is whole)."""

    question_id: str
    model: str
    judge: str
    settings: str
    inputs: str
    number: int  # 1 or 2
    game: Game
    choice: int = 0
    repeat: int = 0


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call that failed for good, one line of `errors.jsonl`. `game` is 1 or 2, `choice` and `repeat` count from 0."""

    stage: Literal["answers", "judgments"]
    model: str
    question_id: str
    kind: str
    message: str
    attempts: int
    tstamp: float
    hint: str | None = None  # what to do about it
    judge: str | None = None
    game: int | None = None
    choice: int | None = None
    status: int | None = None
    endpoint: str | None = None
    baseline: str | None = None  # where it was not the first or only one
    repeat: int | None = None
