"""The decider: counts judgments as they arrive and decides which models need no more of them.

It looks after every question, which bets allow (see `engine.ratings.betting`). Two rules keep their promise:

- Questions that finish early are not a random sample (short answers are fast and may be good or bad). Records therefore
  count in the seeded random order of the questions, whatever the order of their arrival: one that arrives early waits
  for those before it.
- A decision is final, though records already in flight may still arrive.

The promise is about the whole run: the probability that any model is ever called better, worse or equivalent wrongly is
at most the rule's alpha (`engine.ratings.family`); with `per_model`, that of each model on its own. Equivalence is two
one-sided tests at alpha each (Schuirmann, 1987), of which a difference as large as the margin passes at most one. To
call such a model wrongly better or worse takes a capital that would have excluded the margin before, so both mistakes
together have the probability of one. A judge that cannot be seen to notice a difference of the margin decides no
equivalence (`engine.ratings.sensitivity`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from engine.errors import UsageProblem, listed
from engine.labels import DEFAULT_WEIGHT, Label, Points, points_of_games, strength
from engine.ratings.betting import (
    Tally,
    difference_interval,
    interval,
    log_capital,
    log_capital_from,
    log_capital_near,
    log_capital_near_even,
    threshold,
    threshold_one_sided,
)
from engine.ratings.family import Family, models_refuted
from engine.ratings.sensitivity import Discrimination, blind
from engine.ratings.stop_rule import Decision, ErrorControl, Standing, StopRule

_EVEN = 0.5


class Decider:
    """Folds judgments, question by question, into a decision per model; the work for one grows with the number of
    distinct outcomes, not of questions.

    Args:
        rule: when a model needs no more judgments.
        models: the judged models, without the baseline.
        baseline: the model they are all compared with.
        order: the ids of the questions in their random order. Records of other questions are ignored.
        judges: how many judges report on each question; a question counts when all of them have.
        weight: of a strong label.
        first_game_only: ignore second games.

    Methods that count something return the models that it settles: those that need no more judgments from then on.
    Raises UsageProblem when the rule names an opponent that is not judged.
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
                f"stop rule decided:{opponent}: no such model is judged",
                f"judged models: {listed(models, 12) or 'none'}",
            )
        if opponent is not None and len(models) == 1:
            raise UsageProblem(
                f"stop rule decided:{opponent}: no other model is judged", "omit the name to decide by the baseline"
            )
        self._rule = rule
        self._judges = judges
        self._weight = weight
        self._first_game_only = first_game_only
        self._position = {question: position for position, question in enumerate(order)}
        largest = judges * (1 if first_game_only else 2) * max(1.0, weight)
        self._records = {model: _Records(largest) for model in models}
        self._opponent = opponent
        # Better or worse is a difference beyond this; one within a margin alone is left to the test of equivalence.
        self._gap = 0.0 if rule.decided else None if rule.margin is None else rule.margin / 100.0
        self._pairs = {model: _Pair(largest) for model in models if opponent is not None and model != opponent}
        self._orders = np.zeros(4, dtype=np.int64)  # pairs of games: all, same winner, flips, ties
        self._decisions: dict[str, Decision] = {}
        self._decided_after: dict[str, int] = {}
        tested = [model for model in models if model != opponent] if rule.is_test else []
        self.error_control = ErrorControl(
            alpha=rule.alpha, models=min(1, len(tested)) if rule.per_model else len(tested)
        )
        shared = Family(tested)
        self._families = {model: Family([model]) if rule.per_model else shared for model in tested}
        self._calls: dict[str, list[tuple[Decision, int]]] = {model: [] for model in tested}

    def observe(
        self, model: str, question_id: str, labels: Sequence[Label | None], *, judge: str = ""
    ) -> tuple[str, ...]:
        """Count a judge's labels of one question (game 1, game 2)."""
        points = points_of_games(labels, self._weight, first_game_only=self._first_game_only)
        if len(labels) == 2 and labels[0] is not None and labels[1] is not None:
            first, second = strength(labels[0], 1), strength(labels[1], 2)
            self._orders += (1, first * second > 0, first * second < 0, first == second == 0)
        return self.observe_points(model, question_id, points, judge=judge)

    def observe_points(self, model: str, question_id: str, points: Points, *, judge: str = "") -> tuple[str, ...]:
        """Count known points, such as expected ones. A second report of a judge is ignored."""
        position, records = self._position.get(question_id), self._records.get(model)
        if position is None or records is None or not records.add(position, judge, points, self._judges):
            return ()
        return self._advance(model)

    def skip(self, model: str, question_id: str) -> tuple[str, ...]:
        """Pass a question whose calls failed, so that those behind it need not wait."""
        position, records = self._position.get(question_id), self._records.get(model)
        if position is None or records is None:
            return ()
        records.complete.setdefault(position, Points(0.0, 0.0))
        return self._advance(model)

    def exhaust(self) -> tuple[str, ...]:
        """End judging because a budget is used up."""
        settled = [model for model in self._records if not self.is_settled(model)]
        for model in settled:
            if model not in self._decisions:
                self._settle(model, "budget", self._records[model].tally.questions)
        return tuple(settled)

    def position(self, question_id: str) -> int | None:
        """Return the position of a question in the order, from 0; None for one that is not in it."""
        return self._position.get(question_id)

    def counted(self, model: str) -> int:
        """Return how many positions of the order the model has passed, questions without a label among them."""
        return self._records[model].counted

    def decision(self, model: str) -> Decision:
        return self._decisions.get(model, "undecided")

    def is_settled(self, model: str) -> bool:
        """Whether the model needs no more judgments. A named opponent needs them until all others are settled."""
        if model == self._opponent and self._pairs:
            return all(other in self._decisions for other in self._pairs)
        return model in self._decisions

    @property
    def all_settled(self) -> bool:
        return all(map(self.is_settled, self._records))

    def standing(self, model: str) -> Standing:
        """Return the state of a model for a display."""
        tally = self._records[model].tally
        known = Standing(
            self.decision(model),
            tally.questions,
            decided_after=self._decided_after.get(model),
            margin=self._rule.margin,
        )
        if not tally.questions:
            return known
        won, total = tally.sums()
        lower, upper = interval(*tally.arrays(), tally.largest)
        known = msgspec.structs.replace(known, score=100.0 * won / total, lower=100.0 * lower, upper=100.0 * upper)
        pair = self._pairs.get(model)
        if pair is None or not pair.tally.questions:
            return known
        won, total, their_won, their_total = pair.tally.sums()
        below, above = pair.limits()
        return msgspec.structs.replace(
            known,
            difference=100.0 * (won / total - their_won / their_total),
            difference_lower=100.0 * below,
            difference_upper=100.0 * above,
        )

    def _advance(self, model: str) -> tuple[str, ...]:
        """Count the records whose turn has come, and look after each question."""
        changed: dict[str, None] = {}
        records = self._records[model]
        while records.count():
            if model not in self._pairs:
                changed |= self._look(model, records.tally)
        for other in self._pairs if model == self._opponent else (model,) if model in self._pairs else ():
            changed |= self._advance_pair(other)
        return tuple(changed)

    def _advance_pair(self, model: str) -> dict[str, None]:
        """Look at the model and the opponent in step: the order of the questions decides, not that of arrival."""
        assert self._opponent is not None
        changed: dict[str, None] = {}
        pair = self._pairs[model]
        while pair.count(self._records[model], self._records[self._opponent]):
            changed |= self._look(model, pair.alone)
        return changed

    def _look(self, model: str, tally: Tally) -> dict[str, None]:
        """Look at a model after a question; return the models of which a decision came, or moved to fewer questions."""
        changed: dict[str, None] = {}
        if model in self._decisions:
            return changed
        if model in self._families:
            pair = self._pairs.get(model)
            seen = (pair.tally if pair else tally).questions
            decision, evidence = self._evidence(model, tally) if seen else ("undecided", 0)
            self._calls[model].append((decision, seen))
            for name, position in self._families[model].add(model, evidence).items():
                self._call(name, position)
                changed[name] = None
        half_width = self._rule.half_width
        if half_width is not None and model not in self._decisions and tally.questions:
            lower, upper = interval(*tally.arrays(), tally.largest)
            if 50.0 * (upper - lower) <= half_width:
                self._settle(model, "precise", tally.questions)
                changed[model] = None
        return changed

    def _evidence(self, model: str, tally: Tally) -> tuple[Decision, int]:
        """Return what the model would be called, and among how many models without evidence (see `Family`)."""
        assert self._gap is not None
        pair, most, alpha = self._pairs.get(model), self.error_control.models, self._rule.alpha
        two_sided, one_sided = threshold(alpha), threshold_one_sided(alpha)
        better, worse = pair.apart(self._gap, two_sided) if pair else _apart(tally, self._gap)
        decision: Decision = "better" if better >= worse else "worse"
        evidence = models_refuted(max(better, worse), two_sided, most)
        margin = self._rule.margin
        if margin is not None and evidence < most:
            share = margin / 100.0
            near = pair.near(share, one_sided) if pair else log_capital_near_even(*tally.arrays(), share, tally.largest)
            as_equal = models_refuted(near, one_sided, most)
            if as_equal > evidence and not self._is_blind(margin):
                return "equivalent", as_equal
        return decision, evidence

    def _is_blind(self, margin: float) -> bool:
        """Return whether the judges cannot be seen to notice a difference of so many points."""
        return any(True for _ in blind(Discrimination(*self._orders.tolist()), margin))

    def _call(self, model: str, position: int) -> None:
        """Decide by the evidence at a position; a decision that came later rests on the questions up to there."""
        decision, questions = self._calls[model][position]
        if self._decisions.get(model) == decision:
            self._decided_after[model] = questions
        self._settle(model, decision, questions)

    def _settle(self, model: str, decision: Decision, questions: int) -> None:
        """Decide; the first decision is final."""
        if model in self._decisions:
            return
        self._decisions[model] = decision
        self._decided_after[model] = questions
        if model in self._pairs:
            self._pairs[model].look()
        if decision in ("precise", "budget") and model in self._families:
            self._families[model].end(model)


