"""From the files of a bench to its leaderboard: reads, keeps what is current, and rates.

A judgment counts only if it is of today's texts: its question is in the set, its baseline is the one asked for, and
neither question nor answers have changed since. Where an answer is not on disk there is nothing to compare with, and
the judgment's own word is taken.

With several baselines their games are pooled, and the first of them anchors the scores. Two baselines are compared with
each other once: by what there is of the later one against the earlier.

Also counts the style of the answers of a bench, for style control and the audit of a judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
import numpy as np

from engine.bench import Bench
from engine.bench.current import is_current
from engine.bench.digest import inputs_digest
from engine.bench.settings import Settings, describe_difference
from engine.bench.stored import StoredAnswer, StoredJudgment, against
from engine.config.sampling import settings_digest
from engine.errors import BenchError, listed
from engine.ratings.battles import Battles, battles_from_judgments, pooled
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles
from engine.ratings.evidence import Evidence, Origin, Result, evidence
from engine.ratings.leaderboard import BenchFacts, Leaderboard, LeaderboardOptions, Rater, leaderboard
from engine.ratings.markdown import count_markdown
from engine.ratings.style import COVARIATES, StyleCounts
from engine.records import Question

Verdicts: TypeAlias = dict[tuple[str, str], list[StoredJudgment]]
"""Judgments against one baseline, by judge and model."""

_BYTES_PER_TOKEN = 4.3  # of UTF-8, in cl100k_base, for English and for Russian alike


@dataclass(frozen=True)
class JudgedBench:
    """The current judgments of a bench by some judges, and what a leaderboard says beside them."""

    battles: Battles
    facts: BenchFacts
    warnings: Sequence[str]
    compared: Mapping[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    """By question, its turns and the baseline's answer, where both are on disk."""
    settings: Mapping[str, Mapping[str, Sequence[str | None]]] = field(default_factory=dict)
    """By model and judge, the digests of the settings that the judgments were made with."""

    sampling: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """By model, the digests of what its answers were made with, its name aside."""

    def evidence(self, options: RatingOptions) -> Evidence:
        """What the ratings rest on, question by question. Raises RatingError where the baseline takes no part."""
        texts = {question: inputs_digest(*texts, ()) for question, texts in self.compared.items()}
        return evidence(self.battles, options, Origin(texts, self.settings, self.sampling))


def judged_bench(
    bench: Bench, judges: Sequence[str], baselines: str | Sequence[str], *, with_itself: bool = False
) -> JudgedBench:
    """Read what `judges` said of every model against the baseline (or each of several, the anchor first).

    With `with_itself`, of the anchor against itself too. Raises BenchError if there is no current judgment.
    """
    names = (baselines,) if isinstance(baselines, str) else tuple(baselines)
    reader = _Reader(bench, names, with_itself)
    verdicts: dict[str, Verdicts] = {baseline: {} for baseline in names}
    for judge in judges:
        judged_models = bench.judged_models(judge)
        if not judged_models:
            reader.warnings.append(f"there is no judgment by {judge} in this bench; it has no part in the numbers")
        for model in judged_models:
            for baseline, judgments in reader.current(judge, model).items():
                verdicts[baseline][judge, model] = judgments
    _drop_second_meetings(verdicts)
    if not any(judgments for each in verdicts.values() for judgments in each.values()):
        raise BenchError(
            f"{bench.paths.root}: there is no judgment by {' or '.join(judges)} against {' or '.join(names)}",
            _where_there_are(bench),
        )
    facts = BenchFacts(
        name=bench.paths.name,
        judges=tuple(judges),
        baselines=names,
        questions=tuple(reader.questions.values()),
        token_lengths={
            model: {question_id: answer.token_len for question_id, answer in loaded.items()}
            for model, loaded in reader.answers.items()
        },
    )
    battles = pooled([battles_from_judgments(each, baseline) for baseline, each in verdicts.items()])
    if unmet := [name for name in names if name not in battles.models]:
        reader.warnings.append(f"no model was judged against {listed(unmet)}")
    reader.warnings += _mixed_settings(verdicts.values(), bench.settings())
    settings = _settings_of(verdicts[names[0]])
    return JudgedBench(
        battles, facts, reader.warnings, reader.compared_with(names[0]), settings, reader.sampling_of(settings)
    )


