"""Jobs: one for each record to make, with the parts of it that are finished.

A record consists of parts that are made independently: the choices of an answer, the two games of a judgment.
A part that is finished before its record is whole goes to the journal, so that a run that was killed never asks for it
again; so does an unfinished conversation after each call (fewer turns than its question has, or no label so far).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec.structs import replace

from engine.bench.digest import text_digest
from engine.bench.stored import Choices, ListedAnswer
from engine.config.sampling import Sampling
from engine.events import TaskKey
from engine.judging.rules import asks_again
from engine.judging.spelling import Verdict
from engine.records import AnswerPart, AnswerRecord, Game, GamePart, JudgmentRecord, Question, Usage, VerdictMode
from engine.repeats import FIRST, Replicate

GAME_NUMBERS = (1, 2)


@dataclass(slots=True)
class AnswerJob:
    """An answer of `task.model` to `question`, in `sampling.num_choices` choices.

    `stored` is the record that has the first of them already.
    """

    task: TaskKey
    question: Question
    sampling: Sampling
    settings: str
    parts: dict[int, AnswerPart] = field(default_factory=dict)
    failed: bool = False
    stored: ListedAnswer | None = None

    def open_parts(self) -> list[OpenChoice]:
        """Return the choices that are not finished yet."""
        return [OpenChoice(self, index) for index in range(self.sampling.num_choices) if not self.is_finished(index)]

    def is_finished(self, index: int) -> bool:
        if index < self.stored_choices:
            return True
        part = self.parts.get(index)
        return part is not None and len(part.choice.turns) >= len(self.question.turns)

    @property
    def stored_choices(self) -> int:
        return self.stored.count if self.stored is not None else 0

    @property
    def is_whole(self) -> bool:
        return all(self.is_finished(index) for index in range(self.sampling.num_choices))

    def calls(self) -> int:
        """Return the calls that finish it, if every one succeeds at once."""
        made = sum(len(part.choice.turns) for index, part in self.parts.items() if index >= self.stored_choices)
        return (self.sampling.num_choices - self.stored_choices) * len(self.question.turns) - made

    def choices(self) -> Choices:
        """Return the text of all choices; `is_whole` must hold."""
        held = self.stored.choices if self.stored is not None else ()
        made = (self.parts[index] for index in range(len(held), self.sampling.num_choices))
        return (*held, *(tuple(turn.content for turn in part.choice.turns) for part in made))

    def record(self, answer_id: str, now: float) -> AnswerRecord:
        """Return the record; `is_whole` must hold."""
        held = self.stored.parts(self.task.model) if self.stored is not None else ()
        parts = [*held, *(self.parts[index] for index in range(len(held), self.sampling.num_choices))]
        reasoning = [part.reasoning for part in parts if part.reasoning]
        return AnswerRecord(
            question_id=self.question.id,
            answer_id=answer_id,
            model_id=self.task.model,
            choices=tuple(part.choice for part in parts),
            tstamp=now,
            settings=self.settings,
            token_counter=parts[0].token_counter,
            finish_reason="length" if any(part.finish_reason == "length" for part in parts) else parts[0].finish_reason,
            reasoning="\n\n".join(reasoning) or None,
            usage=sum((part.usage for part in parts), Usage()),
            inputs=text_digest(self.question.shown),
        )

    def drop_reasoning(self) -> None:
        """Drop the reasoning, which the record holds by now: a long run would keep it all in memory."""
        self.parts = {index: replace(part, reasoning=None) for index, part in self.parts.items()}


@dataclass(slots=True)
class JudgeJob:
    """The judgment of `task.judge` on `question`: `task.model`'s answer against the baseline's.

    `replicate` says which answer of the model it is, and how often the two were judged before.
    """

    task: TaskKey
    question: Question
    baseline: str
    baseline_turns: tuple[str, ...]
    model_turns: tuple[str, ...]
    settings: str
    inputs: str
    asks: int  # the most calls for one game
    calls_each: int = 1  # that a game takes if all goes well
    parts: dict[int, GamePart] = field(default_factory=dict)
    given_up: set[int] = field(default_factory=set)  # games without a label that are not asked for again
    failed: bool = False
    is_recorded: bool = False
    replicate: Replicate = FIRST
    baseline_choice: int = 0

    def open_parts(self) -> list[OpenGame]:
        """Return the games that are not finished yet."""
        return [OpenGame(self, number) for number in GAME_NUMBERS if not self.is_finished(number)]

    def is_finished(self, number: int) -> bool:
        part = self.parts.get(number)
        if part is None:
            return self.is_recorded
        return part.game.score is not None or part.game.asks >= self.asks or number in self.given_up

    @property
    def is_whole(self) -> bool:
        return all(self.is_finished(number) for number in GAME_NUMBERS)

    def calls(self) -> int:
        """Return the calls that finish it, if every game gets its label at once."""
        return sum(self.calls_each - (part.number in self.parts and self.calls_each > 1) for part in self.open_parts())

    def record(self, now: float) -> JudgmentRecord:
        """Return the record; `is_whole` must hold."""
        return JudgmentRecord(
            question_id=self.question.id,
            model=self.task.model,
            judge=self.task.judge,
            games=tuple(self.parts[number].game for number in GAME_NUMBERS),
            baseline=self.baseline,
            tstamp=now,
            settings=self.settings,
            inputs=self.inputs,
            choice=self.replicate.choice,
            baseline_choice=self.baseline_choice,
            repeat=self.replicate.repeat,
        )

    def drop_games(self) -> None:
        """Drop the games, which the record holds by now: a long run would keep them all in memory."""
        self.is_recorded = True
        self.parts = {}


@dataclass(frozen=True, slots=True)
class OpenChoice:
    """An unfinished choice of an answer: a conversation that is held turn by turn."""

    job: AnswerJob
    index: int


@dataclass(frozen=True, slots=True)
class OpenGame:
    """An unfinished game of a judgment."""

    job: JudgeJob
    number: int


Job: TypeAlias = AnswerJob | JudgeJob
OpenPart: TypeAlias = OpenChoice | OpenGame


def gives_up(mode: VerdictMode, rule: str, game: Game) -> bool:
    """Return whether a game without a label is not asked for again, by the label rule.

    The rule reads free text: where a reply can only be a label, the game is asked for again.
    """
    if game.score is not None or mode.kind != "text" or mode.constrains_reasks:
        return False
    return not asks_again(rule, Verdict(None, game.unparsed or "none"))
