"""What extra calls bring: constant answers, which must lose; an answer against itself, which must tie; and the same
verdict asked for again and again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.audit.intervals import Estimate, QuestionResampler, by_question
from engine.labels import Label, points_of_model


class ProbeResult(msgspec.Struct, frozen=True):
    """A constant answer in the place of a model's: percent of the points it took from the baseline in `games`.

    `unparsed` games brought no verdict; they are not among `games`.
    """

    name: str
    text: str
    games: int
    unparsed: int
    points: Estimate


class IdenticalProbe(msgspec.Struct, frozen=True):
    """The same answer in both places, on `games` questions: percent that were no tie, and percent of the points that
    went to the first place (50: no taste). `unparsed` games brought no verdict; they are not among `games`."""

    games: int
    unparsed: int
    biased: Estimate
    first_place: Estimate


class RepeatReport(msgspec.Struct, frozen=True):
    """`games` judged `times` times each: percent of them in which all labels, or all winners, were the same.

    `unparsed` calls brought no verdict; a game with such a call is not counted as the same.
    """

    games: int
    times: int
    same_label: Estimate
    same_winner: Estimate
    unparsed: int


def probe_result(
    name: str, text: str, questions: Sequence[str], games: Sequence[int], labels: Sequence[Label | None], seed: int
) -> ProbeResult:
    """From one label for each game; `games` tells the order (1: the baseline is A)."""
    question = _indices(questions)
    points = np.array([points_of_model(label, game) for label, game in zip(labels, games, strict=True)])
    told = ~np.isnan(points)
    resampler = QuestionResampler(int(question.max(initial=-1)) + 1, 1000, seed)
    return ProbeResult(
        name,
        text,
        games=int(told.sum()),
        unparsed=int((~told).sum()),
        points=resampler.share(
            by_question(question[told], points[told], resampler.questions),
            by_question(question[told], np.ones(int(told.sum())), resampler.questions),
        ),
    )


def identical_probe(questions: Sequence[str], labels: Sequence[Label | None], seed: int) -> IdenticalProbe:
    """From one label for each question."""
    question = _indices(questions)
    first = np.array([points_of_model(label, 2) for label in labels])
    told = ~np.isnan(first)
    resampler = QuestionResampler(int(question.max(initial=-1)) + 1, 1, seed)
    whole = by_question(question[told], np.ones(int(told.sum())), resampler.questions)
    return IdenticalProbe(
        games=int(told.sum()),
        unparsed=int((~told).sum()),
        biased=resampler.share(by_question(question[told], first[told] != 0.5, resampler.questions), whole),
        first_place=resampler.share(by_question(question[told], first[told], resampler.questions), whole),
    )


def repeat_report(questions: Sequence[str], labels: Sequence[Sequence[Label | None]], seed: int) -> RepeatReport:
    """From the labels of each game's repeats."""
    question = _indices(questions)
    resampler = QuestionResampler(int(question.max(initial=-1)) + 1, 1000, seed)
    whole = by_question(question, np.ones(len(question)), resampler.questions)

    def same(verdicts: Sequence[Sequence[object]]) -> Estimate:
        alike = [None not in each and len(set(each)) == 1 for each in verdicts]
        return resampler.share(by_question(question, np.array(alike, dtype=np.float64), resampler.questions), whole)

    winners = [[None if label is None else points_of_model(label, 1) for label in each] for each in labels]
    return RepeatReport(
        games=len(labels),
        times=max((len(each) for each in labels), default=0),
        same_label=same(labels),
        same_winner=same(winners),
        unparsed=sum(label is None for each in labels for label in each),
    )


def _indices(names: Sequence[str]) -> np.typing.NDArray[np.int64]:
    _, index = np.unique(np.array(names, dtype=str), return_inverse=True)
    return index.astype(np.int64)
