"""What kind of verdicts a judge gives: how many, how many are ties, and how often it gives none.

Does the place of an answer decide? Every pair of answers is judged twice with the places swapped, which tells.

Swapping cancels a taste for one place in the score; what stays is noise: such a verdict says nothing about the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec
import numpy as np

from engine.audit.intervals import Estimate, QuestionResampler, by_question
from engine.ratings.battles import Battles, BoolArray, FloatArray, IntArray


class ReplyCounts(msgspec.Struct, frozen=True):
    """What reading `texts` stored replies again brings; all are counts of games.

    Of the games without a verdict `conflict` replies have different labels, `unknown` something like a label that is
    none, `none` nothing. `readable` of the games without a verdict have one for the lenient rule, `changed` verdicts
    are read in another way by today's rule than they were stored.
    """

    texts: int = 0
    none: int = 0
    conflict: int = 0
    unknown: int = 0
    readable: int = 0
    changed: int = 0


class VerdictReport(msgspec.Struct, frozen=True):
    """Of `games` that were played on `questions`: percent without a verdict, and of the verdicts percent of ties and
    of strong ones. `replies` is None where the judge's replies are not stored."""

    games: int
    questions: int
    unparsed: Estimate
    ties: Estimate
    strong: Estimate
    replies: ReplyCounts | None


class FakeVerdicts(msgspec.Struct, frozen=True):
    """Answers of a model that hold a verdict of their own, such as `[[A>B]]`, and percent of the points these took;
    `others` is the same for the model's other answers."""

    model: str
    answers: int
    score: Estimate
    others: Estimate


def verdict_report(battles: Battles, resampler: QuestionResampler, replies: ReplyCounts | None) -> VerdictReport:
    """Of the games of one judge between two different models."""
    games = battles.where(battles.model_a != battles.model_b)
    told = games.labelled

    def share(part: BoolArray | FloatArray, whole: BoolArray) -> Estimate:
        return resampler.share(
            by_question(games.question, part.astype(np.float64), resampler.questions),
            by_question(games.question, whole.astype(np.float64), resampler.questions),
        )

    return VerdictReport(
        games=len(games),
        questions=len(np.unique(games.question)),
        unparsed=share(~told, np.ones(len(games), dtype=np.bool_)),
        ties=share(told & (games.points == 0.5), told),
        strong=share(np.where(told, games.strong, 0.0), told),
        replies=replies,
    )


def fake_verdicts(
    battles: Battles, flagged: Collection[tuple[str, str]], resampler: QuestionResampler
) -> list[FakeVerdicts]:
    """How answers with a verdict in them fared; `flagged` holds their question ids and models."""
    names = zip(battles.question.tolist(), battles.model_b.tolist(), strict=True)
    is_fake = np.array([(battles.questions[question], battles.models[model]) in flagged for question, model in names])
    against_another = battles.labelled & (battles.model_a != battles.model_b)
    found = []
    for index in np.unique(battles.model_b[is_fake & against_another]) if len(is_fake) else ():
        mine = against_another & (battles.model_b == index)
        found.append(
            FakeVerdicts(
                battles.models[index],
                len(np.unique(battles.question[mine & is_fake])),
                _points(battles.where(mine & is_fake), resampler),
                _points(battles.where(mine & ~is_fake), resampler),
            )
        )
    return found


def _points(games: Battles, resampler: QuestionResampler) -> Estimate:
    return resampler.share(
        by_question(games.question, games.points, resampler.questions),
        by_question(games.question, np.ones(len(games)), resampler.questions),
    )


@dataclass(frozen=True)
class GamePairs:
    """K comparisons of which both games have a verdict.

    Attributes:
        question, model_a, model_b: [K] indices into the names of the battles; model_a stands first in game 1.
        first, second: [K] what model_b won in game 1 and in game 2.
    """

    question: IntArray
    model_a: IntArray
    model_b: IntArray
    first: FloatArray
    second: FloatArray

    @property
    def flipped(self) -> BoolArray:
        """[K]: each game has another winner."""
        flipped: BoolArray = (self.first - 0.5) * (self.second - 0.5) < 0
        return flipped

    @property
    def first_place(self) -> FloatArray:
        """[K]: the share of the points of both games that went to whoever stood first."""
        return (1.0 - self.first + self.second) / 2.0

    def where(self, mask: BoolArray) -> GamePairs:
        return GamePairs(
            self.question[mask], self.model_a[mask], self.model_b[mask], self.first[mask], self.second[mask]
        )


