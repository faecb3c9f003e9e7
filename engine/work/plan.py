"""The plan of a run: what a config asks for, less what the bench already holds. A dry run prints it, a run makes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b

from engine.bench import Bench
from engine.bench.current import JudgmentsAgainst
from engine.bench.digest import text_digest
from engine.bench.names import look_alikes, same_on_disk
from engine.bench.stored import ListedAnswer, StoredJudgment
from engine.config.model import Config
from engine.config.sampling import answer_settings, judge_sampling, judge_settings, settings_digest, unsent_fields
from engine.config.wording import did_you_mean
from engine.errors import Advice, AdviceKind, BenchError, ConfigError, ConfigProblem, listed
from engine.events import TaskKey
from engine.formats.original_categories import unlike_published
from engine.judging.prompts import JudgePrompt, custom_prompt, fenced_prompt, judge_prompt
from engine.judging.verdicts import opening_prompt, wording_of
from engine.ratings.stop_rule import StopRule
from engine.records import AnswerPart, GamePart, Question
from engine.repeats import ONCE, Repeats, Replicate
from engine.work.participants import Participants, choose_participants, has_endpoint
from engine.work.repeating import repeat_cautions
from engine.work.tasks import Judging, JudgmentPlanner, Refresh, Task, plan_answers, plan_judgments

DEFAULT_SEED = 42
DEFAULT_WAIT = 300.0  # seconds: a large model loads in minutes
_NAMED = 3  # questions named in a message


@dataclass(frozen=True)
class Scope:
    """Which part of the work a command asks for.

    `models` empty means all of them, `limit` None all questions, `until` None no stop rule. `wait` is how many seconds
    a model without any endpoint that answers is waited for. At `max_cost` (by the prices of the config) or after
    `max_hours` the run starts nothing more. Questions get as many answers as `repeats` or the config ask for.
    """

    models: tuple[str, ...] = ()
    limit: int | None = None
    refresh: frozenset[Refresh] = frozenset()
    seed: int = DEFAULT_SEED
    answers: bool = True
    judgments: bool = True
    until: StopRule | None = None
    wait: float = DEFAULT_WAIT
    max_cost: float | None = None
    max_hours: float | None = None
    repeats: Repeats = ONCE


@dataclass(frozen=True)
class Plan:
    """What is cached and what is missing. `settings` maps the digests of today's settings to what they stand for."""

    participants: Participants
    questions: Sequence[Question]
    answers: Sequence[Task]
    judgments: Sequence[Task]
    judging: Mapping[str, Judging]
    settings: Mapping[str, Mapping[str, object]]
    warnings: Sequence[str] = ()
    repeats: Repeats = ONCE

    @property
    def tasks(self) -> tuple[Task, ...]:
        return (*self.answers, *self.judgments)

    @property
    def calls(self) -> int:
        return sum(task.calls for task in self.tasks)

    @property
    def has_work(self) -> bool:
        """Whether any record is to be made."""
        return any(task.has_work for task in self.tasks)


def make_plan(config: Config, bench: Bench, scope: Scope) -> Plan:
    """Read the bench and plan. Raises ConfigError (it is unclear who takes part) and BenchError (no questions)."""
    reader = _Reader(bench)
    on_disk = {name: len(reader.answers(name)) for name in bench.models_with_answers()}
    pairing = config.judge.pairing.on({question.category for question in reader.questions.values()})
    participants = choose_participants(config, scope.models, on_disk, pairing)
    names = {*config.models, *on_disk}
    if problems := [*participants.problems, *_shared_files(bench, names)]:
        raise ConfigError(str(config.file or "config"), problems)
    digests = {key: text_digest(question.shown) for key, question in reader.questions.items()}
    questions = seeded_order(reader.questions.values(), scope.seed)[: scope.limit]
    parts = bench.journal()
    repeats = scope.repeats.at_least(config.answers.num_choices)
    settings: dict[str, Mapping[str, object]] = {}

    answers: list[Task] = []
    for model in participants.answering if scope.answers else ():
        for category in {question.category for question in questions}:
            shaped = answer_settings(config, model, category)
            settings[settings_digest(shaped)] = shaped
        mine = [part for part in parts if isinstance(part, AnswerPart)]
        asked = _asked(config, participants, model, questions)
        stored = reader.answers(model)
        task = plan_answers(config, model, asked, digests, stored, mine, scope.refresh, repeats.answers)
        answers.append(task if has_endpoint(config, model) else task.only_cached())

    coming = {
        task.key.model: dict.fromkeys((job.question.id for job in task.jobs), repeats.answers) for task in answers
    }
    games = [part for part in parts if isinstance(part, GamePart)]
    judging: dict[str, Judging] = {}
    judgments: list[Task] = []
    for judge in participants.judges if scope.judgments else ():
        judging[judge] = _judging(config, judge, [category for category, _ in pairing.rules], settings)
        for opponent in participants.opponents:
            baseline_of = partial(participants.baseline_of, opponent=opponent)
            for model in participants.judged_against(opponent):
                key = TaskKey("judgments", model, judge, "" if opponent == participants.baseline else opponent)
                asked = [question for question in questions if baseline_of(question) != model]
                found, theirs = reader.compared(judge, model, asked, baseline_of)
                texts = baseline_of, theirs, reader.answers(model)
                more = repeats, coming.get(model)
                planner = JudgmentPlanner(key, judging[judge], *texts, found, games, scope.refresh, *more)
                awaited = {*coming.get(model, ())}
                awaited |= {each.id for each in asked if each.id in coming.get(baseline_of(each), ())}
                judgments.append(plan_judgments(planner, asked, awaited))
    warnings = (
        *participants.warnings,
        *_look_alikes(names),
        *_unknown_categories(config, reader.questions.values()),
        *unlike_published({question.category for question in questions}, pairing),
        *_unsent(config, participants, scope),
        *reader.warnings,
        *_missing_answers(participants, questions, reader, coming),
        *repeat_cautions(config, participants, repeats, questions, reader.stored, coming),
        *_changed_questions(participants, digests, reader, coming),
        *_stale(bench, (*answers, *judgments), settings),
    )
    return Plan(participants, questions, answers, judgments, judging, settings, warnings, repeats)


