"""What a bench, or a published battles file, contains for an audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from msgspec import structs

from engine.auditing.people import Reviews
from engine.auditing.verdicts import ReplyCounts
from engine.bench import Bench
from engine.bench.stored import StoredAnswer, StoredReply, load_replies
from engine.config.model import Config
from engine.judging.influence import influences
from engine.judging.rules import parser
from engine.judging.spelling import Verdict
from engine.pairing import Pairing
from engine.ratings.battles import Battles, NullGames
from engine.records import Question
from engine.results import JudgedBench, judged_bench
from engine.review.store import load_all_labels
from engine.work.participants import family


@dataclass(frozen=True)
class Material:
    """`answers` are by model and question id; what a source does not contain is empty.

    `families` are of the judges and the models, `replies` of the judges whose texts are stored; `flagged` has, by
    question id and model, the kinds of attempts to influence the judge that an answer seems to hold, with an excerpt;
    `fenced` says whether the judge prompt has a fence around answers.
    """

    name: str
    battles: Battles
    baseline: str = ""
    questions: Mapping[str, Question] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, StoredAnswer]] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    replies: Mapping[str, ReplyCounts] = field(default_factory=dict)
    reviews: Reviews = field(default_factory=dict)
    flagged: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    fenced: bool = False
    warnings: Sequence[str] = ()
    languages: Path | None = None
    """Where the index of the bench keeps the languages of its texts."""

    def same_text(self, question_id: str, one: str, other: str) -> bool:
        """Whether two models gave the same answer to a question."""
        first = self.answers.get(one, {}).get(question_id)
        second = self.answers.get(other, {}).get(question_id)
        return first is not None and second is not None and first.turns == second.turns


def material_of_bench(
    bench: Bench,
    config: Config,
    judges: Sequence[str],
    baseline: str | Pairing,
    *,
    strict: bool = False,
    null_games: NullGames = "keep",
) -> Material:
    """Read all current judgments of `judges`, with those of the baseline against itself, their answers and labels.

    Where the baseline depends on the category, all of them together are one model, with the answer of each question's
    own. `strict` and `null_games` leave judgments out, see `engine.api.open_source`. Raises BenchError if there is no
    judgment, or a file cannot be read.
    """
    judged = judged_bench(bench, judges, baseline, with_itself=True, strict=strict).with_null_games(null_games)
    rule, own = config.judge.labels, judged.facts.own_baselines
    (anchor,) = judged.facts.baselines
    sides = dict.fromkeys(own.values()) or (anchor,)
    replies = {judge: read_replies(bench, judge, sides, rule, own) for judge in judged.battles.judges}
    found = Material(
        name=bench.name,
        battles=judged.battles.first_judgments(),
        baseline=anchor,
        replies={judge: counts for judge, counts in replies.items() if counts is not None},
        warnings=judged.warnings,
        fenced=config.judge.fence != "none",
    )
    return _with_bench(found, bench, config, warn=False, own=own)


def material_of_verdicts(judged: JudgedBench, bench: Bench) -> Material:
    """Take the verdicts of a bench and the labels of people, without any text: what needs texts stays unknown."""
    return Material(
        name=bench.name,
        battles=judged.battles,
        baseline=judged.facts.baselines[0],
        reviews={} if judged.facts.by_category else load_all_labels(bench.paths),
        warnings=judged.warnings,
    )


def material_of_battles(
    name: str, battles: Battles, judge: str | None, lender: tuple[Bench, Config] | None, warnings: Sequence[str]
) -> Material:
    """Take the battles of a file, judged by `judge`; questions and answers come from the bench of `lender`, if it has
    some of their questions."""
    named = replace(battles, judges=(judge or f"the judge of {name}",))
    found = Material(name=name, battles=named, warnings=warnings)
    if lender is None:
        return found
    bench, config = lender
    if not {question.id for question in bench.questions().items} & set(battles.questions):
        return found
    full = _with_bench(found, bench, config, warn=True)
    return full if judge else replace(full, families={})


def _with_bench(
    found: Material, bench: Bench, config: Config, *, warn: bool, own: Mapping[str, str] | None = None
) -> Material:
    """Add what the bench holds; `own` is the baseline of each question where they differ."""
    battles = found.battles
    answers: dict[str, Mapping[str, StoredAnswer]] = {}
    warnings = list(found.warnings)
    for model in dict.fromkeys((*battles.models, *(own or {}).values())):
        loaded = bench.answers(model)
        answers[model] = loaded.items
        warnings += map(str, loaded.problems if warn else ())
    reviews: Reviews = load_all_labels(bench.paths)
    if own:
        answers[found.baseline] = {
            key: answers[baseline][key] for key, baseline in own.items() if key in answers[baseline]
        }
        answers = {model: known for model, known in answers.items() if model in battles.models}
        reviews = {
            reviewer: {
                pair: structs.replace(label, baseline=found.baseline) if label.baseline == own.get(pair[0]) else label
                for pair, label in said.items()
            }
            for reviewer, said in reviews.items()
        }
    return replace(
        found,
        questions={question.id: question for question in bench.questions().items},
        answers=answers,
        families=_families(config, battles, found.baseline, own or {}),
        reviews=reviews,
        flagged={
            (question_id, model): kinds
            for model, known in answers.items()
            for question_id, answer in known.items()
            if (kinds := influences("\n\n".join(answer.turns)))
        },
        warnings=warnings,
        languages=bench.paths.languages,
    )


def _families(config: Config, battles: Battles, anchor: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return the families of judges and models; baselines under one name are relatives of a judge if one of them is."""
    found = {name: family(config, name) for name in (*battles.judges, *battles.models)}
    if own:
        theirs = sorted({family(config, name) for name in own.values()})
        found[anchor] = next((each for each in theirs if each in {found[judge] for judge in battles.judges}), theirs[0])
    return found


def read_replies(
    bench: Bench, judge: str, baselines: Iterable[str], rule: str, own: Mapping[str, str]
) -> ReplyCounts | None:
    """Parse all stored replies of `judge` again by the label rule of that name; None if none is stored.

    `own` is the baseline of each question where they differ: replies about another one are left out.

    Raises BenchError if a file cannot be read, ValueError for an unknown rule.
    """
    read = parser(rule)
    counts: Counter[str] = Counter()
    for model, baseline in product(bench.judged_models(judge), baselines):
        items = load_replies(bench.paths.judgments(judge, model), baseline).items
        kept = (games for key, games in items.items() if own.get(key, baseline) == baseline)
        counts += count_replies((reply for games in kept for reply in games if reply), read)
    return ReplyCounts(**counts) if counts else None


def count_replies(replies: Iterable[StoredReply], read: Callable[[str], Verdict]) -> Counter[str]:
    """Count the fields of `ReplyCounts`, by name.

    A labelled reply to several asks is not parsed again: its text contains all of them.
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