def _settings_of(verdicts: Verdicts) -> dict[str, dict[str, Sequence[str | None]]]:
    """By model and judge, the digests of the settings that the judgments were made with."""
    settings: dict[str, dict[str, Sequence[str | None]]] = {}
    for (judge, model), judgments in verdicts.items():
        if judgments:
            settings.setdefault(model, {})[judge] = sorted({each.settings for each in judgments}, key=str)
    return settings


def _mixed_settings(verdicts: Iterable[Verdicts], known: Mapping[str, Settings]) -> list[str]:
    """Judges whose judgments were made in several ways: kinds of verdict, prompts and sampling are not to be mixed."""
    used: dict[str, Counter[str]] = {}
    for each in verdicts:
        for (judge, _), judgments in each.items():
            used.setdefault(judge, Counter()).update(found.settings for found in judgments if found.settings)
    told = []
    for judge, counts in used.items():
        (first, _), *others = counts.most_common() or [("", 0)]
        for digest, count in others:
            known_both = first in known and digest in known
            how = describe_difference(known[digest], known[first]) if known_both else ""
            told.append(
                f"{count} of {counts.total()} judgments by {judge} were made with other settings than the rest "
                f"({how or 'which is all that is known of them'}); they are rated together, and "
                "`run --refresh stale` makes again those that are not today's"
            )
    return told


