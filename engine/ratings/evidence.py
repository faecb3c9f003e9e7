"""Points by question, stored with a result, so that a later result can be paired with it; and whether two results are
comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TypeAlias

import msgspec
import numpy as np

from engine.ratings.battles import Battles, BoolArray, FloatArray, NullGames
from engine.ratings.estimate import RatingOptions, require_rateable
from engine.ratings.outcomes import game_points
from engine.ratings.sensitivity import Discrimination, KnownBad, pair_verdicts

MANY_UNPARSED = 0.05
"""Above this share of questions without a label, those with one may not represent the others."""

Describe: TypeAlias = Callable[[str, str], str]
"""Describes the difference between the settings of two digests; empty where unknown."""


class ModelEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One model's points against the baseline, in the order of the questions.

    Attributes:
        won, total: weighted points won of those played for; None on questions that were not judged, 0 of 0 on those
            without a label.
        settings: by judge, the digests of the settings of its judgments (None: unknown).
        sampling: the digests of the settings of its answers without the model's name (None: unknown).
        orders: pairs of games of the same answers in both orders, and how many of them name the same winner, another
            winner after the swap, and none; empty if unknown.
    """

    won: list[float | None]
    total: list[float | None]
    settings: dict[str, list[str | None]] = {}
    sampling: list[str | None] = []
    orders: list[int] = []


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Points of all models, by label or (`soft`) as expected; `compared_with` has, for each question, the digest of its
    text and of the baseline's answer (None: unknown)."""

    soft: bool
    questions: list[str]
    compared_with: list[str | None]
    models: dict[str, ModelEvidence]
    null_games: NullGames = "keep"

    def problem(self) -> str:
        """Return what is wrong with evidence that was read from a file; empty if it is consistent."""
        count = len(self.questions)
        if len(set(self.questions)) != count or len(self.compared_with) != count:
            return "its questions and their digests do not match"
        for model, mine in self.models.items():
            if len(mine.won) != count or len(mine.total) != count:
                return f"{model} has points for another number of questions"
            for won, total in zip(mine.won, mine.total, strict=True):
                if (won is None) != (total is None) or not 0.0 <= (won or 0.0) <= (total or 0.0):
                    return f"{model} has impossible points"
            if mine.orders and (len(mine.orders) != 4 or min(mine.orders) < 0 or sum(mine.orders[1:]) > mine.orders[0]):
                return f"{model} has impossible counts of orders"
        return ""

    def discrimination(self) -> Discrimination:
        """Return the verdicts on all models; where pairs of games are not counted, questions stand for them."""
        counts = np.zeros(4, dtype=np.int64)
        for mine in self.models.values():
            points = [(won, of) for won, of in zip(mine.won, mine.total, strict=True) if won is not None and of]
            ties = sum(2.0 * won == of for won, of in points)
            counts += mine.orders or (len(points), len(points) - ties, 0, ties)
        return Discrimination(*counts.tolist())


class Origin(msgspec.Struct, frozen=True):
    """The origin of the judgments of a bench: digests by question, by model and judge, and by model."""

    compared_with: Mapping[str, str] = {}
    settings: Mapping[str, Mapping[str, Sequence[str | None]]] = {}
    sampling: Mapping[str, Sequence[str | None]] = {}


def evidence(battles: Battles, options: RatingOptions, origin: Origin) -> Evidence:
    """Return the points of every model against the baseline, on all questions that any of them was judged on.

    Raises RatingError where they cannot be rated.
    """
    used = require_rateable(battles, options)
    anchor = battles.models.index(options.baseline)
    used = used.where(((used.model_a == anchor) | (used.model_b == anchor)) & (used.model_a != used.model_b))
    swapped = used.model_b == anchor
    model = np.where(swapped, used.model_a, used.model_b)
    shape = len(battles.questions), len(battles.models)
    cell = used.question * shape[1] + model

    def summed(values: FloatArray) -> FloatArray:
        known = np.where(used.labelled, values, 0.0)
        return np.bincount(cell, weights=known, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)

    won_by_b, weight = game_points(used, options.weight, soft=options.soft)
    won, total = summed(np.where(swapped, weight - won_by_b, won_by_b)), summed(weight)
    played = (np.bincount(cell, minlength=shape[0] * shape[1]) > 0).reshape(shape)
    asked = np.flatnonzero(played.any(axis=1))
    verdicts = pair_verdicts(used)
    questions = [battles.questions[index] for index in asked]
    return Evidence(
        soft=options.soft,
        questions=questions,
        compared_with=[origin.compared_with.get(question) for question in questions],
        models={
            battles.models[index]: ModelEvidence(
                won=_or_none(won[asked, index], played[asked, index]),
                total=_or_none(total[asked, index], played[asked, index]),
                settings={
                    judge: list(known) for judge, known in origin.settings.get(battles.models[index], {}).items()
                },
                sampling=list(origin.sampling.get(battles.models[index], ())),
                orders=list(astuple(verdicts.of(int(index)))) if len(verdicts.same) else [],
            )
            for index in np.flatnonzero(played.any(axis=0))
        },
    )


