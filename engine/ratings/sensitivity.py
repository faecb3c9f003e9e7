"""Whether a judge can see a difference at all: without that, a score near 50 is no evidence of equal quality.

That two models were found alike means something only if the judge would have found them different, had they been: assay
sensitivity (ICH E10, "Choice of control group and related issues in clinical trials", 2000, section 1.5). A judge that
follows the places of the answers, or always ties, gives every model 50.

Each pair of answers is judged twice with the places swapped. Verdicts that name one winner twice carry information;
those whose winner changes with the places (flips) are as frequent as a judge without any names one winner twice by
chance. So the informative share is (same - flips) / pairs, and a model that loses everything is not seen to lose by
more than 50 points of that share. Noise like this pulls all scores towards 50 (attenuation; Spearman, American Journal
of Psychology 15, 1904).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from engine.errors import Advice, AdviceKind, listed
from engine.ratings.battles import Battles, BoolArray, IntArray

LEAST_PAIRS = 10
"""Pairs of games, below which no judge is called blind on a leaderboard."""
LEAST_VISIBLE = 2.0
"""Points of difference that a judge of a leaderboard should be able to show."""
_MANY_FLIPS, _MANY_TIES = 0.3, 0.6
_ENOUGH_PAIRS = 100  # to show that a judge sees differences; fewer call it blind only if that is sure
_ONE_SIDED = 1.645  # deviates: 95 %
_BAD_SCORE = 15.0  # percent of the points, for an answer that must lose
_ENOUGH_GAMES = 20  # of an answer that must lose, for its limits to decide


class KnownBad(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge gave to an answer that must lose, percent with 95 % limits; some `addresses_judge` for its verdict.

    The limits are None where there are too few questions for them.
    """

    judge: str
    answer: str
    score: float
    lower: float | None
    upper: float | None
    games: int
    addresses_judge: bool = False

    @property
    def words(self) -> str:
        limits = "" if self.lower is None or self.upper is None else f" [{self.lower:.1f}, {self.upper:.1f}]"
        return f"{self.answer} {self.score:.1f}{limits}"

    def is_seen(self, margin: float) -> bool:
        """Return whether the judge was seen to find it worse than the baseline by more than `margin` points."""
        most = 50.0 - margin
        return self.score < most and (self.games < _ENOUGH_GAMES or self.upper is None or self.upper < most)


@dataclass(frozen=True)
class Discrimination:
    """Verdicts on pairs of games: the same winner twice, another winner after the swap, a tie in both."""

    pairs: int
    same: int
    flips: int
    ties: int

    @property
    def visible(self) -> tuple[float, float]:
        """One-sided 95 % limits, below and above, of the largest difference that the verdicts show, in points."""
        if not self.pairs:
            return 0.0, 50.0
        informative = (self.same - self.flips) / self.pairs
        variance = max(0.0, (self.same + self.flips) / self.pairs - informative**2) / self.pairs
        reach = _ONE_SIDED * math.sqrt(variance)
        return 50.0 * (informative - reach), 50.0 * (informative + reach)

    @property
    def words(self) -> str:
        return f"of {self.pairs} pairs of games {self.flips} flip with the places and {self.ties} are ties"


@dataclass(frozen=True)
class PairVerdicts:
    """K pairs of games of one judge on the same answers in both orders.

    Attributes:
        model_a, model_b: [K] indices of the models.
        same, flipped, tied: [K] the same winner twice, another winner after the swap, a tie in both.
    """

    model_a: IntArray
    model_b: IntArray
    same: BoolArray
    flipped: BoolArray
    tied: BoolArray

    def of(self, model: int | None = None) -> Discrimination:
        """Count the pairs of a model (None: all)."""
        every = np.ones(len(self.same), dtype=np.bool_)
        chosen = every if model is None else (self.model_a == model) | (self.model_b == model)
        counts = (int(np.count_nonzero(each & chosen)) for each in (chosen, self.same, self.flipped, self.tied))
        return Discrimination(*counts)


