"""Which of several models are called, so that a run makes any wrong call with a probability of at most alpha.

Each model has evidence that it may be called: the capital of its bet (`engine.ratings.betting`), an e-process of mean
at most 1 under the hypothesis that is refused. Ten models without a difference, each decided at 5 % on its own, are
called wrongly in about 30 % of all runs.

Closed testing with the mean of the evidence (Vovk and Wang, "Confidence and discoveries with e-values", Statistical
Science 38, 2023) keeps alpha over all models and all looks, however the outcomes of models depend on each other: the
mean over any set of models is an e-process again, and reaches 1 / alpha with the probability alpha at most (Ville). A
model is called when the mean of every set that it is in does. It follows that it is called as soon as its evidence is
k / alpha, where k counts the model and the others that are not called and are themselves below 1 / alpha. That is never
later than Holm's procedure on the same evidence (k: all that are not called). e-BH (Wang and Ramdas, J. R. Stat. Soc. B
84, 2022) would call more: of its calls 5 % may be wrong, but one of ten runs could still hold a wrong one.

Sets are compared at one question: the time of the test is the position in the order of the questions, and a model that
has not come so far counts as one without evidence. So the order in which judgments arrive changes no call.

The proof is about models without a difference. Those with one are called on the wrong side even more rarely
(`benchmarks/families.py`), each for itself in at most alpha / 2 of runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from engine.ratings import ALPHA

Name = TypeVar("Name")


class Family(Generic[Name]):
    """The models that share the probability of a wrong call.

    Evidence is counted in models: how many models without evidence a model could be called among, itself included; 0
    below the level for one model alone.
    """

    def __init__(self, models: Iterable[Name]) -> None:
        self._evidence: dict[Name, list[int]] = {model: [] for model in models}
        self._called: dict[Name, int] = {}
        self._ended: set[Name] = set()

    def add(self, model: Name, evidence: int) -> dict[Name, int]:
        """Add the evidence after the model's next question.

        Returns the models that are called now, or were called after more questions than necessary (a judgment of
        another model came late), with the position in the order of the questions (from 0) that was enough.
        """
        known = self._evidence[model]
        known.append(evidence)
        return self._look(len(known) - 1) if evidence else {}

    def end(self, model: Name) -> None:
        """Expect no more questions of a model that is not called: its last evidence stays."""
        self._ended.add(model)

    def _look(self, position: int) -> dict[Name, int]:
        """Call models at `position`, and later ones where that changes what others need."""
        found: dict[Name, int] = {}
        last = max(map(len, self._evidence.values()))
        while position < last:
            waiting = [model for model in self._evidence if self._called.get(model, last) > position]
            evidence = {model: self._at(model, position) for model in waiting}
            needed = 1 + sum(not each for each in evidence.values())
            called = {model: position for model, each in evidence.items() if each >= needed}
            if not called and not found:
                break
            found |= called
            self._called |= called
            position += 1  # all that one look can call are called at once: none of them counted for the others
        return found

    def _at(self, model: Name, position: int) -> int:
        known = self._evidence[model]
        if position < len(known):
            return known[position]
        return known[-1] if known and model in self._ended else 0


def models_refuted(log_capital: float, log_level: float, most: int) -> int:
    """Return a capital (logarithm) as the number of models that it could be called among, at most `most`.

    Args:
        log_level: the capital that calls one model alone.
    """
    above = log_capital - log_level
    return 0 if above < 0.0 else most if above >= math.log(most) else int(math.exp(above) + 1e-9)


def next_level(called: Sequence[bool], alpha: float = ALPHA) -> float:
    """Return the error to spend on the next of comparisons that come one by one, such as checkpoints of a training.

    Their number is not known, so the n-th gets the share 1 / (n (n + 1)) of alpha: all shares together are 1. One that
    was called passes all that it had on to the next (the fallback procedure: Wiens and Dmitrienko, J. Biopharm. Stat.
    15, 2005; online: Tian and Ramdas, Statistical Methods in Medical Research 30, 2021). The probability of any wrong
    call, now or ever, is at most alpha, whatever the dependence: up to the first wrong call, the levels of comparisons
    without a difference are sums of shares, and no share is in two of them.

    A run decides at that level with the rule `StopRule(decided=True, alpha=next_level(...))`.

    Args:
        called: of each earlier comparison, oldest first, whether it was called (better, worse or equivalent).
    """
    level = 0.0
    for number, was_called in enumerate(called, start=1):
        level = level + alpha * _share(number) if was_called else 0.0
    return level + alpha * _share(len(called) + 1)


def _share(number: int) -> float:
    return 1.0 / (number * (number + 1))