def _or_none(values: FloatArray, played: BoolArray) -> list[float | None]:
    return [value if was_played else None for value, was_played in zip(values.tolist(), played.tolist(), strict=True)]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a result that a gate needs; a leaderboard and a gate report as JSON both have them.

    `known_bad` are the scores of answers that must lose, by the judges that were probed with them.
    """

    bench: str
    judges: list[str]
    baseline: str
    weight: int
    evidence: Evidence
    first_game_only: bool = False
    known_bad: list[KnownBad] = []


@dataclass(frozen=True)
class GateSide:
    """One model of one result.

    Attributes:
        points: by question, points won of those played for: 0 of 0 without a label, half of all for the baseline.
        texts: by question, the digest of its text and of the baseline's answer; None where unknown.
        settings: by judge, the digests of the settings of its judgments; None for unknown ones.
        sampling: the digests of the settings of its answers, likewise.
        is_baseline: whether all others were compared with it.
    """

    model: str
    points: Mapping[str, tuple[float, float]]
    texts: Mapping[str, str | None]
    settings: Mapping[str, Sequence[str | None]]
    sampling: Sequence[str | None] = ()
    is_baseline: bool = False


def side(result: Result, model: str) -> GateSide:
    """Return the side of a model of `result`, which may be its baseline."""
    found = result.evidence
    texts = dict(zip(found.questions, found.compared_with, strict=True))
    if model == result.baseline:
        return GateSide(model, dict.fromkeys(found.questions, (0.5, 1.0)), texts, {}, is_baseline=True)
    mine = found.models[model]
    points = {
        question: (won, total)
        for question, won, total in zip(found.questions, mine.won, mine.total, strict=True)
        if won is not None and total is not None
    }
    return GateSide(model, points, texts, mine.settings, mine.sampling)


def other_contest(now: Result, stored: Result) -> list[str]:
    """Return the differences that concern all models."""
    facts = (
        ("judge", ", ".join(sorted(stored.judges)), ", ".join(sorted(now.judges))),
        ("baseline", stored.baseline, now.baseline),
        ("weight of a strong label", stored.weight, now.weight),
        ("kind of points", *("expected" if each.evidence.soft else "by label" for each in (stored, now))),
        ("treatment of null games", stored.evidence.null_games, now.evidence.null_games),
        ("games", *("first game only" if each.first_game_only else "both games" for each in (stored, now))),
    )
    return [
        f"another {what}: {was} in the stored result, {now_is} here" for what, was, now_is in facts if was != now_is
    ]


def incomparable(mine: GateSide, theirs: GateSide, describe: Describe, *, any_sampling: bool) -> Iterator[str]:
    """Yield the reasons why the two sides are incomparable, whatever their points; `any_sampling` allows different
    settings of their answers."""
    for each in (mine, theirs):
        for judge, digests in each.settings.items():
            if len(set(digests) - {None}) > 1:
                yield f"{each.model} was judged by {judge} with different settings{_in_words(digests, describe)}"
    for judge in mine.settings.keys() & theirs.settings.keys():
        was, now = _known(theirs.settings[judge]), _known(mine.settings[judge])
        if was and now and was != now:
            words = _in_words([*was, *now], describe)
            yield f"{mine.model} was judged by {judge} with another prompt or other settings than {theirs.model}{words}"
    was, now = _known(theirs.sampling), _known(mine.sampling)
    if was and now and was != now and not any_sampling:
        words = _in_words([*was, *now], describe)
        yield f"the answers of {mine.model} were made with other settings than those of {theirs.model}{words}"
    changed = sum(
        theirs.texts[question] != text
        for question, text in mine.texts.items()
        if text is not None and theirs.texts.get(question) is not None
    )
    if changed:
        yield f"other texts: {changed} questions, or the baseline's answers to them, have changed"


def uncovered(mine: GateSide, theirs: GateSide, allowed: int) -> Iterator[str]:
    """Yield the reasons in missing judgments; `allowed` questions may be judged for one side only."""
    gaps = [(mine, theirs.points.keys() - mine.points.keys()), (theirs, mine.points.keys() - theirs.points.keys())]
    missing = sum(len(questions) for _, questions in gaps)
    if missing > allowed:
        lacking = " and ".join(f"{each.model} has no judgment on {len(lost)}" for each, lost in gaps if lost)
        yield f"missing coverage: of {len(theirs.points.keys() | mine.points.keys())} questions {lacking}"
    for each in (mine, theirs):
        unparsed = sum(not total for _, total in each.points.values())
        if unparsed > MANY_UNPARSED * len(each.points):
            yield f"missing coverage: {each.model} has no label on {unparsed} of {len(each.points)} questions"


def unknown_texts(mine: GateSide, theirs: GateSide) -> Iterator[str]:
    """Yield a warning where two results may not be about the same texts."""
    shared = mine.points.keys() & theirs.points.keys()
    if any(mine.texts.get(question) is None or theirs.texts.get(question) is None for question in shared):
        yield "unknown whether the questions and the baseline's answers are those of the stored result"


def unknown_settings(mine: GateSide, theirs: GateSide) -> Iterator[str]:
    """Yield a warning where judgments may have been made with different settings."""
    if theirs.settings and any(None in digests for each in (mine, theirs) for digests in each.settings.values()):
        yield "unknown whether all judgments were made with the same prompt and settings"


def common(mine: GateSide, theirs: GateSide) -> list[str]:
    """Return the questions on which both have a label."""
    return [
        question
        for question, (_, total) in mine.points.items()
        if total > 0.0 and theirs.points.get(question, (0.0, 0.0))[1] > 0.0
    ]


def _known(digests: Sequence[str | None]) -> set[str]:
    return {digest for digest in digests if digest is not None}


def _in_words(digests: Sequence[str | None], describe: Describe) -> str:
    """Return the difference between the first and the last of the digests, or the digests where that is unknown."""
    known = [digest for digest in dict.fromkeys(digests) if digest is not None]
    words = describe(known[0], known[-1])
    return f": {words}" if words else f" ({', '.join(known)})"
