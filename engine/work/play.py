"""How one unit of work is done: which calls it makes, and what it keeps after each of them."""

from __future__ import annotations

from engine.bench.digest import text_digest
from engine.config.model import Config
from engine.config.requests import Requests
from engine.config.sampling import Sampling
from engine.judging.games import game_messages
from engine.judging.prompts import JudgePrompt
from engine.models.tokens import TokenCounter
from engine.records import AnswerPart, Choice, Completion, GamePart, Turn, Usage
from engine.work.ask_game import Completer, GameAsker, joined
from engine.work.jobs import AnswerUnit, GameUnit
from engine.work.recorder import Recorder


def answer_requests(config: Config, model: str, sampling: Sampling) -> Requests:
    """The calls for answers of `model` that are drawn like this."""
    return Requests(config.served_name(model), sampling, config.provider(model), config.models[model].refuses)


class AnswerPlayer:
    """Holds a model's conversation on a question, turn by turn, each choice on its own."""

    def __init__(
        self, client: Completer, config: Config, model: str, counter: TokenCounter | None, recorder: Recorder
    ) -> None:
        self._client = client
        self._config = config
        self._model = model
        self._counter = counter
        self._recorder = recorder
        self._requests: dict[int, Requests] = {}

    async def play(self, unit: AnswerUnit) -> None:
        """Ask for the turns that are missing. Raises CallFailed; what was kept before stays kept."""
        job = unit.job
        part = job.parts.get(unit.index)
        turns = part.choice.turns if part else ()
        for number in range(len(turns), len(job.question.turns)):
            body = self._requests_of(job.sampling).body(self._messages(unit, turns, number), _seed_of(unit))
            completion = await self._client.complete(body, job.task, job.question.id)
            turns = (*turns, Turn(completion.content, self._length(completion)))
            part = AnswerPart(
                question_id=job.question.id,
                model=job.task.model,
                settings=job.settings,
                choice=Choice(unit.index, turns),
                finish_reason=_worse(part.finish_reason if part else "stop", completion.finish_reason),
                token_counter=self._counter.name if self._counter else "server",
                reasoning=joined(part.reasoning if part else None, completion.reasoning),
                usage=(part.usage if part else Usage()) + completion.usage,
                inputs=text_digest(job.question.turns),
            )
            self._recorder.keep_answer(job, part)

    def _requests_of(self, sampling: Sampling) -> Requests:
        """One for each sampling: questions of one category share theirs."""
        if id(sampling) not in self._requests:
            self._requests[id(sampling)] = answer_requests(self._config, self._model, sampling)
        return self._requests[id(sampling)]

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

    def __init__(self, asker: GameAsker, prompt: JudgePrompt, recorder: Recorder) -> None:
        self._asker = asker
        self._prompt = prompt
        self._recorder = recorder

    async def play(self, unit: GameUnit) -> None:
        """Play the game, or go on with it. Raises CallFailed; what was kept before stays kept."""
        job, number = unit.job, unit.number
        opening = game_messages(self._prompt, job.question, job.baseline_turns, job.model_turns, number)
        part = job.parts.get(number)
        game = part.game if part else None
        while not job.is_finished(number):
            game = await self._asker.ask(opening, game, job.task, job.question.id)
            if self._asker.gives_up(game):
                job.given_up.add(number)
            kept = GamePart(job.question.id, job.task.model, job.task.judge, job.settings, job.inputs, number, game)
            self._recorder.keep_game(job, kept)


def _seed_of(unit: AnswerUnit) -> int | None:
    """The choice's seed: with one for all, every choice would be the same text, so each gets its own."""
    seed = unit.job.sampling.seed
    return None if seed is None else seed + unit.index


def _worse(one: str, other: str) -> str:
    return "length" if "length" in (one, other) else other
