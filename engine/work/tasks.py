"""What one task still lacks: what the config asks of it, less what the bench holds. Texts are read only for jobs.

A cached record is never made again unless a user asks for it (`refresh`): one made with other settings is counted as
stale and reported, a judgment with a game without a label is counted as unparsed. A judgment of other texts (another
baseline, an answer changed since) is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, TypeVar

import msgspec

from engine.bench.current import JudgmentsAgainst, is_current
from engine.bench.digest import inputs_digest
from engine.bench.stored import Choices, ListedAnswer, StoredJudgment
from engine.config.model import Config
from engine.config.sampling import Sampling, answer_sampling, answer_settings, settings_digest
from engine.events import TaskKey
from engine.judging.prompts import JudgePrompt, game_messages, render
from engine.labels import Label
from engine.records import AnswerPart, Game, GamePart, Question, VerdictMode
from engine.repeats import FIRST, ONCE, Repeats, Replicate
from engine.work.jobs import GAME_NUMBERS, AnswerJob, Job, JudgeJob, gives_up

Refresh: TypeAlias = Literal["stale", "unparsed"]
CHARACTERS_PER_TOKEN = 3.3  # between English (about 4) and Russian (about 2.7) in current vocabularies


@dataclass(frozen=True)
class Task:
    """One task: `total` records, `cached` of them on disk (`stale` of those made with other settings), the rest jobs.

    The judgments of `awaited` questions wait for answers that are still to be made; `planner` creates their jobs then.
    `labels` are those of the cached first judgments, by question.
    `settings_found` counts the cached records by the digest of the settings that made them and of today's, where they
    differ.
    """

    key: TaskKey
    total: int
    cached: int
    stale: int = 0
    unparsed: int = 0
    jobs: Sequence[Job] = ()
    settings_found: Mapping[tuple[str, str], int] = field(default_factory=dict)
    prompt_tokens: int = 0
    max_completion_tokens: int = 0
    awaited: Sequence[Question] = ()
    planner: JudgmentPlanner | None = None
    labels: Mapping[str, Sequence[Label | None]] = field(default_factory=dict)

    @property
    def has_work(self) -> bool:
        """Whether any record is to be made."""
        return bool(self.jobs or self.awaited)

    @property
    def calls(self) -> int:
        """Calls to make if every one succeeds at once; a pending judgment takes those of both its games."""
        return sum(job.calls() for job in self.jobs) + sum(map(self.awaited_calls, self.awaited))

    def awaited_calls(self, question: Question) -> int:
        """Return the calls that the judgments of an awaited question take."""
        return self.planner.calls_for(question) if self.planner is not None else 0

    def only_cached(self) -> Task:
        """Return the same task with nothing to do, for a model that cannot be called."""
        return replace(self, total=self.cached, jobs=(), prompt_tokens=0, max_completion_tokens=0)


def plan_answers(
    config: Config,
    model: str,
    questions: Sequence[Question],
    digests: Mapping[str, str],
    stored: Mapping[str, ListedAnswer],
    parts: Iterable[AnswerPart] = (),
    refresh: Collection[Refresh] = (),
    choices: int = 1,
) -> Task:
    """Plan `model`'s answers to `questions`, whose texts have these `digests`.

    A cached answer with fewer than `choices` gets more of them, unless it was made with other settings or is not known
    to have been made with the same.
    """
    key = TaskKey("answers", model)
    by_category: dict[str, tuple[Sampling, str, set[str]]] = {}
    unfinished = _by_question(part for part in parts if part.model == model)
    found: Counter[tuple[str, str]] = Counter()
    jobs: list[AnswerJob] = []
    for question in questions:
        asked = digests[question.id]
        if question.category not in by_category:
            shaped = answer_settings(config, model, question.category)
            by_category[question.category] = (
                msgspec.structs.replace(answer_sampling(config, model, question.category), num_choices=choices),
                settings_digest(shaped),
                {settings_digest(shaped | {"num_choices": count}) for count in range(2, choices + 1)},
            )
        sampling, settings, as_before = by_category[question.category]
        answer = stored.get(question.id)
        more = None
        if answer is not None:
            has_other_settings = answer.settings not in (None, settings, *as_before)
            is_edited = answer.inputs not in (None, asked)
            if not ("stale" in refresh and (has_other_settings or is_edited)):
                if has_other_settings:
                    found[answer.settings or "", settings] += 1
                if answer.count >= choices or has_other_settings or is_edited or answer.settings is None:
                    continue
                more = answer
        kept = {
            part.choice.index: part
            for part in unfinished.get(question.id, ())
            if part.settings == settings and part.inputs in (None, asked)
        }
        jobs.append(AnswerJob(key, question, sampling, settings, parts=kept, stored=more))
    return Task(
        key,
        total=len(questions),
        cached=len(questions) - len(jobs),
        stale=found.total(),
        jobs=jobs,
        settings_found=found,
        prompt_tokens=_tokens(sum(len(turn) for job in jobs for turn in job.question.shown)),
        max_completion_tokens=sum(job.calls() * job.sampling.max_tokens for job in jobs),
    )


@dataclass(frozen=True)
class Judging:
    """How one judge compares: the prompt that opens a game, its settings digest, and limits per game.

    `by_category` holds prompt and digest of the categories that have a prompt of their own.
    """

    prompt: JudgePrompt
    settings: str
    asks: int
    labels: str
    max_tokens: int
    mode: VerdictMode
    by_category: Mapping[str, tuple[JudgePrompt, str]] = field(default_factory=dict)

    def prompt_for(self, question: Question) -> JudgePrompt:
        return self.by_category.get(question.category, (self.prompt, ""))[0]

    def settings_for(self, question: Question) -> str:
        return self.by_category.get(question.category, (self.prompt, self.settings))[1]

    @property
    def calls_each(self) -> int:
        """Calls that a game takes if all goes well."""
        return 2 if self.mode.thinks_first else 1

    def gives_up(self, game: Game) -> bool:
        """Return whether a game without a label is not asked for again."""
        return gives_up(self.mode, self.labels, game)


class JudgmentPlanner:
    """Finds the missing judgments of the task `key`.

    `baseline_of` names the baseline of a question; `theirs` are its answers and `ours` the model's, as far as they are
    on disk. `repeats` says which of them are judged and how often, `coming` how many answers a question will have that
    gets some in this run.
    """

    def __init__(
        self,
        key: TaskKey,
        judging: Judging,
        baseline_of: Callable[[Question], str],
        theirs: Mapping[str, ListedAnswer],
        ours: Mapping[str, ListedAnswer],
        stored: JudgmentsAgainst,
        parts: Iterable[GamePart] = (),
        refresh: Collection[Refresh] = (),
        repeats: Repeats = ONCE,
        coming: Mapping[str, int] | None = None,
    ) -> None:
        self.key = key
        self.judging = judging
        self.repeats = repeats
        self._coming = coming or {}
        self._baseline_of = baseline_of
        self._theirs = theirs
        self._ours = ours
        self._stored = stored
        self._unfinished = _by_question(part for part in parts if (part.model, part.judge) == (key.model, key.judge))
        self._refresh = refresh

    def expected(self, question: Question) -> int:
        """Return how many judgments a question has once the answers that it waits for are there."""
        answer = self._ours.get(question.id)
        return len(self.repeats.replicates(self._coming.get(question.id) or (answer.count if answer else 1)))

    def calls_for(self, question: Question) -> int:
        """Return the calls that these take."""
        return len(GAME_NUMBERS) * self.judging.calls_each * self.expected(question)

    def settle(
        self, question: Question, theirs: Choices | None = None, ours: Choices | None = None
    ) -> list[tuple[Replicate, JudgeJob | StoredJudgment]]:
        """Return of each judgment of a question its job, or the cached judgment; of none where an answer is missing.

        `theirs` and `ours` are answers that were made since the files were read: no judgment that cannot be checked is
        of them.
        """
        answer = self._ours.get(question.id)
        count = len(ours) if ours is not None else answer.count if answer is not None else 1
        replicates = (FIRST,) if count == 1 and self.repeats == ONCE else self.repeats.replicates(count)
        found = ((replicate, self._settle(question, replicate, theirs, ours)) for replicate in replicates)
        return [(replicate, settled) for replicate, settled in found if settled is not None]

    def _settle(
        self, question: Question, replicate: Replicate, all_theirs: Choices | None, all_ours: Choices | None
    ) -> JudgeJob | StoredJudgment | None:
        judgment = self._judgment(question, replicate)
        as_on_disk = all_theirs is None and all_ours is None
        if as_on_disk and judgment and self._is_current(question.id, replicate) and self._suffices(judgment, question):
            return judgment
        against = self._opponent(question, replicate, judgment, all_theirs)
        theirs = _choice(all_theirs, self._theirs.get(question.id), against)
        ours = _choice(all_ours, self._ours.get(question.id), replicate.choice)
        if theirs is None or ours is None:
            return None
        inputs = inputs_digest(question.shown, theirs, ours)
        baseline, settings = self._baseline_of(question), self.judging.settings_for(question)
        if (
            judgment is not None
            and self._suffices(judgment, question)
            and is_current(
                judgment,
                baseline=baseline,
                inputs=inputs,
                question_turns=question.shown,
                baseline_turns=theirs,
                model_turns=ours,
            )
        ):
            return judgment
        kept = {
            part.number: _with_prompt(part, self.judging.prompt_for(question), question, theirs, ours)
            for part in self._unfinished.get(question.id, ())
            if part.inputs == inputs and part.settings == settings and (part.choice, part.repeat) == replicate
        }
        return JudgeJob(
            self.key,
            question,
            baseline,
            theirs,
            ours,
            settings,
            inputs,
            self.judging.asks,
            self.judging.calls_each,
            parts=kept,
            given_up={number for number, part in kept.items() if self.judging.gives_up(part.game)},
            replicate=replicate,
            baseline_choice=against,
        )

    def _judgment(self, question: Question, replicate: Replicate) -> StoredJudgment | None:
        if replicate == FIRST:
            return self._stored.stored.get(question.id)
        return self._stored.repeats.get((question.id, replicate))

    def _opponent(
        self, question: Question, replicate: Replicate, judgment: StoredJudgment | None, theirs: Choices | None
    ) -> int:
        """Return the choice of the baseline that an answer is compared with: that of its judgment, if it is there."""
        if not replicate.choice:
            return 0
        answer = self._theirs.get(question.id)
        choices = theirs if theirs is not None else answer.choices if answer is not None else ()
        usable = [index for index, turns in enumerate(choices) if turns]
        if judgment is not None and judgment.baseline_choice in usable:
            return judgment.baseline_choice
        return usable[replicate.choice % len(usable)] if usable else 0

    def is_stale(self, judgment: StoredJudgment, question: Question) -> bool:
        """Return whether it was made with other settings than today's for the question."""
        return judgment.settings not in (None, self.judging.settings_for(question))

    def keep_texts(self, questions: Iterable[Question]) -> None:
        """Read the answers that there are to `questions`, so that later changes of their files have no effect."""
        for question in questions:
            for answers in (self._theirs, self._ours):
                if (answer := answers.get(question.id)) is not None:
                    _ = answer.choices

    def _is_current(self, key: str, replicate: Replicate) -> bool:
        """Return whether the index knows the judgment of a question to be of the texts on disk."""
        stored = self._stored
        known = key in stored.current if replicate == FIRST else (key, replicate) in stored.current_repeats
        return known and key in self._theirs and key in self._ours

    def _suffices(self, judgment: StoredJudgment, question: Question) -> bool:
        """Return whether a current judgment need not be made again."""
        return (
            not (self.is_stale(judgment, question) and "stale" in self._refresh)
            and not (None in judgment.labels and "unparsed" in self._refresh)
            and all(judgment.played)
        )


