"""The order of work: questions in a seeded random order, judge calls side by side when they share a prefix.

What has become of answers whose question was edited or taken out since: that must be said, or nobody sees it.

The survey: reads a bench and plans what a config still needs of it. `--dry-run` prints it, a run carries it out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from engine.bench import Bench
from engine.bench.names import look_alikes, same_on_disk
from engine.bench.stored import StoredAnswer, StoredJudgment, against
from engine.config.model import Config
from engine.config.sampling import answer_settings, judge_sampling, judge_settings, settings_digest, unsent_fields
from engine.errors import BenchError, ConfigError, ConfigProblem
from engine.judging.prompts import JudgePrompt, judge_prompt
from engine.judging.verdicts import opening_prompt, wording_of
from engine.ratings.stop_rule import StopRule
from engine.records import AnswerPart, GamePart, Question
from engine.work.participants import Participants, choose_participants, has_endpoint
from engine.work.tasks import Judging, JudgmentPlanner, Refresh, Task, is_edited, plan_answers, plan_judgments

DEFAULT_SEED = 42


def seeded_order(questions: Iterable[Question], seed: int = DEFAULT_SEED) -> list[Question]:
    """The questions in a random order that depends on the seed and on each id alone.

    Adding a question to the set never changes the order of the others, so the first N questions of a larger
    set hold nearly the same ones, and all models get the same.
    """

    def rank(question: Question) -> bytes:
        return blake2b(f"{seed}:{question.id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    return sorted(questions, key=rank)


_NAMED = 3  # questions named in a message


def changed_questions(
    model: str, answers: Mapping[str, StoredAnswer], questions: Mapping[str, Question], coming: Collection[str]
) -> Iterator[str]:
    """What to tell of a model's answers, given the whole question set; those of `coming` are just being made again."""
    edited = [
        key
        for key, answer in answers.items()
        if key in questions and key not in coming and is_edited(answer, questions[key])
    ]
    if edited:
        yield (
            f"{model}: {len(edited)} answers were given to another text of their question ({_some(edited)}); "
            "--refresh stale asks for them again"
        )
    strangers = [key for key in answers if key not in questions]
    if strangers:
        yield (
            f"{model}: {len(strangers)} answers are to questions that are not in the set ({_some(strangers)}); "
            "they are left alone and have no part in anything"
        )


