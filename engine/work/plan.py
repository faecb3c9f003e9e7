"""The plan: what the config asks for, less what the bench already holds. Pure: records in, jobs out.

A record that is there is never made again unless a user asks for it (`refresh`): one made with other settings is
counted as stale and reported, a judgment without a verdict is counted as unparsed. A judgment of other texts (another
baseline, an answer changed since) does not count as being there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, TypeVar

import msgspec

from engine.bench.answers import StoredAnswer
from engine.bench.digest import inputs_digest
from engine.bench.judgments import StoredJudgment, is_current
from engine.config.model import Config
from engine.config.sampling import Sampling, answer_sampling, answer_settings, settings_digest
from engine.events import TaskKey
from engine.judging.games import game_messages
from engine.judging.labels import Verdict, asks_again
from engine.judging.prompts import JudgePrompt, render
from engine.records import AnswerPart, GamePart, Question
from engine.work.jobs import AnswerJob, Job, JudgeJob

Refresh: TypeAlias = Literal["stale", "unparsed"]
CHARACTERS_PER_TOKEN = 3.3  # between English (about 4) and Russian (about 2.7) in current vocabularies


@dataclass(frozen=True)
class TaskPlan:
    """One task: `total` records, `cached` of them there (`stale` of those made with other settings), the rest jobs.

    `pending` records of a judgment task wait for answers that are not there yet, so they have no job so far.
    `settings_found` counts the cached records by the settings digest that made them, where it is not today's.
    """

    task: TaskKey
    total: int
    cached: int
    stale: int = 0
    unparsed: int = 0
    pending: int = 0
    jobs: Sequence[Job] = ()
    settings_found: Mapping[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    max_completion_tokens: int = 0

    @property
    def calls(self) -> int:
        """Calls to make if every one succeeds at once; a pending judgment takes two."""
        return sum(job.calls() for job in self.jobs) + 2 * self.pending

    def only_cached(self) -> TaskPlan:
        """The same task with nothing to do, for a model that cannot be called."""
        return replace(self, total=self.cached, jobs=(), prompt_tokens=0, max_completion_tokens=0)


def plan_answers(
    config: Config,
    model: str,
    questions: Sequence[Question],
    stored: Mapping[str, StoredAnswer],
    parts: Iterable[AnswerPart] = (),
    refresh: Collection[Refresh] = (),
) -> TaskPlan:
    """What is missing of `model`'s answers to `questions`."""
    task = TaskKey("answers", model)
    by_category: dict[str, tuple[Sampling, str]] = {}
    unfinished = _by_question(part for part in parts if part.model == model)
    found: Counter[str] = Counter()
    jobs: list[AnswerJob] = []
    cached = 0
    for question in questions:
        if question.category not in by_category:
            by_category[question.category] = (
                answer_sampling(config, model, question.category),
                settings_digest(answer_settings(config, model, question.category)),
            )
        sampling, settings = by_category[question.category]
        answer = stored.get(question.id)
        is_stale = answer is not None and answer.settings not in (None, settings)
        if answer is not None and not (is_stale and "stale" in refresh):
            cached += 1
            if is_stale:
                found[answer.settings or ""] += 1
            continue
        kept = {part.choice.index: part for part in unfinished.get(question.id, ()) if part.settings == settings}
        jobs.append(AnswerJob(task, question, sampling, settings, parts=kept))
    return TaskPlan(
        task,
        total=len(questions),
        cached=cached,
        stale=found.total(),
        jobs=jobs,
        settings_found=found,
        prompt_tokens=_tokens(sum(len(turn) for job in jobs for turn in job.question.turns)),
        max_completion_tokens=sum(job.calls() * job.sampling.max_tokens for job in jobs),
    )


@dataclass(frozen=True)
class JudgeTask:
    """How one judge compares: its prompt, its settings digest, and limits per game."""

    judge: str
    baseline: str
    prompt: JudgePrompt
    settings: str
    asks: int
    labels: str
    max_tokens: int


