"""From the files of a bench to its leaderboard: reads, keeps what is current, and rates.

A judgment counts only if it is of today's texts (see `engine.bench.current`). With several baselines their games are
pooled, and the first of them anchors the scores. Two baselines are compared with each other once: by what there is of
the later one against the earlier.

What was read is kept as a snapshot in the index of the bench, so that the same question to the same files is answered
without reading any of them.

Also counts the style of the answers of a bench, for style control and the audit of a judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from engine.bench import Bench
from engine.bench.snapshot import Snapshot
from engine.errors import Advice, AdviceKind, UsageProblem, listed
from engine.judged import NO_ANSWER, NO_LENGTH, JudgedFacts, JudgedReader
from engine.pairing import Pairing
from engine.ratings.battles import Battles, NullGames, battles_from_labels
from engine.ratings.estimate import BenchFacts, RatingOptions, Ratings, rate_battles
from engine.ratings.evidence import Evidence, Origin, Result, evidence
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions, Rater, leaderboard
from engine.ratings.markdown import count_markdown
from engine.ratings.style import COVARIATES, StyleCounts
from engine.records import Question
from engine.token_lengths import by_one_counter

_BYTES_PER_TOKEN = 4.3  # of UTF-8, in cl100k_base, for English and for Russian alike

if TYPE_CHECKING:
    from engine.bench.stored import StoredAnswer


@dataclass(frozen=True)
class JudgedBench:
    """The current judgments of a bench by some judges, and what a leaderboard shows beside them.

    Attributes:
        compared: by question, the digest of its text and of the baseline's answer, where both are on disk.
        settings: by model and judge, the digests of the settings of the judgments.
        sampling: by model, the digests of the settings of its answers, its name aside.
    """

    battles: Battles
    facts: BenchFacts
    warnings: Sequence[str]
    compared: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Sequence[str | None]]] = field(default_factory=dict)
    sampling: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    null_games: NullGames = "keep"

    def evidence(self, options: RatingOptions) -> Evidence:
        """Return what the ratings rest on, by question. Raises RatingError where the baseline takes no part."""
        found = evidence(self.battles, options, Origin(self.compared, self.settings, self.sampling))
        return msgspec.structs.replace(found, null_games=self.null_games)

    def with_null_games(self, null_games: NullGames) -> JudgedBench:
        """Return the same judgments, with `drop-pair` without pairs of games that lack a label, which is reported."""
        if null_games == "keep":
            return self
        kept = self.battles.whole_pairs()
        dropped = len(self.battles) - len(kept)
        text = f"{dropped} games left out with their pair, because one of both has no label"
        return replace(
            self, battles=kept, null_games=null_games, warnings=[*self.warnings, *([text] if dropped else [])]
        )


def judged_bench(
    bench: Bench,
    judges: Sequence[str],
    baselines: str | Sequence[str] | Pairing,
    *,
    with_itself: bool = False,
    strict: bool = False,
) -> JudgedBench:
    """Read the judgments of every model by `judges` against the baseline (or each of several, the anchor first).

    Where it depends on the category, those against the baseline of the question's category count, under the name of all
    baselines, which is the only one in `BenchFacts.baselines`.

    With `with_itself`, of the anchor against itself too; with `strict`, only what can be checked. Raises BenchError
    if there is no current judgment.
    """
    pairing = baselines if isinstance(baselines, Pairing) else _general(baselines)
    names = pairing.names
    judged_models = {judge: bench.judged_models(judge) for judge in judges}
    paths = bench.paths
    answering = dict.fromkeys((*names, *(model for models in judged_models.values() for model in models)))
    files = [
        paths.questions,
        paths.settings,
        *map(paths.answers, answering),
        *(paths.judgments(judge, model) for judge, models in judged_models.items() for model in models),
        *(paths.repeats(judge, model) for judge, models in judged_models.items() for model in models),
    ]
    rules = (part for rule in pairing.rules for part in rule)
    asked = (*judges, "", *pairing.baselines, "", *rules, "", str(with_itself), str(strict))
    snapshot = Snapshot(paths, JudgedFacts, asked, files)
    held = snapshot.load()
    if held is None:
        held = JudgedReader(bench, pairing, with_itself=with_itself, strict=strict).read(judged_models)
        snapshot.save(*held)
    facts, columns = held
    categories = sorted({category for _, category, _ in facts.questions})
    pairing = pairing.on(categories)
    return JudgedBench(
        battles_from_labels(
            facts.judged,
            facts.models,
            judges,
            question=columns["question"],
            model=columns["model"],
            baseline=columns["baseline"],
            judge=columns["judge"],
            game=columns["game"],
            label=columns["label"],
            probabilities=columns.get("probabilities"),
            choice=columns.get("choice"),
            repeat=columns.get("repeat"),
        ),
        BenchFacts(
            name=paths.name,
            judges=tuple(judges),
            baselines=(pairing.anchor,) if pairing.is_split else pairing.baselines,
            by_category={each: pairing.of(each)[0] for each in categories} if pairing.is_split else {},
            questions=tuple(Question(key, (), category, cluster) for key, category, cluster in facts.questions),
            token_lengths=_TokenLengths(facts.answering, facts.answered, columns["tokens"]),
        ),
        [Advice(text, *kinds, values=values) if kinds else text for text, kinds, values in facts.warnings],
        facts.compared,
        facts.settings,
        facts.sampling,
    )


def _general(baselines: str | Sequence[str]) -> Pairing:
    return Pairing((baselines,) if isinstance(baselines, str) else tuple(baselines))


class _TokenLengths(Mapping[str, Mapping[str, int | None]]):
    """By model and question, the length of the answer in tokens (None: not known); made of an array when used."""

    def __init__(self, models: Sequence[str], questions: Sequence[str], tokens: npt.NDArray[Any]) -> None:
        self._rows = {model: row for row, model in enumerate(models)}
        self._questions = questions
        self._tokens = tokens

    def __getitem__(self, model: str) -> Mapping[str, int | None]:
        lengths = self._tokens[self._rows[model]].tolist()
        return {
            question: None if length == NO_LENGTH else length
            for question, length in zip(self._questions, lengths, strict=True)
            if length != NO_ANSWER
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def refuse_partial_baselines(judged: JudgedBench, names: Sequence[str]) -> None:
    """Raise UsageProblem for a model that is the baseline of some categories, and nothing else."""
    for name in names:
        own = [category for category, baseline in judged.facts.by_category.items() if baseline == name]
        if own and name not in judged.battles.models:
            raise UsageProblem(
                f"{name} is the baseline of {listed(own)} only, and has no score on all questions",
                Advice("name it as the baseline to compare on these questions", AdviceKind.BASELINE),
            )


def named_battles(judged: JudgedBench, battles: Battles) -> Battles:
    """Return battles of `judged` with the names of their baselines where these depend on the category."""
    own = judged.facts.own_baselines
    return battles.with_names(judged.facts.baselines[0], own) if own else battles


def rate(judged: JudgedBench, options: LeaderboardOptions, rater: Rater = rate_battles) -> tuple[Leaderboard, Ratings]:
    """Return the leaderboard, with the warnings of reading before its own, and the ratings it rests on."""
    ratings = rater(judged.battles, options)
    board = leaderboard(ratings, options, judged.facts, rater)
    return msgspec.structs.replace(board, warnings=[*judged.warnings, *board.warnings]), ratings


def gate_result(judged: JudgedBench, options: RatingOptions) -> Result:
    """Return what a gate needs of a bench. Raises RatingError if no game has the baseline in it.

    A model that is the baseline of some questions is left out: it was not judged on all.
    """
    found, partial = judged.evidence(options), judged.facts.by_category.values()
    full = {model: mine for model, mine in found.models.items() if model not in partial}
    return Result(
        bench=judged.facts.name,
        judges=list(judged.facts.judges),
        baseline=options.baseline,
        weight=options.weight,
        evidence=msgspec.structs.replace(found, models=full),
        first_game_only=options.first_game_only,
        known_bad=list(judged.facts.known_bad),
    )


def read_style(bench: Bench, models: Sequence[str], facts: BenchFacts | None = None) -> tuple[StyleCounts, list[str]]:
    """Count length and Markdown of every answer of `models`; return also the warnings about them.

    `facts` say which baseline each question has, where it depends on the category.
    """
    if facts is None or not facts.by_category:
        return count_style({model: bench.answers(model).items for model in models})
    (anchor,) = facts.baselines
    real = dict.fromkeys((*facts.by_category.values(), *(model for model in models if model != anchor)))
    counts, warnings = count_style({model: bench.answers(model).items for model in real})
    column = {model: index for index, model in enumerate(counts.models)}
    baseline = facts.own_baselines
    of_all = np.full((len(counts.questions), 1, len(COVARIATES)), np.nan)
    for row, question in enumerate(counts.questions):
        if question in baseline:
            of_all[row, 0] = counts.counts[row, column[baseline[question]]]
    whole = np.concatenate([counts.counts, of_all], axis=1)
    return StyleCounts(counts.questions, (*counts.models, anchor), whole), warnings


def count_style(answers: Mapping[str, Mapping[str, StoredAnswer]]) -> tuple[StyleCounts, list[str]]:
    """Count length and Markdown of answers by model and question id; return also the warnings about them.

    Lengths must be comparable, so stored token counts are used only if every answer has one.
    """
    models = tuple(sorted(answers))
    questions = tuple(sorted({question_id for known in answers.values() for question_id in known}))
    row = {question_id: index for index, question_id in enumerate(questions)}
    every = [answer for model in models for answer in answers[model].values()]
    has_tokens = all(answer.token_len is not None for answer in every)
    lengths: list[int | None] = [None] * len(every)
    warning = "answers without a token count; all lengths are estimated from their bytes"
    if has_tokens:
        sizes = [sum(len(turn.encode("utf-8", "surrogatepass")) for turn in answer.turns) for answer in every]
        lengths, _, warning = by_one_counter(
            [answer.token_len for answer in every],
            [answer.token_counter for answer in every],
            sizes,
            lambda at: every[at].turns,
        )
    length = iter(lengths)
    counts = np.full((len(questions), len(models), len(COVARIATES)), np.nan)
    for column, model in enumerate(models):
        for question_id, answer in answers[model].items():
            counts[row[question_id], column] = _style_of(answer, next(length))
    return StyleCounts(questions, models, counts), [warning] if warning else []


def _style_of(answer: StoredAnswer, length: int | None) -> tuple[float, int, int, int]:
    """Tokens, headers, list items and bold spans over all turns of an answer."""
    marks = [count_markdown(turn) for turn in answer.turns]
    if length is not None:
        tokens = float(length)
    else:
        tokens = sum(len(turn.encode("utf-8", "surrogatepass")) for turn in answer.turns) / _BYTES_PER_TOKEN
    return (
        tokens,
        sum(mark.header_count for mark in marks),
        sum(mark.list_count for mark in marks),
        sum(mark.bold_count for mark in marks),
    )
