"""Which calls make one part of a job, and what is kept after each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from engine.bench.digest import text_digest
from engine.config.model import Config
from engine.config.requests import Requests, constrained_requests, read_choice, soft_requests
from engine.config.sampling import Sampling, judge_sampling
from engine.errors import CallFailed, FailureKind
from engine.events import TaskKey
from engine.judging.fence import new_seed
from engine.judging.lenient import ends_with_label
from engine.judging.prompts import FORMS, JudgeMessages, JudgePrompt, encoded_game_messages, reask_messages
from engine.judging.reasoning import special_tokens
from engine.judging.rules import parser
from engine.judging.spelling import Verdict
from engine.judging.verdicts import LEAST_LABEL_MASS, asked_for_verdict, choices, read_first_token, read_form
from engine.labels import LABELS
from engine.models.tokens import TokenCounter
from engine.records import AnswerPart, Choice, Completion, Game, GamePart, Question, Turn, Usage
from engine.work.jobs import AnswerJob, JudgeJob, OpenChoice, OpenGame, gives_up

SHARED_BY = 3  # answers with the same special token are no coincidence


class Completer(Protocol):
    """A model that takes one chat call. Raises CallFailed when it failed for good.

    Calls with the same `prefix` have the beginning of their prompts in common.
    """

    async def complete(self, body: dict[str, Any], task: TaskKey | None = None, prefix: str = "") -> Completion: ...


class PartKeeper(Protocol):
    """Keeps what was made of a job after each of its calls; `Recorder` writes it down."""

    def keep_answer(self, job: AnswerJob, part: AnswerPart) -> None: ...

    def keep_game(self, job: JudgeJob, part: GamePart) -> None: ...


def answer_requests(config: Config, model: str, sampling: Sampling) -> Requests:
    """Return the calls for answers of `model` with this sampling."""
    return Requests(config.served_name(model), sampling, config.provider(model), config.models[model].refuses)


def judge_requests(config: Config, judge: str) -> dict[str, Requests]:
    """Return the calls that a judge may get: those for a "text", and those for a "verdict" and nothing else."""
    sampling, provider, mode = judge_sampling(config, judge), config.provider(judge), config.judge.mode
    name, refuses = config.served_name(judge), config.models[judge].refuses
    make = soft_requests if mode.kind == "soft" else constrained_requests
    return {
        "text": Requests(name, sampling, provider, refuses),
        "verdict": make(name, sampling, provider, choices(mode), refuses),
    }


def seed_of(config: Config, model: str, sampling: Sampling, draw: int) -> int | None:
    """Return the seed of a reply that is drawn again, from 0; None where it keeps that of the sampling.

    One seed for all would make all of them the same text, and so may none, where replies to equal requests are cached.
    """
    if not draw or "seed" not in config.sampling_taken(model):
        return None
    return (sampling.seed or 0) + draw


class AnswerMaker:
    """Makes choices of answers: a conversation with the model, turn by turn, each choice on its own."""

    def __init__(
        self,
        client: Completer,
        config: Config,
        model: str,
        counter: TokenCounter | None,
        keeper: PartKeeper,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._warn = warn
        self._special_tokens = Counter[str]()
        self._config = config
        self._model = model
        self._counter = counter
        self._keeper = keeper
        self._requests: dict[int, Requests] = {}

    async def make(self, open_choice: OpenChoice) -> None:
        """Ask for the missing turns. Raises CallFailed; what was recorded before stays."""
        job, index = open_choice.job, open_choice.index
        part = job.parts.get(index)
        turns = part.choice.turns if part else ()
        seed = seed_of(self._config, self._model, job.sampling, index)
        for number in range(len(turns), len(job.question.turns)):
            messages = self._messages(open_choice, turns, number)
            body = self._requests_of(job.sampling).body(messages, seed)
            completion = await self._client.complete(body, job.task, job.question.id)
            turns = (*turns, Turn(completion.content, self._length(completion), completion.raw or UNSET))
            self._look_for_special_tokens(completion.content)
            was_cut = "length" in (completion.finish_reason, part.finish_reason if part else "stop")
            part = AnswerPart(
                question_id=job.question.id,
                model=job.task.model,
                settings=job.settings,
                choice=Choice(index, turns),
                finish_reason="length" if was_cut else completion.finish_reason,
                token_counter=self._counter.name if self._counter else "server",
                reasoning=joined(part.reasoning if part else None, completion.reasoning),
                usage=(part.usage if part else Usage()) + completion.usage,
                inputs=text_digest(job.question.shown),
            )
            self._keeper.keep_answer(job, part)

    def _requests_of(self, sampling: Sampling) -> Requests:
        """Return the requests of a sampling; questions of one category share theirs."""
        if id(sampling) not in self._requests:
            self._requests[id(sampling)] = answer_requests(self._config, self._model, sampling)
        return self._requests[id(sampling)]

    @staticmethod
    def _messages(open_choice: OpenChoice, turns: tuple[Turn, ...], number: int) -> list[dict[str, str]]:
        job = open_choice.job
        context = [{"role": each.role, "content": each.content} for each in job.question.context]
        system = job.sampling.system_prompt
        if system and not any(each["role"] == "system" for each in context):  # that of the question takes precedence
            context.insert(0, {"role": "system", "content": system})
        messages = context
        for asked, answered in zip(job.question.turns, turns, strict=False):
            messages.append({"role": "user", "content": asked})
            messages.append({"role": "assistant", "content": answered.content})
        messages.append({"role": "user", "content": job.question.turns[number]})
        return messages

    def _look_for_special_tokens(self, text: str) -> None:
        """Warn of special tokens that several answers hold: the judge reads them as part of the answer."""
        for token in special_tokens(text):
            self._special_tokens[token] += 1
            if self._special_tokens[token] == SHARED_BY:
                self._warn(
                    f"answers hold {token!r}, which looks like a special token: check the chat template and the "
                    "reasoning parser of the server"
                )

    def _length(self, completion: Completion) -> int | None:
        if self._counter is not None:
            return self._counter.count(completion.content)
        usage = completion.usage
        return usage.completion_tokens - usage.reasoning_tokens or None


class JudgeCaller:
    """Calls a judge as the config says: for free text, for a label and nothing else, or for probabilities."""

    def __init__(
        self, client: Completer, config: Config, judge: str, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        self._client = client
        self._warn = warn
        self._seed_of = partial(seed_of, config, judge, judge_sampling(config, judge))
        self._mode = config.judge.mode
        self._rule = config.judge.labels
        self._parse = parser(self._rule)
        requests = judge_requests(config, judge)
        self._free, self._bound = requests["text"], requests["verdict"]

    async def call(
        self, opening: JudgeMessages, before: Game | None, task: TaskKey | None = None, prefix: str = "", draw: int = 0
    ) -> Game:
        """Return the game after one more call; `before` is None for the first one. Raises CallFailed.

        `draw` counts the judgments of a question from 0: each has a seed of its own.
        """
        is_bound = self._is_bound(before)
        messages = opening if before is None else self._following(opening, before, is_bound=is_bound)
        body = (self._bound if is_bound else self._free).body(messages, self._seed_of(draw))
        completion = await self._client.complete(body, task, prefix)
        return self._after(opening, before, completion, is_bound=is_bound)

    def gives_up(self, game: Game) -> bool:
        """Return whether a game is left without a label though there are calls left for it."""
        return gives_up(self._mode, self._rule, game)

    def _is_bound(self, before: Game | None) -> bool:
        """Return whether the next reply can only be a label."""
        if self._mode.kind == "text":
            return before is not None and self._mode.constrains_reasks
        return before is not None or not self._mode.thinks_first

    def _following(self, opening: JudgeMessages, before: Game, *, is_bound: bool) -> JudgeMessages:
        if not is_bound:
            return reask_messages(opening, before.judgment)
        said = before.judgment
        if before.reasoning and len(said) <= len(before.reasoning):  # reasoning came apart: it would be lost
            said = f"{before.reasoning}\n\n{said}"
        return [
            *opening,
            {"role": "assistant", "content": said},
            {"role": "user", "content": asked_for_verdict(self._mode)},
        ]

    def _after(self, opening: JudgeMessages, before: Game | None, completion: Completion, *, is_bound: bool) -> Game:
        said, finish_reason, probabilities, mass = completion.content, completion.finish_reason, None, None
        if not is_bound:
            is_verdict = self._mode.kind == "text"
            verdict = self._parse(said) if is_verdict else Verdict(None, "none")
            if finish_reason == "length" and verdict.label is not None and not ends_with_label(said):
                verdict = Verdict(None, "none")  # cut off before the judge came to its verdict
        elif self._mode.kind == "soft":
            if not completion.first_token:
                raise CallFailed(
                    FailureKind.REJECTED,
                    "the reply has no log-probabilities, which a soft verdict needs",
                    hint='this server does not send them: use verdict = "constrained" or "text"',
                )
            verdict, probabilities, mass = read_first_token(completion.first_token)
            if mass < LEAST_LABEL_MASS:
                self._warn(
                    "soft verdicts without a label: the five numbers have too little of the probability, so the server "
                    "does not bind the reply to them; such games are unparsed"
                )
            if verdict.label is not None:
                said = FORMS[LABELS.index(verdict.label)]  # what the number stands for
                finish_reason = "stop"  # one token was asked for: it is the last one and yet nothing was cut
        else:
            verdict = read_form(read_choice(said), self._parse)
        raw = None
        if completion.raw or (before and before.raw):
            raw = joined(before.raw or before.judgment if before else None, completion.raw or completion.content)
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
            raw=raw,
        )


class GameMaker:
    """Makes games: calls the judge, and again (up to the job's limit) while there is no label.

    `seed_of` gives the seed of a new game's fence.
    """

    def __init__(
        self,
        caller: JudgeCaller,
        prompt_for: Callable[[Question], JudgePrompt],
        keeper: PartKeeper,
        seed_of: Callable[[OpenGame], str] = lambda _: new_seed(),
    ) -> None:
        self._caller = caller
        self._prompt_for = prompt_for
        self._keeper = keeper
        self._seed_of = seed_of

    async def make(self, open_game: OpenGame) -> None:
        """Make the game, or continue it. Raises CallFailed; what was recorded before stays."""
        job, number = open_game.job, open_game.number
        part = job.parts.get(number)
        game = part.game if part else None
        prompt = self._prompt_for(job.question)
        seed = (game.fence if game else None) or (self._seed_of(open_game) if prompt.fenced else None)
        opening = encoded_game_messages(prompt, job.question, job.baseline_turns, job.model_turns, number, seed)
        while not job.is_finished(number):
            game = await self._caller.call(opening, game, job.task, job.question.id, job.replicate.seed)
            if seed is not None:
                game = msgspec.structs.replace(game, fence=seed)
            if self._caller.gives_up(game):
                job.given_up.add(number)
            made = job.question.id, job.task.model, job.task.judge, job.settings, job.inputs, number, game
            kept = GamePart(*made, *job.replicate)
            self._keeper.keep_game(job, kept)


def joined(one: str | None, other: str | None) -> str | None:
    """Join the reasoning of two calls."""
    return "\n\n".join(filter(None, (one, other))) or None