def pair_verdicts(battles: Battles) -> PairVerdicts:
    """Return the pairs of games, between two models, that have a label in both orders.

    Where the source does not say which game is which, two games of the same answers are such a pair.
    """
    battles = battles.first_judgments()
    models = len(battles.models)
    low, high = np.minimum(battles.model_a, battles.model_b), np.maximum(battles.model_a, battles.model_b)
    code = ((battles.judge * len(battles.questions) + battles.question) * models + low) * models + high
    rated = np.flatnonzero(battles.labelled & (low != high))
    rated = rated[np.argsort(code[rated] * 3 + battles.game[rated], kind="stable")]
    begins = np.ones(len(rated), dtype=np.bool_)
    begins[1:] = code[rated][1:] != code[rated][:-1]
    at = np.flatnonzero(begins[:-1] & ~begins[1:])
    first, second = rated[at], rated[at + 1]
    swapped = (battles.game[first] != battles.game[second]) != (battles.model_a[first] != battles.model_a[second])
    in_both_orders = swapped | (battles.game[first] == 0)
    first, second = first[in_both_orders], second[in_both_orders]
    signed = np.where(battles.model_b == high, battles.points - 0.5, 0.5 - battles.points)
    one, two = signed[first], signed[second]
    return PairVerdicts(low[first], high[first], one * two > 0.0, one * two < 0.0, (one == 0.0) & (two == 0.0))


def blind(found: Discrimination, margin: float) -> Iterator[str]:
    """Yield the reason why verdicts cannot show a difference of `margin` points, if they cannot."""
    least, _ = found.visible
    if least <= 0.0 or least < margin:
        yield Advice(
            f"no assay sensitivity: {found.words}, so the judge cannot be seen to notice a difference of {margin:g} "
            "points, and finding none proves nothing (ICH E10, 1.5); use another judge or prompt, and audit it with "
            "answers that must lose",
            AdviceKind.PROBE,
        )


def blind_to_bad(known: Sequence[KnownBad], margin: float) -> Iterator[str]:
    """Yield the reason why a judge cannot show a difference of `margin` points, if an answer without content shows it.

    An answer that addresses the judge is left out: that it wins shows how to cheat the judge, not what the judge sees.
    """
    for judge in dict.fromkeys(each.judge for each in known):
        unseen = [each.words for each in known if each.judge == judge and _is_unseen(each, margin)]
        if unseen:
            yield Advice(
                f"no assay sensitivity: {judge} does not see that answers which must lose are worse by {margin:g} "
                f"points ({listed(unseen)}), so finding no difference proves nothing (ICH E10, 1.5); use another judge "
                "or prompt, and probe it",
                AdviceKind.PROBE,
            )


def _is_unseen(each: KnownBad, margin: float) -> bool:
    return not each.addresses_judge and not each.is_seen(margin)


def known_bad_cautions(known: Sequence[KnownBad]) -> Iterator[str]:
    """Yield warnings about judges that give many points to answers that must lose."""
    for judge in dict.fromkeys(each.judge for each in known):
        high = [each for each in known if each.judge == judge and each.score >= _BAD_SCORE]
        if content := [each.words for each in high if not each.addresses_judge]:
            yield (
                f"{judge} gives points to answers that must lose: {listed(content)}; such noise pulls scores towards "
                "50, so a score near it does not mean equal quality"
            )
        if orders := [each.words for each in high if each.addresses_judge]:
            yield f"{judge} obeys answers that ask for its verdict: {listed(orders)}; look for such answers in an audit"


def sensitivity_cautions(battles: Battles, models: Sequence[int], known: Sequence[KnownBad] = ()) -> Iterator[str]:
    """Yield warnings where the verdicts on some of the models (indices) show little of their differences.

    `known` are the scores of answers that must lose.
    """
    yield from known_bad_cautions(known)
    verdicts = pair_verdicts(battles)
    found = verdicts.of()
    least, most = found.visible
    if found.pairs >= LEAST_PAIRS and (most if found.pairs < _ENOUGH_PAIRS else least) < LEAST_VISIBLE:
        yield (
            f"the judge cannot be seen to notice differences: {found.words}; scores near 50 do not mean equal quality, "
            "so audit the judge with constant answers, which must lose"
        )
        return
    noisy = []
    for model in models:
        mine = verdicts.of(model)
        if mine.pairs >= LEAST_PAIRS and (mine.flips > _MANY_FLIPS * mine.pairs or mine.ties > _MANY_TIES * mine.pairs):
            flips, ties = (100.0 * count / mine.pairs for count in (mine.flips, mine.ties))
            noisy.append(f"{battles.models[model]} ({flips:.0f}% flips, {ties:.0f}% ties)")
    if noisy:
        yield f"flips and ties of the judge pull scores towards 50: {listed(noisy)}"
