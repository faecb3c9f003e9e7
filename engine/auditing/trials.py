"""Figures from extra calls: constant answers, which must lose; an answer against itself, which must tie; repeats."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.auditing.intervals import IntervalEstimate, resampler_of
from engine.labels import Label, points_of_model


class ProbeResult(msgspec.Struct, frozen=True):
    """A constant answer in place of a model's: percent of the points it won from the baseline in `games`.

    `unparsed` games have no label; they are not among `games`. An answer that `addresses_judge` asks for its verdict.
    """

    name: str
    text: str
    games: int
    unparsed: int
    points: IntervalEstimate
    addresses_judge: bool = False


class IdenticalProbe(msgspec.Struct, frozen=True):
    """The same answer in both places, on `games` questions: percent that were no tie, and percent of the points that
    the first place won (50: no preference). `unparsed` games have no label; they are not among `games`."""

    games: int
    unparsed: int
    biased: IntervalEstimate
    first_place: IntervalEstimate


class RepeatReport(msgspec.Struct, frozen=True):
    """`games` judged `times` times each: percent of them in which all labels, or all winners, were the same.

    `unparsed` calls have no label; a game with such a call does not count as the same.
    """

    games: int
    times: int
    same_label: IntervalEstimate
    same_winner: IntervalEstimate
    unparsed: int


class Trials(msgspec.Struct, frozen=True):
    """Results of extra calls; None for what was not asked. `failed` of `games` were not played, `failures` say why."""

    probes: list[ProbeResult] | None = None
    identical: IdenticalProbe | None = None
    repeats: RepeatReport | None = None
    games: int = 0
    failed: int = 0
    failures: Sequence[str] = ()


def probe_result(
    name: str,
    text: str,
    questions: Sequence[str],
    games: Sequence[int],
    labels: Sequence[Label | None],
    *,
    addresses_judge: bool = False,
) -> ProbeResult:
    """Score a constant answer from one label a game; `games` are the orders (1: the baseline is A)."""
    question, resampler = resampler_of(questions)
    points = np.array([points_of_model(label, game) for label, game in zip(labels, games, strict=True)])
    labelled = ~np.isnan(points)
    return ProbeResult(
        name,
        text,
        games=int(labelled.sum()),
        unparsed=int((~labelled).sum()),
        points=resampler.share(question[labelled], points[labelled]),
        addresses_judge=addresses_judge,
    )


def identical_probe(questions: Sequence[str], labels: Sequence[Label | None]) -> IdenticalProbe:
    """Count the verdicts on identical answers that are no tie, from one label a question."""
    question, resampler = resampler_of(questions)
    first = np.array([points_of_model(label, 2) for label in labels])
    labelled = ~np.isnan(first)
    return IdenticalProbe(
        games=int(labelled.sum()),
        unparsed=int((~labelled).sum()),
        biased=resampler.share(question[labelled], first[labelled] != 0.5),
        first_place=resampler.share(question[labelled], first[labelled]),
    )


def repeat_report(questions: Sequence[str], labels: Sequence[Sequence[Label | None]]) -> RepeatReport:
    """Count the games whose repeats all agree, from the labels of each game's repeats."""
    question, resampler = resampler_of(questions)

    def same(verdicts: Sequence[Sequence[object]]) -> IntervalEstimate:
        return resampler.share(question, np.array([None not in each and len(set(each)) == 1 for each in verdicts]))

    winners = [[None if label is None else points_of_model(label, 1) for label in each] for each in labels]
    return RepeatReport(
        games=len(labels),
        times=max((len(each) for each in labels), default=0),
        same_label=same(labels),
        same_winner=same(winners),
        unparsed=sum(label is None for each in labels for label in each),
    )