def _apart(tally: Tally, gap: float) -> tuple[float, float]:
    """Return the capitals (logarithms) against a score at most `gap` above even, and at most so far below."""
    outcomes, counts = tally.arrays()
    lost = np.hstack([outcomes[:, [1]] - outcomes[:, [0]], outcomes[:, [1]]])
    least = _EVEN + gap
    return (
        float(log_capital(outcomes, counts, least, tally.largest)),
        float(log_capital(lost, counts, least, tally.largest)),
    )


class _Records:
    """One model's points by position in the order, and the tally of those that count."""

    def __init__(self, largest: float) -> None:
        self.tally = Tally(largest)
        self.complete: dict[int, Points] = {}
        self.counted = 0
        self._partial: dict[int, dict[str, Points]] = {}

    def add(self, position: int, judge: str, points: Points, judges: int) -> bool:
        """Keep a judge's report; True when it completes the question."""
        if position in self.complete:
            return False
        reports = self._partial.setdefault(position, {})
        reports.setdefault(judge, points)
        if len(reports) < judges:
            return False
        won, total = zip(*reports.values(), strict=True)
        self.complete[position] = Points(sum(won), sum(total))
        del self._partial[position]
        return True

    def count(self) -> bool:
        """Count the next question, if it is complete; one without any label passes without counting."""
        points = self.complete.get(self.counted)
        if points is None:
            return False
        self.counted += 1
        if points.total:
            self.tally.add(points)
        return True