def sampling_digests(known: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Digests of settings without the name of the model that has them, by the digests of the whole."""
    return {
        digest: settings_digest({key: value for key, value in settings.items() if key != "model"})
        for digest, settings in known.items()
    }


class _Reader:
    """Reads each file of a bench once, and collects what was wrong with them."""

    def __init__(self, bench: Bench, baselines: Sequence[str], with_itself: bool) -> None:
        found = bench.questions()
        self.questions = {question.id: question for question in found.items}
        self.answers: dict[str, Mapping[str, StoredAnswer]] = {}
        self.warnings = [str(problem) for problem in found.problems]
        self._bench = bench
        self._baselines = baselines
        self._with_itself = with_itself

    def current(self, judge: str, model: str) -> dict[str, list[StoredJudgment]]:
        """By baseline, the judgments of `model` by `judge` that are of today's texts."""
        stored = self._bench.all_judgments(judge, model)
        self.warnings.extend(str(problem) for problem in stored.problems)
        found: dict[str, list[StoredJudgment]] = {}
        outdated = 0
        for baseline in self._baselines:
            is_anchor = baseline == self._baselines[0]
            if model == baseline and not (self._with_itself and is_anchor):
                continue
            found[baseline] = []
            for judgment in against(stored.items, baseline).values():
                if self._counts(judgment, model, baseline):
                    found[baseline].append(judgment)
                elif len(self._baselines) == 1 or judgment.baseline is not None:
                    outdated += 1  # where there are several, one that names none may well be of another baseline
        if outdated:
            self.warnings.append(
                f"{outdated} judgments of {model} by {judge} are of other texts than today's (another baseline, or "
                "a question or answer that changed since or was taken out); they are not counted, and a run makes "
                "again what is still asked for"
            )
        return found

    def compared_with(self, baseline: str) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
        """By question, its turns and the baseline's answer, where both are on disk."""
        return {
            question_id: (self.questions[question_id].turns, answer.turns)
            for question_id, answer in self._answers_of(baseline).items()
            if question_id in self.questions
        }

    def sampling_of(self, models: Iterable[str]) -> dict[str, Sequence[str | None]]:
        """By model, the digests of what its answers were made with, its name aside."""
        made_with = sampling_digests(self._bench.settings())
        return {
            model: sorted({made_with.get(answer.settings or "") for answer in answers.values()}, key=str)
            for model in models
            if (answers := self._answers_of(model))
        }

    def _counts(self, judgment: StoredJudgment, model: str, baseline: str) -> bool:
        if judgment.baseline is None and baseline != self._baselines[0] and not self._answers_of(baseline):
            return False  # it does not say whom it is against, and there is no text to tell
        return is_counted(
            judgment,
            baseline,
            self.questions.get(judgment.question_id),
            self._answers_of(baseline).get(judgment.question_id),
            self._answers_of(model).get(judgment.question_id),
        )

    def _answers_of(self, model: str) -> Mapping[str, StoredAnswer]:
        if model not in self.answers:
            loaded = self._bench.answers(model)
            self.warnings.extend(str(problem) for problem in loaded.problems)
            self.answers[model] = loaded.items
        return self.answers[model]


def _drop_second_meetings(verdicts: Mapping[str, Verdicts]) -> None:
    """Leave one comparison of each two baselines by a judge on a question: the later one's against the earlier.

    The other way round it is the same two games.
    """
    names = list(verdicts)
    for at, later in enumerate(names):
        for earlier in names[:at]:
            for (judge, model), judgments in verdicts[later].items():
                if model == earlier:
                    met = {judgment.question_id for judgment in verdicts[earlier].get((judge, later), ())}
                    judgments[:] = [judgment for judgment in judgments if judgment.question_id not in met]


def rate(judged: JudgedBench, options: LeaderboardOptions, rater: Rater = rate_battles) -> tuple[Leaderboard, Ratings]:
    """The leaderboard, with the warnings of reading in front of its own, and the ratings it rests on."""
    ratings = rater(judged.battles, options)
    board = leaderboard(ratings, options, judged.facts, rater)
    return msgspec.structs.replace(board, warnings=[*judged.warnings, *board.warnings]), ratings


def gate_result(judged: JudgedBench, options: RatingOptions) -> Result:
    """What a gate needs of a bench. Raises RatingError where the baseline takes no part."""
    return Result(
        bench=judged.facts.name,
        judges=list(judged.facts.judges),
        baseline=options.baseline,
        weight=options.weight,
        evidence=judged.evidence(options),
        first_game_only=options.first_game_only,
    )


def is_counted(
    judgment: StoredJudgment,
    baseline: str,
    question: Question | None,
    theirs: StoredAnswer | None,
    ours: StoredAnswer | None,
) -> bool:
    """Whether a judgment is of today's question and answers; where an answer is not on disk, its own word is taken."""
    if question is None:
        return False
    if theirs is None or ours is None:
        return judgment.baseline in (None, baseline)
    return is_current(
        judgment,
        baseline=baseline,
        inputs=inputs_digest(question.turns, theirs.turns, ours.turns),
        question_turns=question.turns,
        baseline_turns=theirs.turns,
        model_turns=ours.turns,
    )


def _where_there_are(bench: Bench) -> str:
    """What there is instead, for someone who misnamed the judge or has not run yet."""
    judges = bench.judges()
    if not judges:
        return "make them first: arena-tui --no-ui run"
    return f"judges with judgments here: {', '.join(judges)}; name one with --judge, another baseline with --baseline"


def read_style(bench: Bench, models: Sequence[str]) -> tuple[StyleCounts, list[str]]:
    """Count length and Markdown of every answer of `models`; return also the warnings about them."""
    loaded = {model: bench.answers(model) for model in models}
    return count_style({model: found.items for model, found in loaded.items()})


def count_style(answers: Mapping[str, Mapping[str, StoredAnswer]]) -> tuple[StyleCounts, list[str]]:
    """Count length and Markdown of answers by model and question id; return also the warnings about them.

    Lengths must be comparable, so stored token counts are used only if every answer has one.
    """
    models = tuple(sorted(answers))
    questions = tuple(sorted({question_id for known in answers.values() for question_id in known}))
    row = {question_id: index for index, question_id in enumerate(questions)}
    has_tokens = all(answer.token_len is not None for known in answers.values() for answer in known.values())
    counts = np.full((len(questions), len(models), len(COVARIATES)), np.nan)
    for column, model in enumerate(models):
        for question_id, answer in answers[model].items():
            counts[row[question_id], column] = _style_of(answer, has_tokens)
    warnings = [] if has_tokens else ["answers without a token count; all lengths are estimated from their bytes"]
    return StyleCounts(questions, models, counts), warnings


def _style_of(answer: StoredAnswer, has_tokens: bool) -> tuple[float, int, int, int]:
    """Tokens, headers, list items and bold spans over all turns of an answer."""
    marks = [count_markdown(turn) for turn in answer.turns]
    if has_tokens and answer.token_len is not None:
        tokens = float(answer.token_len)
    else:
        tokens = sum(len(turn.encode("utf-8", "surrogatepass")) for turn in answer.turns) / _BYTES_PER_TOKEN
    return (
        tokens,
        sum(mark.header_count for mark in marks),
        sum(mark.list_count for mark in marks),
        sum(mark.bold_count for mark in marks),
    )
