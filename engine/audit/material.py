"""The judges' stored replies, read again by today's rule and by the lenient one.

The labels of the reviewers of a bench, as arrays over the names of some battles.

Everything of a bench, or of a published battles file, that an audit looks at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.audit.agreement import Agreement, agreement
from engine.audit.intervals import QuestionResampler
from engine.audit.people import PeopleLabels
from engine.audit.verdicts import ReplyCounts
from engine.bench import Bench
from engine.bench.stored import StoredAnswer, StoredReply, load_replies
from engine.config.model import Config
from engine.judging.lenient import JudgeReply
from engine.judging.rules import parser
from engine.judging.spelling import Verdict
from engine.labels import is_strong, points_of_model, strength
from engine.ratings.battles import Battles
from engine.records import Question
from engine.results import judged_bench
from engine.review.labels import HumanLabel, Pair
from engine.review.store import load_all_labels
from engine.work.participants import family


def read_replies(bench: Bench, judge: str, baseline: str, rule: str) -> ReplyCounts | None:
    """What all replies of `judge` come to by the label rule of that name; None if none is stored.

    Raises BenchError if a file cannot be read, ValueError for a rule that is none.
    """
    read = parser(rule)
    counts: Counter[str] = Counter()
    for model in bench.judged_models(judge):
        loaded = load_replies(bench.paths.judgments(judge, model), baseline)
        counts += count_replies((reply for games in loaded.items.values() for reply in games if reply), read)
    return ReplyCounts(**counts) if counts else None


def count_replies(replies: Iterable[StoredReply], read: Callable[[str], Verdict]) -> Counter[str]:
    """The counts of `ReplyCounts` by name.

    A reply to several asks is not read again unless it brought no verdict: its text holds what was asked anew.
    """
    lenient = parser("lenient")
    counts: Counter[str] = Counter()
    for reply in replies:
        counts["texts"] += 1
        if reply.label is None:
            verdict = read(reply.text)
            if verdict.label is not None:
                counts["changed"] += 1
            else:
                counts[verdict.reason] += 1
            counts["readable"] += (verdict.label or lenient(reply.text).label) is not None
        elif reply.asks in (None, 1):
            counts["changed"] += read(reply.text).label != reply.label
    return counts


Reviews = Mapping[str, Mapping[Pair, HumanLabel]]
"""What every reviewer says of every pair that they looked at."""


def people_labels(reviews: Reviews, battles: Battles, baseline: str) -> PeopleLabels:
    """All labels against `baseline` on questions and models of `battles`; skipped pairs are left out."""
    questions = {name: index for index, name in enumerate(battles.questions)}
    models = {name: index for index, name in enumerate(battles.models)}
    found = [
        (
            questions[each.question_id],
            models[each.model],
            each.game,
            points_of_model(each.label, each.game),
            is_strong(each.label),
        )
        for said in reviews.values()
        for each in _labels(said.values(), baseline)
        if each.question_id in questions and each.model in models
    ]
    columns = np.array(found, dtype=np.float64).reshape(-1, 5).T
    question, model, game = (column.astype(np.int64) for column in columns[:3])
    return PeopleLabels(question, model, game, columns[3], columns[4])


def between_people(reviews: Reviews, battles: Battles, baseline: str, resampler: QuestionResampler) -> Agreement | None:
    """How far reviewers agree who labelled the same pair; None if no two did.

    It is the model's side that is compared: they may have seen the answers in different orders.
    """
    questions = {name: index for index, name in enumerate(battles.questions)}
    said_of: dict[Pair, list[HumanLabel]] = defaultdict(list)
    for said in reviews.values():
        for each in _labels(said.values(), baseline):
            if each.question_id in questions:
                said_of[each.pair].append(each)
    question, first, second = [], [], []
    for (question_id, _), labels in said_of.items():
        for at, one in enumerate(labels):
            for other in labels[at + 1 :]:
                question.append(questions[question_id])
                first.append(_strength(one))
                second.append(_strength(other))
    return agreement(np.array(question, dtype=np.int64), np.array(first), np.array(second), resampler)


def _labels(said: Iterable[HumanLabel], baseline: str) -> Iterable[HumanLabel]:
    return (each for each in said if each.label is not None and each.baseline in ("", baseline))


def _strength(label: HumanLabel) -> float:
    assert label.label is not None
    return float(strength(label.label, label.game))


@dataclass(frozen=True)
class Material:
    """What there is. `answers` are by model and question id; what a source cannot tell is empty.

    `families` has the judges and the models, `replies` the judges whose texts are stored, `flagged` the question ids
    and models of answers that hold a verdict of their own.
    """

    name: str
    battles: Battles
    questions: Mapping[str, Question] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, StoredAnswer]] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    replies: Mapping[str, ReplyCounts] = field(default_factory=dict)
    reviews: Reviews = field(default_factory=dict)
    flagged: frozenset[tuple[str, str]] = frozenset()
    warnings: Sequence[str] = ()

    def same_text(self, question_id: str, one: str, other: str) -> bool:
        """Whether two models gave the same answer to a question."""
        first = self.answers.get(one, {}).get(question_id)
        second = self.answers.get(other, {}).get(question_id)
        return first is not None and second is not None and first.turns == second.turns


def material_of_bench(bench: Bench, config: Config, judges: Sequence[str], baseline: str) -> Material:
    """All current judgments of `judges`, those of the baseline against itself included, and what belongs to them.

    Raises BenchError where there is no judgment, or a file cannot be read.
    """
    judged = judged_bench(bench, judges, baseline, with_itself=True)
    replies = {judge: read_replies(bench, judge, baseline, config.judge.labels) for judge in judged.battles.judges}
    found = Material(
        name=bench.name,
        battles=judged.battles,
        replies={judge: counts for judge, counts in replies.items() if counts is not None},
        warnings=judged.warnings,
    )
    return _with_bench(found, bench, config, warn=False)


def material_of_battles(
    name: str, battles: Battles, judge: str | None, lender: tuple[Bench, Config] | None, warnings: Sequence[str]
) -> Material:
    """The battles of a file. `judge` says whose they are; the bench of `lender` lends questions and answers to them,
    if it has some of their questions."""
    named = replace(battles, judges=(judge or f"the judge of {name}",))
    found = Material(name=name, battles=named, warnings=warnings)
    if lender is None:
        return found
    bench, config = lender
    if not {question.id for question in bench.questions().items} & set(battles.questions):
        return found
    full = _with_bench(found, bench, config, warn=True)
    return full if judge else replace(full, families={})


def _with_bench(found: Material, bench: Bench, config: Config, *, warn: bool) -> Material:
    battles = found.battles
    answers: dict[str, Mapping[str, StoredAnswer]] = {}
    warnings = list(found.warnings)
    for model in battles.models:
        loaded = bench.answers(model)
        answers[model] = loaded.items
        warnings += map(str, loaded.problems if warn else ())
    return replace(
        found,
        questions={question.id: question for question in bench.questions().items},
        answers=answers,
        families={name: family(config, name) for name in (*battles.judges, *battles.models)},
        reviews=load_all_labels(bench.paths),
        flagged=frozenset(
            (question_id, model)
            for model, known in answers.items()
            for question_id, answer in known.items()
            if any(holds_verdict(turn) for turn in answer.turns)
        ),
        warnings=warnings,
    )


def holds_verdict(answer: str) -> bool:
    """Whether an answer holds what a judge's verdict looks like: `[[A>B]]`, `\\boxed{A>B}`, "Final verdict: A>B"."""
    text = JudgeReply(answer)
    if ("[[" in answer or "boxed" in answer) and text.double_bracketed():
        return True
    return any(text.is_final(mention) for mention in text.bare())