class _Pair:
    """A model and the named opponent on the questions of both; `alone` is the model up to the same position."""

    def __init__(self, largest: float) -> None:
        self.alone = Tally(largest)
        self.tally = Tally(largest)
        self._next = 0
        self._look_at = 1
        self._seen = self.tally.arrays()
        self._limits: tuple[float, float] | None = None

    def count(self, mine: _Records, theirs: _Records) -> bool:
        """Count the next question, if it is complete for both."""
        a, b = mine.complete.get(self._next), theirs.complete.get(self._next)
        if a is None or b is None:
            return False
        self._next += 1
        if a.total:
            self.alone.add(a)
        if a.total and b.total:
            self.tally.add((*a, *b))
            if self.tally.questions >= self._look_at:
                self.look()
        return True

    def apart(self, gap: float, level: float) -> tuple[float, float]:
        """Return the capitals (logarithms) against a model at most `gap` above the opponent, and at most so far below;
        values below `level` where they have not reached it."""
        outcomes, counts = self.tally.arrays()
        better = log_capital_from(outcomes, counts, gap, self.tally.largest, level)
        if better >= level:
            return better, -math.inf
        return better, log_capital_from(outcomes[:, [2, 3, 0, 1]], counts, gap, self.tally.largest, level)

    def near(self, margin: float, level: float) -> float:
        """Return the capital (logarithm) against differences of `margin` and more; a value below `level` where it has
        not reached it."""
        won, total, their_won, their_total = self.tally.sums()
        if abs(won / total - their_won / their_total) >= margin:
            return -math.inf
        return log_capital_near(*self.tally.arrays(), margin, self.tally.largest, level)

    def look(self) -> None:
        """Take the limits from here on from the questions up to now."""
        self._look_at = self.tally.questions + max(1, self.tally.questions // 20)
        self._seen = self.tally.arrays()
        self._limits = None

    def limits(self) -> tuple[float, float]:
        """Return the limits of the difference at the last look: they take long, so looks are a twentieth apart."""
        if self._limits is None:
            self._limits = difference_interval(*self._seen, self.tally.largest)
        return self._limits
