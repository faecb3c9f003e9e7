"""The decider: reads judgments as they come in and tells which models need no more of them.

It looks after every question, which confidence sequences allow. Two things would break their promise, and are
prevented here:

- Questions that finish early are not a random sample (short answers are fast and may be good or bad). Records
  therefore count in the seeded random order of the questions, whatever the order of their arrival: one that comes
  before its turn waits for those in front of it.
- A verdict, once reached, stays, though records already under way may still come in.

The promise is per model: for each, the probability that it is ever called better or worse wrongly is at most 5 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from engine.errors import UsageProblem
from engine.labels import DEFAULT_WEIGHT, Label, Points, points_of_games
from engine.ratings import MINIMUM_QUESTIONS
from engine.ratings.confidence_sequence import (
    CrossMoments,
    Moments,
    difference_interval,
    interval,
)
from engine.ratings.stop_rule import Decision, Standing, StopRule

_EVEN = 0.5


class Decider:
    """Folds judgments, question by question, into a verdict per model; constant work a record and opponent.

    Args:
        rule: when a model needs no more judgments.
        models: the judged models, without the baseline.
        baseline: the model they are all compared with.
        order: the ids of the questions in their random order. Records of other questions are ignored.
        judges: how many judges report on each question; a question counts when all of them have.
        weight: what a strong verdict counts.
        first_game_only: leave second games out.

    Raises UsageProblem when the rule names an opponent that is not there.
    """

    def __init__(
        self,
        rule: StopRule,
        models: Sequence[str],
        *,
        baseline: str,
        order: Iterable[str],
        judges: int = 1,
        weight: float = DEFAULT_WEIGHT,
        first_game_only: bool = False,
    ) -> None:
        opponent = None if rule.opponent == baseline else rule.opponent
        if opponent is not None and opponent not in models:
            raise UsageProblem(
                f"--until decided:{opponent}: no such model is judged", f"judged are {', '.join(models) or 'none'}"
            )
        if opponent is not None and len(models) == 1:
            raise UsageProblem(
                f"--until decided:{opponent}: no other model is judged", "leave its name out to decide by the baseline"
            )
        self._rule = rule
        self._judges = judges
        self._weight = weight
        self._first_game_only = first_game_only
        self._place = {question: place for place, question in enumerate(order)}
        self._records = {model: _Records() for model in models}
        self._opponent = opponent
        self._pairs = {model: _Pair() for model in models if opponent is not None and model != opponent}
        self._verdicts: dict[str, Decision] = {}
        self._decided_after: dict[str, int] = {}

    def observe(
        self, model: str, question_id: str, labels: Sequence[Label | None], *, judge: str = ""
    ) -> tuple[str, ...]:
        """A judge's verdicts on one question (game 1, game 2). Returns the models that are settled by it."""
        return self.observe_outcome(
            model,
            question_id,
            points_of_games(labels, self._weight, first_game_only=self._first_game_only),
            judge=judge,
        )

    def observe_outcome(self, model: str, question_id: str, won: Points, *, judge: str = "") -> tuple[str, ...]:
        """The same for points that are known already, such as expected ones. A second report of a judge is ignored."""
        place = self._place.get(question_id)
        records = self._records.get(model)
        if place is None or records is None or not records.add(place, judge, won, self._judges):
            return ()
        return self._advance(model)

    def skip(self, model: str, question_id: str) -> tuple[str, ...]:
        """There will be no record of this question (its calls failed for good); those behind it need not wait."""
        place = self._place.get(question_id)
        records = self._records.get(model)
        if place is None or records is None:
            return ()
        records.whole.setdefault(place, Points(0.0, 0.0))
        return self._advance(model)

    def exhaust(self) -> tuple[str, ...]:
        """A budget is used up: no more judgments will come. Returns the models that are settled by it."""
        settled = [model for model in self._records if not self.is_settled(model)]
        for model in settled:
            if model not in self._verdicts:
                self._settle(model, "budget", self._records[model].moments, [])
        return tuple(settled)

    def place(self, question_id: str) -> int | None:
        """Where a question is in the order, from 0; None for one that is not in it."""
        return self._place.get(question_id)

    def counted(self, model: str) -> int:
        """How many places of the order lie behind the model, questions without a verdict among them."""
        return self._records[model].counted

    def verdict(self, model: str) -> Decision:
        return self._verdicts.get(model, "undecided")

    def is_settled(self, model: str) -> bool:
        """Whether the model needs no more judgments. A named opponent is needed until all others are settled."""
        if model == self._opponent and self._pairs:
            return all(other in self._verdicts for other in self._pairs)
        return model in self._verdicts

    @property
    def all_settled(self) -> bool:
        return all(map(self.is_settled, self._records))

    def standing(self, model: str) -> Standing:
        """What is known of the model so far, for a display."""
        moments = self._records[model].moments
        known = Standing(self.verdict(model), int(moments.n), decided_after=self._decided_after.get(model))
        if not moments.t:
            return known
        lower, upper = interval(moments)
        known = msgspec.structs.replace(known, score=100.0 * moments.share, lower=100.0 * lower, upper=100.0 * upper)
        pair = self._pairs.get(model)
        if pair is None or not pair.mine.t or not pair.theirs.t:
            return known
        below, above = pair.limits()
        return msgspec.structs.replace(
            known,
            difference=100.0 * (pair.mine.share - pair.theirs.share),
            difference_lower=100.0 * below,
            difference_upper=100.0 * above,
        )

    def _advance(self, model: str) -> tuple[str, ...]:
        """Count what has its turn, and look after each question."""
        settled: list[str] = []
        records = self._records[model]
        while records.count():
            if model not in self._pairs:
                self._look(model, records.moments, settled)
        if model == self._opponent:
            for other, pair in self._pairs.items():
                self._advance_pair(other, pair, settled)
        elif model in self._pairs:
            self._advance_pair(model, self._pairs[model], settled)
        return tuple(settled)

    def _advance_pair(self, model: str, pair: _Pair, settled: list[str]) -> None:
        """Look at the model and the opponent together, in step: what comes first in the order decides, not what
        arrived first."""
        assert self._opponent is not None
        while pair.count(self._records[model], self._records[self._opponent]):
            if pair.mine.n >= MINIMUM_QUESTIONS:
                below, above = pair.limits()
                self._decide(model, below, above, 0.0, pair.mine, settled)
            self._look(model, pair.alone, settled)

    def _look(self, model: str, moments: Moments, settled: list[str]) -> None:
        if moments.n < MINIMUM_QUESTIONS or model in self._verdicts:
            return
        lower, upper = interval(moments)
        if self._opponent is None:
            self._decide(model, lower, upper, _EVEN, moments, settled)
        half_width = self._rule.half_width
        if half_width is not None and model not in self._verdicts and 50.0 * (upper - lower) <= half_width:
            self._settle(model, "precise", moments, settled)

    def _decide(
        self, model: str, lower: float, upper: float, even: float, moments: Moments, settled: list[str]
    ) -> None:
        if self._rule.decided and model not in self._verdicts and not lower <= even <= upper:
            self._settle(model, "better" if lower > even else "worse", moments, settled)

    def _settle(self, model: str, verdict: Decision, moments: Moments, settled: list[str]) -> None:
        self._verdicts[model] = verdict
        self._decided_after[model] = int(moments.n)
        settled.append(model)