def seeded_order(questions: Iterable[Question], seed: int = DEFAULT_SEED) -> list[Question]:
    """Sort the questions in a random order that depends on the seed and on each id alone.

    Adding a question to the set never changes the order of the others, so the first N questions of a larger
    set hold nearly the same ones, and all models get the same.
    """

    def rank(question: Question) -> bytes:
        return blake2b(f"{seed}:{question.id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    return sorted(questions, key=rank)


def prompt_of(config: Config, category: str = "") -> JudgePrompt:
    """Return the prompt that opens each game on questions of a category: the one that the config names or spells out,
    in its verdict mode."""
    prompt = config.judge.prompt_for(category)
    named = judge_prompt(prompt) if isinstance(prompt, str) else custom_prompt(prompt.system, prompt.template)
    opening = opening_prompt(named, config.judge.mode)
    return fenced_prompt(opening) if config.judge.fence == "nonce" else opening


def wording_digest(config: Config, category: str = "") -> str:
    """Return a digest of all text that a judge may get besides question and answers, however the config names it."""
    return settings_digest(wording_of(prompt_of(config, category), config.judge.mode))


@dataclass
class _Reader:
    """Reads each file of the bench once, and collects what is wrong with them. Raises BenchError without questions."""

    bench: Bench
    warnings: list[str] = field(default_factory=list)
    _answers: dict[str, dict[str, ListedAnswer]] = field(default_factory=dict)
    _judged: set[tuple[str, str]] = field(default_factory=set)
    _questions: dict[str, Question] = field(default_factory=dict)

    @property
    def questions(self) -> dict[str, Question]:
        if not self._questions:
            loaded = self.bench.questions()
            self.warnings.extend(str(problem) for problem in loaded.problems)
            if not loaded.items:
                path = self.bench.paths.questions
                why = "\n".join(str(problem) for problem in loaded.problems[:3])
                raise BenchError(f"{path}: no questions", why or "a question set needs at least one line")
            self._questions = {question.id: question for question in loaded.items}
        return self._questions

    def answers(self, model: str) -> dict[str, ListedAnswer]:
        if model not in self._answers:
            loaded = self.bench.listed_answers(model)
            self.warnings.extend(str(problem) for problem in loaded.problems)
            self._answers[model] = loaded.items
        return self._answers[model]

    @property
    def stored(self) -> Mapping[str, Mapping[str, ListedAnswer]]:
        """The answers that were read, by model."""
        return self._answers

    def judgments(self, judge: str, model: str, baseline: str) -> JudgmentsAgainst:
        if (judge, model) not in self._judged:
            self._judged.add((judge, model))
            tables = self.bench.index.judgments(judge, model), self.bench.index.repeats(judge, model)
            self.warnings.extend(str(problem) for table in tables for problem in table.problems)
        return self.bench.current.listed(judge, model, baseline)

    def compared(
        self, judge: str, model: str, asked: Sequence[Question], baseline_of: Callable[[Question], str]
    ) -> tuple[JudgmentsAgainst, Mapping[str, ListedAnswer]]:
        """Return the judgments of `model` against the baselines of the questions, and the answers of these."""
        sides: dict[str, list[str]] = {}
        for question in asked:
            sides.setdefault(baseline_of(question), []).append(question.id)
        found = {baseline: self.judgments(judge, model, baseline) for baseline in sides}
        if len(sides) == 1:
            (baseline,) = sides
            return found[baseline], self.answers(baseline)
        stored: dict[str, StoredJudgment] = {}
        current: set[str] = set()
        repeats: dict[tuple[str, Replicate], StoredJudgment] = {}
        current_repeats: set[tuple[str, Replicate]] = set()
        theirs: dict[str, ListedAnswer] = {}
        for baseline, ids in sides.items():
            stored |= {key: found[baseline].stored[key] for key in ids if key in found[baseline].stored}
            current |= found[baseline].current.intersection(ids)
            mine = {name: judgment for name, judgment in found[baseline].repeats.items() if name[0] in set(ids)}
            repeats |= mine
            current_repeats |= found[baseline].current_repeats & mine.keys()
            theirs |= {key: self.answers(baseline)[key] for key in ids if key in self.answers(baseline)}
        return JudgmentsAgainst(stored, frozenset(current), repeats, frozenset(current_repeats)), theirs


def _asked(config: Config, participants: Participants, model: str, questions: Sequence[Question]) -> Sequence[Question]:
    """Return the questions that a model answers: all, or those whose baseline it is where it is nothing else."""
    is_baseline_alone = (
        participants.pairing.is_split and model in participants.baselines and model not in participants.judged
    )
    if not is_baseline_alone or model in (config.answers.models or ()):
        return questions
    return [question for question in questions if participants.baseline_of(question) == model]


def _judging(
    config: Config, judge: str, categories: Iterable[str], settings: dict[str, Mapping[str, object]]
) -> Judging:
    """Return how a judge compares questions of the categories, and add what its digests stand for to `settings`."""
    mode = config.judge.mode
    is_one_token = mode.kind == "soft" and not mode.thinks_first

    def wording(category: str) -> tuple[JudgePrompt, str]:
        shaped = judge_settings(config, judge, wording_digest(config, category), category)
        digest = settings_digest(shaped)
        settings[digest] = shaped
        return prompt_of(config, category), digest

    prompt, digest = wording("")
    return Judging(
        prompt=prompt,
        settings=digest,
        by_category={category: wording(category) for category in categories},
        asks=config.judge.retries + mode.thinks_first,
        labels=config.judge.labels,
        max_tokens=1 if is_one_token else judge_sampling(config, judge).max_tokens,
        mode=mode,
    )


def _shared_files(bench: Bench, names: Collection[str]) -> list[ConfigProblem]:
    """Report names that would share a file where the file system ignores case."""
    if not bench.paths.ignores_case():
        return []
    hint = "rename one of them: this file system ignores upper and lower case"
    return [
        ConfigProblem("models", f"{' and '.join(map(repr, group))} would share one file", hint)
        for group in same_on_disk(names)
    ]


def _look_alikes(names: Collection[str]) -> Iterator[str]:
    for group in look_alikes(names):
        yield f"{' and '.join(map(ascii, group))} look alike and are different models here: is one of them misspelled?"


def _unknown_categories(config: Config, questions: Iterable[Question]) -> Iterator[str]:
    """Report categories of the config that no question has."""
    known = sorted({question.category for question in questions})
    for entry in config.judge.by_category:
        for category in entry.category:
            if category not in known:
                hint = did_you_mean(category, known) or f"categories here: {listed(list(map(repr, known)), 12)}"
                yield f"judge.by_category: no question has the category {category!r} ({hint})"


def _unsent(config: Config, participants: Participants, scope: Scope) -> Iterator[str]:
    """Report sampling that the config sets for all and that the server of one model does not take."""
    asked = [(name, "answers") for name in participants.answering if scope.answers]
    asked += [(name, "judge") for name in participants.judges if scope.judgments]
    for name, table in asked:
        of_all = config.answers if table == "answers" else config.judge
        if name in config.models and (fields := unsent_fields(config, name, of_all)):
            provider = config.provider_name(name)
            yield f"{name}: {', '.join(fields)} of [{table}] is not sent: {provider} does not take it"


def _missing_answers(
    participants: Participants, questions: Sequence[Question], reader: _Reader, coming: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """Report answers that no model will make: their questions are not judged."""
    for model in dict.fromkeys((*participants.baselines, *participants.judged)):
        known = reader.answers(model).keys() | coming.get(model, ())
        needed = questions
        if participants.pairing.is_split and model not in participants.judged:
            needed = [question for question in questions if participants.baseline_of(question) == model]
        if missing := sum(question.id not in known for question in needed):
            yield f"{model}: {missing} of {len(needed)} answers are missing and nothing here will make them"


def _changed_questions(
    participants: Participants, digests: Mapping[str, str], reader: _Reader, coming: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """Report answers to edited or removed questions."""
    for model in dict.fromkeys((*participants.baselines, *participants.answering, *participants.judged)):
        answers = reader.answers(model)
        redone = coming.get(model, ())
        removed = [key for key in answers if key not in digests]
        edited = [
            key
            for key, answer in answers.items()
            if key in digests and key not in redone and answer.inputs not in (None, digests[key])
        ]
        if edited:
            yield Advice(
                f"{model}: {len(edited)} answers were given to another text of their question ({_some(edited)}); "
                "recreate them",
                AdviceKind.REFRESH_STALE,
            )
        if removed:
            yield (
                f"{model}: {len(removed)} answers are to questions that are not in the set ({_some(removed)}); "
                "they are kept and not used"
            )


def _some(keys: list[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _stale(bench: Bench, tasks: Iterable[Task], settings: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """Report each group of cached records that were made with other settings than today's."""
    for task in tasks:
        for (digest, today), count in task.settings_found.items():
            what = f"{count} {task.key.stage} of {task.key.model}"
            other = bench.describe_settings(digest, {today: settings[today]})
            yield Advice(f"{what} were made with {other}; recreate them", AdviceKind.REFRESH_STALE)
