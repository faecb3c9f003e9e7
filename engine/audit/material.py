"""Everything of a bench, or of a published battles file, that an audit looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.audit.people import Reviews
from engine.audit.replies import read_replies
from engine.bench import Bench
from engine.bench.answers import StoredAnswer
from engine.config.model import Config
from engine.judging.mentions import Reply
from engine.ratings.audit.verdicts import ReplyCounts
from engine.ratings.battles import Battles
from engine.records import Question
from engine.results import judged_bench
from engine.review.store import load_all_labels
from engine.work.roster import family


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
    text = Reply(answer)
    if ("[[" in answer or "boxed" in answer) and text.double_bracketed():
        return True
    return any(text.is_final(mention) for mention in text.bare())