class _Records:
    """One model's outcomes by place in the order, and the moments of those whose turn has come."""

    def __init__(self) -> None:
        self.moments = Moments()
        self.whole: dict[int, Points] = {}
        self.counted = 0
        self._partial: dict[int, dict[str, Points]] = {}

    def add(self, place: int, judge: str, won: Points, judges: int) -> bool:
        """Keep a judge's report; True when it completes the question."""
        if place in self.whole:
            return False
        reports = self._partial.setdefault(place, {})
        reports.setdefault(judge, won)
        if len(reports) < judges:
            return False
        self.whole[place] = Points(
            sum(report.won for report in reports.values()), sum(report.total for report in reports.values())
        )
        del self._partial[place]
        return True

    def count(self) -> bool:
        """Count the next question, if it is there. One without any verdict passes without counting."""
        won = self.whole.get(self.counted)
        if won is None:
            return False
        self.counted += 1
        if won.total:
            self.moments = self.moments.plus(won.won, won.total)
        return True


class _Pair:
    """A model and the named opponent on the questions of both; `alone` is the model as far in the order as both are."""

    def __init__(self) -> None:
        self.alone = Moments()
        self.mine = Moments()
        self.theirs = Moments()
        self._cross = CrossMoments()
        self._next = 0

    def count(self, mine: _Records, theirs: _Records) -> bool:
        a, b = mine.whole.get(self._next), theirs.whole.get(self._next)
        if a is None or b is None:
            return False
        self._next += 1
        if a.total:
            self.alone = self.alone.plus(a.won, a.total)
        if a.total and b.total:
            self.mine = self.mine.plus(a.won, a.total)
            self.theirs = self.theirs.plus(b.won, b.total)
            self._cross = self._cross.plus(a.won, a.total, b.won, b.total)
        return True

    def limits(self) -> tuple[float, float]:
        return difference_interval(self.mine, self.theirs, self._cross)
