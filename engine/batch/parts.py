"""The open parts of a plan, the custom ids of their next calls, and the makers that turn one reply into a record.

A part (a choice of an answer, a game) takes one call or more; only the next one can be in a batch, because it continues
from the reply before. The makers are those of an online run: a batch differs only in who answers `complete`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from hashlib import blake2b
from itertools import product
from typing import Any, TypeAlias

import msgspec

from engine.config.model import Config
from engine.events import TaskKey
from engine.models.tokens import TokenCounter
from engine.records import Completion
from engine.repeats import FIRST, Replicate
from engine.work.calls import AnswerMaker, GameMaker, JudgeCaller, PartKeeper
from engine.work.jobs import GAME_NUMBERS, AnswerJob, JudgeJob, OpenChoice, OpenGame, OpenPart
from engine.work.plan import Plan
from engine.work.queue import question_major

URL = "/v1/chat/completions"  # of every request, as the batch files of OpenAI and vLLM name it

Answering: TypeAlias = Callable[[dict[str, Any]], Completion]


class NextCallNeeded(Exception):
    """The part needs a call that is not answered here: it is left open."""


class CustomId(msgspec.Struct, frozen=True):
    """The id of a request: which part, after how many calls, with which body.

    It has at most 64 characters of letters, digits and hyphens, which every service accepts. Equal ids mean equal
    requests, so a result can be taken without knowing which files were written.
    """

    part: str
    step: int
    body: str

    def __str__(self) -> str:
        return f"{self.part}-{self.step}-{self.body}"

    @classmethod
    def parse(cls, text: object) -> CustomId | None:
        """Return the id in a text; None where it is not one of this program."""
        if not isinstance(text, str):
            return None
        part, _, rest = text.partition("-")
        step, _, body = rest.partition("-")
        is_ours = len(part) == 17 and part[0] in "aj" and len(body) == 16 and step.isdecimal() and len(step) < 5
        return cls(part, int(step), body) if is_ours and step.isascii() else None


def body_digest(body: bytes) -> str:
    """Return what distinguishes a request from every other one: 16 hexadecimal digits."""
    return blake2b(body, digest_size=8).hexdigest()


def part_name(task: TaskKey, question_id: str, number: int, replicate: Replicate = FIRST) -> str:
    """Return the name of a part: `a` or `j` and 16 hexadecimal digits."""
    which = () if replicate == FIRST else map(str, replicate)
    named = "\0".join((task.stage, task.model, task.judge, task.baseline, question_id, str(number), *which))
    return task.stage[0] + blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def name_of(part: OpenPart) -> str:
    """Return the name of an open part."""
    if isinstance(part, OpenChoice):
        return part_name(part.job.task, part.job.question.id, part.index)
    return part_name(part.job.task, part.job.question.id, part.number, part.job.replicate)


def calls_made(part: OpenPart) -> int:
    """Return how many calls of a part are answered."""
    if isinstance(part, OpenChoice):
        choice = part.job.parts.get(part.index)
        return len(choice.choice.turns) if choice else 0
    game = part.job.parts.get(part.number)
    return game.game.asks if game else 0


def is_open(part: OpenPart) -> bool:
    """Return whether calls of a part are left."""
    return not part.job.is_finished(part.index if isinstance(part, OpenChoice) else part.number)


def caller_of(part: OpenPart) -> str:
    """Return the model that is called for a part."""
    return part.job.task.judge or part.job.task.model


def open_answers(plan: Plan) -> Iterator[OpenChoice]:
    """Yield the open choices model by model, those of one question together."""
    for task in plan.answers:
        for job in task.jobs:
            if isinstance(job, AnswerJob):
                yield from job.open_parts()


def open_games(plan: Plan) -> Iterator[OpenGame]:
    """Yield the open games judge by judge, in the order in which prompts share most of their beginnings."""
    judged = list(dict.fromkeys(task.key.model for task in plan.judgments))
    order = question_major(plan.questions, judged, plan.participants.baselines)
    for judge in dict.fromkeys(task.key.judge for task in plan.judgments):
        jobs = [job for task in plan.judgments if task.key.judge == judge for job in task.jobs]
        yield from sorted((part for job in jobs if isinstance(job, JudgeJob) for part in job.open_parts()), key=order)


def open_parts(plan: Plan) -> Iterator[OpenPart]:
    """Yield every part whose next call can be made: judgments of answers that are still missing are no jobs yet."""
    yield from open_answers(plan)
    yield from open_games(plan)


def all_parts(plan: Plan) -> Iterator[str]:
    """Yield the names of all parts of a plan, also of those with records on disk."""
    for task in plan.tasks:
        choices = plan.repeats.answers
        is_judged = task.key.stage == "judgments"
        numbers = GAME_NUMBERS if is_judged else range(choices)
        replicates = plan.repeats.replicates(choices) if is_judged else [FIRST]
        for question, replicate, number in product(plan.questions, replicates, numbers):
            yield part_name(task.key, question.id, number, replicate)


class OneCall:
    """Answers one call of a maker with `answering`, which gets the request; a second one raises NextCallNeeded."""

    def __init__(self) -> None:
        self._answering: Answering | None = None

    def answer_with(self, answering: Answering) -> None:
        """Answer the next call so."""
        self._answering = answering

    async def complete(self, body: dict[str, Any], task: TaskKey | None = None, prefix: str = "") -> Completion:
        """Answer, or raise NextCallNeeded; raises what `answering` raises."""
        answering, self._answering = self._answering, None
        if answering is None:
            raise NextCallNeeded
        return answering(body)


class PartMakers:
    """Carries out the next call of a part, as an online run would, with a reply that is given."""

    def __init__(
        self,
        config: Config,
        plan: Plan,
        keeper: PartKeeper,
        counter: TokenCounter | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._plan = plan
        self._keeper = keeper
        self._counter = counter
        self._warn = warn
        self._call = OneCall()
        self._answers: dict[str, AnswerMaker] = {}
        self._games: dict[str, GameMaker] = {}

    def make(self, part: OpenPart, answering: Answering) -> None:
        """Make the next call of a part; return with the part kept, finished or not.

        Raises what `answering` raises: CallFailed, or its own exceptions.
        """
        self._call.answer_with(answering)
        with suppress(NextCallNeeded):
            _run_at_once(self._making(part))

    def _making(self, part: OpenPart) -> Coroutine[Any, Any, None]:
        caller = caller_of(part)
        if isinstance(part, OpenChoice):
            if caller not in self._answers:
                self._answers[caller] = AnswerMaker(
                    self._call, self._config, caller, self._counter, self._keeper, self._warn
                )
            return self._answers[caller].make(part)
        if caller not in self._games:
            judge = JudgeCaller(self._call, self._config, caller, self._warn)
            self._games[caller] = GameMaker(judge, self._plan.judging[caller].prompt_for, self._keeper, _seed_of)
        return self._games[caller].make(part)


def _seed_of(part: OpenGame) -> str:
    """Return the seed of a game's fence: from its texts, so that reading a result renders the prompt that was sent.

    An answer cannot hold the code that follows from it: the code changes with every character of the answer.
    """
    job = part.job
    named = f"{job.inputs}:{job.settings}:{job.task.judge}:{part.number}"
    if job.replicate != FIRST:
        named += f":{job.replicate.choice}:{job.replicate.repeat}"
    return blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _run_at_once(making: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        making.send(None)
    except StopIteration:
        return
    making.close()
    raise AssertionError("a maker waited for something other than its call")