def plan_judgments(
    judging: JudgeTask,
    model: str,
    questions: Sequence[Question],
    baseline_answers: Mapping[str, StoredAnswer],
    model_answers: Mapping[str, StoredAnswer],
    stored: Mapping[str, StoredJudgment],
    parts: Iterable[GamePart] = (),
    refresh: Collection[Refresh] = (),
    awaited: Collection[str] = (),
) -> TaskPlan:
    """What is missing of the judgments of `model`; `awaited` are the questions whose answers are still to be made.

    Questions that lack an answer of either side, now and later, are not part of the task.
    """
    task = TaskKey("judgments", model, judging.judge)
    unfinished = _by_question(part for part in parts if (part.model, part.judge) == (model, judging.judge))
    found: Counter[str] = Counter()
    jobs: list[JudgeJob] = []
    total = cached = unparsed = pending = characters = 0
    for question in questions:
        theirs, ours = baseline_answers.get(question.id), model_answers.get(question.id)
        if question.id in awaited:
            total, pending = total + 1, pending + 1
            continue
        if theirs is None or ours is None:
            continue
        total += 1
        inputs = inputs_digest(question.turns, theirs.turns, ours.turns)
        judgment = stored.get(question.id)
        if judgment is not None and is_current(
            judgment,
            baseline=judging.baseline,
            inputs=inputs,
            question_turns=question.turns,
            baseline_turns=theirs.turns,
            model_turns=ours.turns,
        ):
            is_stale = judgment.settings not in (None, judging.settings)
            is_unparsed = None in judgment.labels
            if (
                not (is_stale and "stale" in refresh)
                and not (is_unparsed and "unparsed" in refresh)
                and all(judgment.played)
            ):
                cached += 1
                unparsed += is_unparsed
                if is_stale:
                    found[judgment.settings or ""] += 1
                continue
        kept = {
            part.number: _with_prompt(part, judging.prompt, question, theirs.turns, ours.turns)
            for part in unfinished.get(question.id, ())
            if part.inputs == inputs and part.settings == judging.settings
        }
        job = JudgeJob(
            task,
            question,
            judging.baseline,
            theirs.turns,
            ours.turns,
            judging.settings,
            inputs,
            judging.asks,
            parts=kept,
            given_up={number for number, part in kept.items() if _is_given_up(part, judging.labels)},
        )
        jobs.append(job)
        characters += job.calls() * sum(map(len, (*question.turns, *theirs.turns, *ours.turns)))
    calls = sum(job.calls() for job in jobs)
    overhead = sum(map(len, render(judging.prompt, ("",), ("",), ("",))))
    return TaskPlan(
        task,
        total=total,
        cached=cached,
        stale=found.total(),
        unparsed=unparsed,
        pending=pending,
        jobs=jobs,
        settings_found=found,
        prompt_tokens=_tokens(characters + calls * overhead),
        max_completion_tokens=calls * judging.max_tokens,
    )


def _is_given_up(part: GamePart, rule: str) -> bool:
    """Whether a game without a label is not asked for again by `rule`; its last reply was what `unparsed` says."""
    game = part.game
    return game.score is None and not asks_again(rule, Verdict(None, game.unparsed or "none"))


def _with_prompt(
    part: GamePart, prompt: JudgePrompt, question: Question, theirs: Sequence[str], ours: Sequence[str]
) -> GamePart:
    """The part with the prompt that its judge saw, which the journal leaves out."""
    sent = game_messages(prompt, question, theirs, ours, part.number)[-1]["content"]
    return msgspec.structs.replace(part, game=msgspec.structs.replace(part.game, user_prompt=sent))


def _tokens(characters: int) -> int:
    return round(characters / CHARACTERS_PER_TOKEN)


_Part = TypeVar("_Part", AnswerPart, GamePart)


def _by_question(parts: Iterable[_Part]) -> dict[str, list[_Part]]:
    grouped: dict[str, list[_Part]] = {}
    for part in parts:
        grouped.setdefault(part.question_id, []).append(part)
    return grouped
