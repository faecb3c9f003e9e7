"""How one unit of work is done: which calls it makes, and what it keeps after each of them."""

from __future__ import annotations

from typing import Any, Protocol

from engine.config.sampling import Sampling, request_body
from engine.events import TaskKey
from engine.judging.games import game_messages, reask_messages
from engine.judging.labels import asks_again, parser
from engine.judging.prompts import JudgePrompt
from engine.models.tokens import TokenCounter
from engine.records import AnswerPart, Choice, Completion, Game, GamePart, Turn, Usage
from engine.work.jobs import AnswerUnit, GameUnit
from engine.work.recorder import Recorder


class Completer(Protocol):
    """What a player needs of a model: one chat call. Raises CallFailed when it failed for good."""

    async def complete(self, body: dict[str, Any], task: TaskKey | None = None) -> Completion: ...


class AnswerPlayer:
    """Holds a model's conversation on a question, turn by turn, each choice on its own."""

    def __init__(self, client: Completer, served_name: str, counter: TokenCounter | None, recorder: Recorder) -> None:
        self._client = client
        self._served_name = served_name
        self._counter = counter
        self._recorder = recorder

    async def play(self, unit: AnswerUnit) -> None:
        """Ask for the turns that are missing. Raises CallFailed; what was kept before stays kept."""
        job = unit.job
        part = job.parts.get(unit.index)
        turns = part.choice.turns if part else ()
        for number in range(len(turns), len(job.question.turns)):
            body = request_body(self._served_name, self._messages(unit, turns, number), _sampling_of(unit))
            completion = await self._client.complete(body, job.task)
            turns = (*turns, Turn(completion.content, self._length(completion)))
            part = AnswerPart(
                question_id=job.question.id,
                model=job.task.model,
                settings=job.settings,
                choice=Choice(unit.index, turns),
                finish_reason=_worse(part.finish_reason if part else "stop", completion.finish_reason),
                token_counter=self._counter.name if self._counter else "server",
                reasoning=_joined(part.reasoning if part else None, completion.reasoning),
                usage=(part.usage if part else Usage()) + completion.usage,
            )
            self._recorder.keep_answer(job, part)

    @staticmethod
    def _messages(unit: AnswerUnit, turns: tuple[Turn, ...], number: int) -> list[dict[str, str]]:
        job = unit.job
        system = job.sampling.system_prompt
        messages = [{"role": "system", "content": system}] if system else []
        for asked, answered in zip(job.question.turns, turns, strict=False):
            messages.append({"role": "user", "content": asked})
            messages.append({"role": "assistant", "content": answered.content})
        messages.append({"role": "user", "content": job.question.turns[number]})
        return messages

    def _length(self, completion: Completion) -> int | None:
        if self._counter is not None:
            return self._counter.count(completion.content)
        usage = completion.usage
        return usage.completion_tokens - usage.reasoning_tokens or None


class JudgePlayer:
    """Plays one game: asks the judge, and asks again (up to the job's limit) while it gives no verdict."""

    def __init__(
        self,
        client: Completer,
        served_name: str,
        sampling: Sampling,
        prompt: JudgePrompt,
        rule: str,
        recorder: Recorder,
    ) -> None:
        self._client = client
        self._served_name = served_name
        self._sampling = sampling
        self._prompt = prompt
        self._rule = rule
        self._parse = parser(rule)
        self._recorder = recorder

    async def play(self, unit: GameUnit) -> None:
        """Play the game, or go on with it. Raises CallFailed; what was kept before stays kept."""
        job, number = unit.job, unit.number
        opening = game_messages(self._prompt, job.question, job.baseline_turns, job.model_turns, number)
        part = job.parts.get(number)
        game = part.game if part else None
        while not job.is_finished(number):
            messages = opening if game is None else reask_messages(opening, game.judgment)
            body = request_body(self._served_name, messages, self._sampling)
            completion = await self._client.complete(body, job.task)
            verdict = self._parse(completion.content)
            game = Game(
                user_prompt=opening[-1]["content"],
                judgment=completion.content if game is None else f"{game.judgment}\n{completion.content}",
                score=verdict.label,
                asks=1 if game is None else game.asks + 1,
                unparsed=verdict.reason or None,
                finish_reason=completion.finish_reason,
                reasoning=_joined(game.reasoning if game else None, completion.reasoning),
                usage=completion.usage if game is None else (game.usage or Usage()) + completion.usage,
            )
            if verdict.label is None and not asks_again(self._rule, verdict):
                job.given_up.add(number)
            kept = GamePart(job.question.id, job.task.model, job.task.judge, job.settings, job.inputs, number, game)
            self._recorder.keep_game(job, kept)


def _sampling_of(unit: AnswerUnit) -> Sampling:
    """The choice's sampling: with a fixed seed, every choice would be the same text, so each gets its own."""
    sampling = unit.job.sampling
    if sampling.seed is None or unit.index == 0:
        return sampling
    return sampling.with_seed(sampling.seed + unit.index)


def _worse(one: str, other: str) -> str:
    return "length" if "length" in (one, other) else other


def _joined(one: str | None, other: str | None) -> str | None:
    return "\n\n".join(filter(None, (one, other))) or None