def plan_judgments(planner: JudgmentPlanner, questions: Sequence[Question], coming: Collection[str] = ()) -> Task:
    """Plan the judgments of a model; `coming` are the questions whose answers are still to be made.

    Questions that lack an answer of either side, now and later, are not part of the task.
    """
    judging = planner.judging
    found: Counter[tuple[str, str]] = Counter()
    jobs: list[JudgeJob] = []
    awaited = [question for question in questions if question.id in coming]
    planner.keep_texts(awaited)
    labels: dict[str, Sequence[Label | None]] = {}
    unparsed = characters = cached = 0
    prompts = {judging.prompt, *(prompt for prompt, _ in judging.by_category.values())}
    overhead = {prompt: sum(map(len, render(prompt, ("",), ("",), ("",)))) for prompt in prompts}
    for question in questions:
        if question.id in coming:
            continue
        for replicate, settled in planner.settle(question):
            if isinstance(settled, JudgeJob):
                jobs.append(settled)
                texts = (*question.shown, *settled.baseline_turns, *settled.model_turns)
                characters += settled.calls() * (sum(map(len, texts)) + overhead[judging.prompt_for(question)])
                continue
            cached += 1
            if replicate == FIRST:
                labels[question.id] = settled.labels
            unparsed += None in settled.labels
            if planner.is_stale(settled, question):
                found[settled.settings or "", judging.settings_for(question)] += 1
    calls = sum(job.calls() for job in jobs)
    return Task(
        planner.key,
        total=sum(map(planner.expected, awaited)) + cached + len(jobs),
        cached=cached,
        stale=found.total(),
        unparsed=unparsed,
        jobs=jobs,
        settings_found=found,
        prompt_tokens=_tokens(characters),
        max_completion_tokens=calls * judging.max_tokens,
        awaited=awaited,
        planner=planner if awaited else None,
        labels=labels,
    )


def _with_prompt(
    part: GamePart, prompt: JudgePrompt, question: Question, theirs: Sequence[str], ours: Sequence[str]
) -> GamePart:
    """Return the part with the prompt that its judge saw, which the journal leaves out."""
    sent = game_messages(prompt, question, theirs, ours, part.number)[-1]["content"]
    return msgspec.structs.replace(part, game=msgspec.structs.replace(part.game, user_prompt=sent))


def _choice(made: Choices | None, stored: ListedAnswer | None, index: int) -> tuple[str, ...] | None:
    """Return a choice of an answer that was made or is stored; None if there is no such one."""
    if made is None and stored is not None:
        made = stored.choices if index else (stored.turns,)
    return made[index] if made is not None and index < len(made) else None


def _tokens(characters: int) -> int:
    return round(characters / CHARACTERS_PER_TOKEN)


_Part = TypeVar("_Part", AnswerPart, GamePart)


def _by_question(parts: Iterable[_Part]) -> dict[str, list[_Part]]:
    grouped: dict[str, list[_Part]] = {}
    for part in parts:
        grouped.setdefault(part.question_id, []).append(part)
    return grouped