class ModelFlips(msgspec.Struct, frozen=True):
    """How often the verdict on a model against the baseline turned with the places; percent."""

    model: str
    flips: Estimate
    first_place: Estimate


class IdenticalAnswers(msgspec.Struct, frozen=True):
    """What the judge made of the same text in both places: every verdict but a tie is its own taste for a place.

    Of `pairs` of games: `double_ties`, `first_twice` and `second_twice` (one place won both), `mixed` (a tie in one).
    """

    pairs: int
    double_ties: int
    first_twice: int
    second_twice: int
    mixed: int
    biased: Estimate


class PositionReport(msgspec.Struct, frozen=True):
    """Percent of the pairs of games, over all models.

    `flips`: another winner after the swap. `unstable`: any other outcome, ties included. `first_place`: points that
    went to the answer that stood first (50: no taste).
    """

    pairs: int
    flips: Estimate
    unstable: Estimate
    first_place: Estimate
    models: list[ModelFlips]
    identical: IdenticalAnswers | None


def game_pairs(battles: Battles) -> GamePairs:
    """The comparisons of one judge with a verdict in game 1 and in game 2."""
    size = len(battles.models)
    code = (battles.question * size + battles.model_a) * size + battles.model_b
    one = np.flatnonzero((battles.game == 1) & battles.labelled)
    two = np.flatnonzero((battles.game == 2) & battles.labelled)
    _, at_one, at_two = np.intersect1d(code[one], code[two], return_indices=True)
    one, two = one[at_one], two[at_two]
    return GamePairs(
        battles.question[one], battles.model_a[one], battles.model_b[one], battles.points[one], battles.points[two]
    )


def position_report(
    battles: Battles, resampler: QuestionResampler, same_text: Callable[[str, str, str], bool]
) -> PositionReport | None:
    """None when no comparison was judged in both orders.

    Args:
        battles: the games of one judge.
        resampler: of the questions of `battles`.
        same_text: whether two models (the last two arguments) gave the same answer to a question (the first).
    """
    pairs = game_pairs(battles)
    if not len(pairs.question):
        return None
    identical = _identical(pairs, battles, same_text)
    different = pairs.where(~identical)
    return PositionReport(
        pairs=len(different.question),
        flips=_share(different, different.flipped, resampler),
        unstable=_share(different, different.first != different.second, resampler),
        first_place=_share(different, different.first_place, resampler),
        models=_by_model(different, battles, resampler),
        identical=_identical_report(pairs.where(identical), resampler),
    )


def _by_model(pairs: GamePairs, battles: Battles, resampler: QuestionResampler) -> list[ModelFlips]:
    rows = []
    for index in np.unique(pairs.model_b):
        mine = pairs.where(pairs.model_b == index)
        rows.append(
            ModelFlips(
                battles.models[index],
                _share(mine, mine.flipped, resampler),
                _share(mine, mine.first_place, resampler),
            )
        )
    return rows


def _identical(pairs: GamePairs, battles: Battles, same_text: Callable[[str, str, str], bool]) -> BoolArray:
    names = battles.models
    return np.array(
        [
            a == b or same_text(battles.questions[question], names[a], names[b])
            for question, a, b in zip(
                pairs.question.tolist(), pairs.model_a.tolist(), pairs.model_b.tolist(), strict=True
            )
        ],
        dtype=np.bool_,
    )


def _identical_report(pairs: GamePairs, resampler: QuestionResampler) -> IdenticalAnswers | None:
    if not len(pairs.question):
        return None
    ties = (pairs.first == 0.5) & (pairs.second == 0.5)
    first, second = pairs.first_place == 1.0, pairs.first_place == 0.0
    return IdenticalAnswers(
        pairs=len(ties),
        double_ties=int(ties.sum()),
        first_twice=int(first.sum()),
        second_twice=int(second.sum()),
        mixed=int((~ties & ~first & ~second).sum()),
        biased=_share(pairs, ~ties, resampler),
    )


def _share(pairs: GamePairs, values: FloatArray | BoolArray, resampler: QuestionResampler) -> Estimate:
    part = by_question(pairs.question, values.astype(np.float64), resampler.questions)
    whole = by_question(pairs.question, np.ones(len(pairs.question)), resampler.questions)
    return resampler.share(part, whole)
