"""One ask of one game, in every mode: which call is made, and what the game is after its reply.

How one unit of work is done: which calls it makes, and what it keeps after each of them.
"""

from __future__ import annotations

from typing import Any, Protocol

from engine.bench.digest import text_digest
from engine.config.model import Config
from engine.config.requests import Requests, constrained_requests, read_choice, soft_requests
from engine.config.sampling import Sampling, judge_sampling
from engine.errors import CallFailed, FailureKind
from engine.events import TaskKey
from engine.judging.prompts import JudgeMessages, JudgePrompt, game_messages, reask_messages
from engine.judging.rules import parser
from engine.judging.spelling import Verdict
from engine.judging.verdicts import FORMS, asked_for_verdict, choices, read_first_token, read_form
from engine.models.tokens import TokenCounter
from engine.records import LABELS, AnswerPart, Choice, Completion, Game, GamePart, Turn, Usage
from engine.work.jobs import OpenChoice, OpenGame, gives_up
from engine.work.recorder import Recorder


class Completer(Protocol):
    """What a player needs of a model: one chat call. Raises CallFailed when it failed for good.

    Calls with the same `prefix` have the beginning of their prompts in common.
    """

    async def complete(self, body: dict[str, Any], task: TaskKey | None = None, prefix: str = "") -> Completion: ...


def judge_requests(config: Config, judge: str) -> dict[str, Requests]:
    """The calls that a judge may get: those for a "text", and those for a "verdict" and nothing else."""
    sampling, provider, mode = judge_sampling(config, judge), config.provider(judge), config.judge.mode
    name, refuses = config.served_name(judge), config.models[judge].refuses
    make = soft_requests if mode.kind == "soft" else constrained_requests
    return {
        "text": Requests(name, sampling, provider, refuses),
        "verdict": make(name, sampling, provider, choices(mode), refuses),
    }


class JudgeCaller:
    """Asks a judge as the config says: freely, for a label and nothing else, or for probabilities."""

    def __init__(self, client: Completer, config: Config, judge: str) -> None:
        self._client = client
        self._mode = config.judge.mode
        self._rule = config.judge.labels
        self._parse = parser(self._rule)
        self._read_masked = config.provider(judge).masked
        requests = judge_requests(config, judge)
        self._free, self._bound = requests["text"], requests["verdict"]

    async def ask(
        self, opening: JudgeMessages, before: Game | None, task: TaskKey | None = None, prefix: str = ""
    ) -> Game:
        """The game after one more call; `before` is None for the first one. Raises CallFailed."""
        is_bound = self._is_bound(before)
        messages = opening if before is None else self._following(opening, before, is_bound=is_bound)
        completion = await self._client.complete((self._bound if is_bound else self._free).body(messages), task, prefix)
        return self._after(opening, before, completion, is_bound=is_bound)

    def gives_up(self, game: Game) -> bool:
        """Whether a game is left without a label though it might be asked for again."""
        return game.score is None and gives_up(self._mode, self._rule, game.unparsed)

    def _is_bound(self, before: Game | None) -> bool:
        """Whether the next call leaves the judge nothing but a verdict to write."""
        if self._mode.kind == "text":
            return before is not None and self._mode.constrains_reasks
        return before is not None or not self._mode.thinks_first

    def _following(self, opening: JudgeMessages, before: Game, *, is_bound: bool) -> JudgeMessages:
        if not is_bound:
            return reask_messages(opening, before.judgment)
        said = before.judgment
        if before.reasoning and len(said) <= len(before.reasoning):  # it thought apart: without that it would be lost
            said = f"{before.reasoning}\n\n{said}"
        asked = {"role": "user", "content": asked_for_verdict(self._mode)}
        return [*opening, {"role": "assistant", "content": said}, asked]

    def _after(self, opening: JudgeMessages, before: Game | None, completion: Completion, *, is_bound: bool) -> Game:
        said, finish_reason, probabilities, mass = completion.content, completion.finish_reason, None, None
        if not is_bound:
            is_verdict = self._mode.kind == "text"
            verdict = self._parse(said) if is_verdict else Verdict(None, "none")
        elif self._mode.kind == "soft":
            if not completion.first_token:
                raise CallFailed(
                    FailureKind.REJECTED,
                    "the reply holds no log-probabilities, which a soft verdict is read from",
                    hint='this server does not tell them: use verdict = "constrained" or "text"',
                )
            verdict, probabilities, told = read_first_token(completion.first_token)
            mass = None if self._read_masked else told
            if verdict.label is not None:
                said = FORMS[LABELS.index(verdict.label)]  # what the number stands for
                finish_reason = "stop"  # one token was asked for: that it is the last one cuts nothing
        else:
            verdict = read_form(read_choice(said), self._parse)
        return Game(
            user_prompt=opening[-1]["content"],
            judgment=said if before is None else f"{before.judgment}\n{said}",
            score=verdict.label,
            asks=1 if before is None else before.asks + 1,
            unparsed=verdict.reason or None,
            finish_reason=finish_reason,
            reasoning=joined(before.reasoning if before else None, completion.reasoning),
            usage=completion.usage if before is None else (before.usage or Usage()) + completion.usage,
            probabilities=probabilities,
            label_mass=mass,
        )


def joined(one: str | None, other: str | None) -> str | None:
    """Two thoughts, or the one that there is."""
    return "\n\n".join(filter(None, (one, other))) or None


def answer_requests(config: Config, model: str, sampling: Sampling) -> Requests:
    """The calls for answers of `model` that are drawn like this."""
    return Requests(config.served_name(model), sampling, config.provider(model), config.models[model].refuses)


class AnswerMaker:
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

    async def play(self, unit: OpenChoice) -> None:
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
    def _messages(unit: OpenChoice, turns: tuple[Turn, ...], number: int) -> list[dict[str, str]]:
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


class GameMaker:
    """Plays one game: asks the judge, and asks again (up to the job's limit) while it gives no verdict."""

    def __init__(self, asker: JudgeCaller, prompt: JudgePrompt, recorder: Recorder) -> None:
        self._asker = asker
        self._prompt = prompt
        self._recorder = recorder

    async def play(self, unit: OpenGame) -> None:
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


def _seed_of(unit: OpenChoice) -> int | None:
    """The choice's seed: with one for all, every choice would be the same text, so each gets its own."""
    seed = unit.job.sampling.seed
    return None if seed is None else seed + unit.index


def _worse(one: str, other: str) -> str:
    return "length" if "length" in (one, other) else other
