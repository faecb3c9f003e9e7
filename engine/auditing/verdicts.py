"""The verdicts of one judge: how many and of which kind, and whether they follow the place of an answer.

Every pair of answers is judged twice with the places swapped. Swapping cancels a preference for one place in the score;
what stays is noise: a verdict that changes with the places contains no information about the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from engine.auditing.intervals import IntervalEstimate, QuestionResampler
from engine.ratings.battles import Battles, BoolArray, FloatArray, IntArray


class ReplyCounts(msgspec.Struct, frozen=True):
    """Counts of games, from parsing `texts` stored replies again.

    Of the games without a label, `conflict` replies contain different labels, `unknown` something like a label that is
    not one of the five, `none` nothing like a label; the lenient rule finds a label in `readable` of them. Today's rule
    parses `changed` replies to another label than the stored one.
    """

    texts: int = 0
    none: int = 0
    conflict: int = 0
    unknown: int = 0
    readable: int = 0
    changed: int = 0


class VerdictReport(msgspec.Struct, frozen=True):
    """Of `games` played on `questions`: percent unparsed, and of the labels percent of ties and of strong ones.

    `replies` is None where the judge's replies are not stored.
    """

    games: int
    questions: int
    unparsed: IntervalEstimate
    ties: IntervalEstimate
    strong: IntervalEstimate
    replies: ReplyCounts | None


class FakeVerdicts(msgspec.Struct, frozen=True):
    """Answers of a model that seem to influence the judge, such as by `[[A>B]]`, and the percent of points they won.

    `others` is the same for the model's other answers. `kinds` counts the answers by kind of attempt; `examples` has
    one excerpt of each kind. `fenced`: the judge prompt has a fence around answers.
    """

    model: str
    answers: int
    score: IntervalEstimate
    others: IntervalEstimate
    kinds: dict[str, int] = {}
    examples: dict[str, str] = {}
    questions: int = 0
    fenced: bool = False


class ModelFlips(msgspec.Struct, frozen=True):
    """How often the verdict on a model against the baseline changed with the places; percent."""

    model: str
    flips: IntervalEstimate
    first_place: IntervalEstimate


class IdenticalAnswers(msgspec.Struct, frozen=True):
    """Verdicts on the same text in both places: each one but a tie shows a preference for a place.

    Of `pairs` of games: `double_ties`, `first_twice` and `second_twice` (one place won both), `mixed` (a tie in one).
    `biased` is the percentage that are no double tie.
    """

    pairs: int
    double_ties: int
    first_twice: int
    second_twice: int
    mixed: int
    biased: IntervalEstimate


class PositionReport(msgspec.Struct, frozen=True):
    """Percent of the pairs of games, over all models.

    `flips`: another winner after the swap. `unstable`: any other outcome, ties included. `first_place`: points won by
    the answer in the first place (50: no preference).
    """

    pairs: int
    flips: IntervalEstimate
    unstable: IntervalEstimate
    first_place: IntervalEstimate
    models: list[ModelFlips]
    identical: IdenticalAnswers | None


@dataclass(frozen=True)
class GamePairs:
    """K comparisons with a label in both games.

    Attributes:
        question, model_a, model_b: [K] indices into the names of the battles; model_a is in the first place in game 1.
        first, second: [K] points of model_b in game 1 and in game 2.
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
        """[K]: the share of the points of both games that the first place won."""
        return (1.0 - self.first + self.second) / 2.0

    def where(self, mask: BoolArray) -> GamePairs:
        return GamePairs(
            self.question[mask], self.model_a[mask], self.model_b[mask], self.first[mask], self.second[mask]
        )


def verdict_report(battles: Battles, resampler: QuestionResampler, replies: ReplyCounts | None) -> VerdictReport:
    """Count the labels of one judge on games between two different models."""
    games = battles.where(battles.model_a != battles.model_b)
    labelled = games.where(games.labelled)
    return VerdictReport(
        games=len(games),
        questions=len(np.unique(games.question)),
        unparsed=resampler.share(games.question, ~games.labelled),
        ties=resampler.share(labelled.question, labelled.points == 0.5),
        strong=resampler.share(labelled.question, labelled.strong),
        replies=replies,
    )


def fake_verdicts(
    battles: Battles, flagged: Mapping[tuple[str, str], Mapping[str, str]], resampler: QuestionResampler
) -> list[FakeVerdicts]:
    """Compare answers that seem to influence the judge with the others, by the kinds found in them (`flagged`)."""
    games = battles.where(battles.labelled & (battles.model_a != battles.model_b))
    names = zip(games.question.tolist(), games.model_b.tolist(), strict=True)
    is_fake = np.array(
        [(games.questions[question], games.models[model]) in flagged for question, model in names], dtype=np.bool_
    )
    found = []
    for index in np.unique(games.model_b[is_fake]):
        fakes, others = (games.where((games.model_b == index) & kind) for kind in (is_fake, ~is_fake))
        model = games.models[index]
        asked = np.unique(fakes.question)
        attempts = [flagged[games.questions[question], model] for question in asked]
        found.append(
            FakeVerdicts(
                model,
                len(asked),
                resampler.share(fakes.question, fakes.points),
                resampler.share(others.question, others.points),
                dict(Counter(kind for kinds in attempts for kind in kinds)),
                {kind: excerpt for kinds in reversed(attempts) for kind, excerpt in kinds.items()},
                len(asked) + len(np.unique(others.question)),
            )
        )
    return found


def position_report(
    battles: Battles, resampler: QuestionResampler, same_text: Callable[[str, str, str], bool]
) -> PositionReport | None:
    """Count the verdicts of one judge that follow the places; None if no comparison has a label in both orders.

    Args:
        battles: the games of one judge.
        resampler: of the questions of `battles`.
        same_text: whether two models (the last two arguments) gave the same answer to a question (the first).
    """
    pairs = game_pairs(battles)
    if not len(pairs.question):
        return None
    names, questions = battles.models, battles.questions
    indices = zip(pairs.question.tolist(), pairs.model_a.tolist(), pairs.model_b.tolist(), strict=True)
    identical = np.array(
        [a == b or same_text(questions[question], names[a], names[b]) for question, a, b in indices], dtype=np.bool_
    )
    different = pairs.where(~identical)
    by_model = [(names[index], different.where(different.model_b == index)) for index in np.unique(different.model_b)]
    return PositionReport(
        pairs=len(different.question),
        flips=resampler.share(different.question, different.flipped),
        unstable=resampler.share(different.question, different.first != different.second),
        first_place=resampler.share(different.question, different.first_place),
        models=[
            ModelFlips(
                name,
                resampler.share(mine.question, mine.flipped),
                resampler.share(mine.question, mine.first_place),
            )
            for name, mine in by_model
        ],
        identical=_identical_answers(pairs.where(identical), resampler),
    )


def game_pairs(battles: Battles) -> GamePairs:
    """Return the comparisons of one judge with a label in game 1 and in game 2."""
    size = len(battles.models)
    code = (battles.question * size + battles.model_a) * size + battles.model_b
    one = np.flatnonzero((battles.game == 1) & battles.labelled)
    two = np.flatnonzero((battles.game == 2) & battles.labelled)
    _, at_one, at_two = np.intersect1d(code[one], code[two], return_indices=True)
    one, two = one[at_one], two[at_two]
    return GamePairs(
        battles.question[one], battles.model_a[one], battles.model_b[one], battles.points[one], battles.points[two]
    )


def _identical_answers(pairs: GamePairs, resampler: QuestionResampler) -> IdenticalAnswers | None:
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
        biased=resampler.share(pairs.question, ~ties),
    )