def _some(keys: list[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class Scope:
    """Which part of the work a command asks for. `models` empty means all of them, `limit` None all questions, `until`
    None all that these come to."""

    models: tuple[str, ...] = ()
    limit: int | None = None
    refresh: frozenset[Refresh] = frozenset()
    seed: int = DEFAULT_SEED
    answers: bool = True
    judgments: bool = True
    until: StopRule | None = None


@dataclass(frozen=True)
class Plan:
    """What there is and what is missing. `settings` maps the digests of today's settings to what they stand for."""

    participants: Participants
    questions: Sequence[Question]
    answers: Sequence[Task]
    judgments: Sequence[Task]
    judging: Mapping[str, Judging]
    settings: Mapping[str, Mapping[str, object]]
    warnings: Sequence[str] = ()

    @property
    def calls(self) -> int:
        return sum(task.calls for task in (*self.answers, *self.judgments))


@dataclass
class _Reader:
    """Reads each file of the bench once, and collects what was wrong with them."""

    bench: Bench
    warnings: list[str] = field(default_factory=list)
    questions: dict[str, Question] = field(default_factory=dict)
    _answers: dict[str, dict[str, StoredAnswer]] = field(default_factory=dict)
    _judgments: dict[tuple[str, str], list[StoredJudgment]] = field(default_factory=dict)

    def answers(self, model: str) -> dict[str, StoredAnswer]:
        if model not in self._answers:
            loaded = self.bench.answers(model)
            self.warnings.extend(str(problem) for problem in loaded.problems)
            self._answers[model] = loaded.items
        return self._answers[model]

    def judgments(self, judge: str, model: str) -> list[StoredJudgment]:
        if (judge, model) not in self._judgments:
            loaded = self.bench.all_judgments(judge, model)
            self.warnings.extend(str(problem) for problem in loaded.problems)
            self._judgments[judge, model] = loaded.items
        return self._judgments[judge, model]


def make_plan(config: Config, bench: Bench, scope: Scope) -> Plan:
    """Read the bench and plan. Raises ConfigError (who takes part cannot be told) and BenchError (no questions)."""
    reader = _Reader(bench)
    on_disk = {name: len(reader.answers(name)) for name in bench.models_with_answers()}
    participants = choose_participants(config, scope.models, on_disk)
    names = {*config.models, *on_disk}
    if problems := [*participants.problems, *_one_file_for_two(bench, names)]:
        raise ConfigError(str(config.file or "config"), problems)
    questions = _questions(bench, scope, reader)
    parts = bench.journal()
    settings: dict[str, Mapping[str, object]] = {}

    answer_plans: list[Task] = []
    for model in participants.answering if scope.answers else ():
        for category in {question.category for question in questions}:
            shaped = answer_settings(config, model, category)
            settings[settings_digest(shaped)] = shaped
        mine = [part for part in parts if isinstance(part, AnswerPart)]
        plan = plan_answers(config, model, questions, reader.answers(model), mine, scope.refresh)
        answer_plans.append(plan if has_endpoint(config, model) else plan.only_cached())

    judging: dict[str, Judging] = {}
    judge_plans: list[Task] = []
    awaited = {plan.key.model: {job.question.id for job in plan.jobs} for plan in answer_plans}
    prompt, mode = prompt_of(config), config.judge.mode
    for judge in participants.judges if scope.judgments else ():
        shaped = judge_settings(config, judge, wording_digest(config))
        judging[judge] = Judging(
            judge=judge,
            baseline=participants.baseline,
            prompt=prompt,
            settings=settings_digest(shaped),
            asks=config.judge.retries + mode.thinks_first,
            labels=config.judge.labels,
            max_tokens=1 if mode.kind == "soft" and not mode.thinks_first else judge_sampling(config, judge).max_tokens,
            mode=mode,
        )
        settings[judging[judge].settings] = shaped
        for baseline in participants.baselines:
            task = judging[judge] if baseline == participants.baseline else judging[judge].against(baseline)
            for model in participants.judged_against(baseline):
                judge_plans.append(_plan_judging(task, model, reader, questions, parts, scope, awaited))
    warnings = (
        *participants.warnings,
        *(
            f"{' and '.join(map(ascii, group))} look alike and are different models here: is one of them a misspelling?"
            for group in look_alikes(names)
        ),
        *_unsent(config, participants, scope),
        *reader.warnings,
        *_gaps(participants, questions, reader, awaited),
        *(
            note
            for model in dict.fromkeys((*participants.baselines, *participants.answering, *participants.judged))
            for note in changed_questions(model, reader.answers(model), reader.questions, awaited.get(model, ()))
        ),
    )
    return Plan(participants, questions, answer_plans, judge_plans, judging, settings, warnings)


def prompt_of(config: Config) -> JudgePrompt:
    """The prompt that opens each game: the one that the config names or spells out, in its mode of verdicts."""
    prompt = config.judge.prompt
    named = judge_prompt(prompt) if isinstance(prompt, str) else judge_prompt(prompt.system, prompt.template)
    return opening_prompt(named, config.judge.mode)


def wording_digest(config: Config) -> str:
    """Tells apart all that a judge may be told besides question and answers, whatever the config calls it."""
    return settings_digest(wording_of(prompt_of(config), config.judge.mode))


def _questions(bench: Bench, scope: Scope, reader: _Reader) -> list[Question]:
    loaded = bench.questions()
    reader.warnings.extend(str(problem) for problem in loaded.problems)
    if not loaded.items:
        raise BenchError(
            f"{bench.paths.questions}: there is no question in it", "a question set needs at least one line"
        )
    reader.questions = {question.id: question for question in loaded.items}
    return seeded_order(loaded.items, scope.seed)[: scope.limit]


def _plan_judging(
    judging: Judging,
    model: str,
    reader: _Reader,
    questions: Sequence[Question],
    parts: Sequence[AnswerPart | GamePart],
    scope: Scope,
    awaited: Mapping[str, Collection[str]],
) -> Task:
    planner = JudgmentPlanner(
        judging,
        model,
        reader.answers(judging.baseline),
        reader.answers(model),
        against(reader.judgments(judging.judge, model), judging.baseline),
        [part for part in parts if isinstance(part, GamePart)],
        scope.refresh,
    )
    return plan_judgments(planner, questions, {*awaited.get(model, ()), *awaited.get(judging.baseline, ())})


def _unsent(config: Config, participants: Participants, scope: Scope) -> list[str]:
    """Sampling that the config sets for all and that the server of one model does not take."""
    asked = [(name, "answers") for name in participants.answering if scope.answers]
    asked += [(name, "judge") for name in participants.judges if scope.judgments]
    told = [
        (name, table, unsent_fields(config, name, config.answers if table == "answers" else config.judge))
        for name, table in asked
        if name in config.models
    ]
    return [
        f"{name}: {', '.join(fields)} of [{table}] is not sent: {config.provider_name(name)} does not take it"
        for name, table, fields in told
        if fields
    ]


def _one_file_for_two(bench: Bench, names: Collection[str]) -> list[ConfigProblem]:
    """Names that would share a file where the file system does not tell upper from lower case."""
    if not bench.paths.ignores_case():
        return []
    hint = "rename one of them: this file system does not tell upper from lower case"
    return [
        ConfigProblem("models", f"{' and '.join(map(repr, group))} would share one file", hint)
        for group in same_on_disk(names)
    ]


def _gaps(
    participants: Participants, questions: Sequence[Question], reader: _Reader, awaited: Mapping[str, Collection[str]]
) -> list[str]:
    """Answers that nobody is going to make: their questions are not judged, and that must be said."""
    gaps = []
    for model in dict.fromkeys((*participants.baselines, *participants.judged)):
        have = reader.answers(model)
        coming = awaited.get(model, ())
        missing = sum(question.id not in have and question.id not in coming for question in questions)
        if missing:
            gaps.append(f"{model}: {missing} of {len(questions)} answers are missing and nothing here will make them")
    return gaps
