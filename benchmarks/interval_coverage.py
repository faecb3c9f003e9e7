"""Whether every interval that the program prints holds the truth 95 times in 100, on simulated benches.

    python benchmarks/interval_coverage.py [--benches 2000] [--questions 100] [--only scores,style]

A universe holds many questions; a bench draws some of them. The two games of a question share how hard it is for a
model, all models share how hard it is at all, and strong labels count three times, so nothing is independent but the
questions. Of each game the judge's probabilities of the five labels are known and a label is drawn from them, so the
universe tells the true score that both estimate. All estimates come from the program's own functions: benches are rated
a few hundred at once, as models of one large bench.

    scores    against one baseline: bootstrap, clustered errors, paired differences, ranks; by label and as expected
    pairs     any pairs of models: Bradley-Terry in a round robin
    cells     scores of 50 to 99.5 percent from 5 to 1,000 questions whose rare losses are strong ones
    style     win rates at equal style, weights of length and bold
    audit     flips, first place, kappa
    people    scores corrected by few labels

Lines marked `-` are for comparison and promise nothing. The exit code is 1 if a promise is off by more than 1.5 points;
`at least` promises 94 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import msgspec
import numpy as np
from judge_coverage import audit_coverage, people_coverage, style_coverage

from engine.ratings.battles import Battles
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles
from engine.ratings.limits import holm, interval, rank_ranges
from engine.ratings.outcomes import relative_width
from engine.ratings.paired import PairedRatings
from engine.ratings.score_limits import ratio_limits_of_kinds

UNIVERSE = 20_000
WEIGHT = 3
STRENGTHS = (-1.6, -0.2, 0.0, 0.7)
NOMINAL, TOLERANCE = 95.0, 1.5
LEAST, SIMULATION_ERROR = 94.0, 0.5
_AT_ONCE = 250  # benches in one table: 250 MB
_LEVELS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
_POINTS = np.array([0.0, 0.0, 0.5, 1.0, 1.0])
_WEIGHTS = np.array([WEIGHT, 1.0, 1.0, 1.0, WEIGHT])


@dataclass
class Tally:
    """Hits of every kind of interval; kinds that begin with `-` promise nothing."""

    hits: dict[str, list[bool]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, held: np.ndarray | bool) -> None:
        self.hits.setdefault(kind, []).extend(np.atleast_1d(held).tolist())

    def coverage(self) -> dict[str, float]:
        """Percent of the intervals that held the truth."""
        return {kind: 100.0 * float(np.mean(hits)) for kind, hits in self.hits.items()}

    def broken(self) -> list[str]:
        """Promises that are off. Ranks hold for all models at once with *at least* 95 %."""
        return [
            kind
            for kind, share in self.coverage().items()
            if not kind.startswith("-") and (share < _least(kind) or (share > NOMINAL + TOLERANCE and _is_exact(kind)))
        ]


def _least(kind: str) -> float:
    """Return the least coverage promised; a cell has the error of its simulation beside."""
    return LEAST - SIMULATION_ERROR if "at least" in kind else NOMINAL - TOLERANCE


def _is_exact(kind: str) -> bool:
    return "ranks" not in kind and "at least" not in kind


@dataclass(frozen=True)
class Universe:
    """Probabilities [K, M, 2 games, 5 labels from much worse to much better] of every possible question."""

    odds: np.ndarray

    @classmethod
    def of_strengths(cls, strengths: Sequence[float], rng: np.random.Generator) -> Universe:
        """Models of the given strengths; 0 is about the baseline's. The judge favours a place by 0.3."""
        shape = (UNIVERSE, len(strengths), 2)
        merit = np.array(strengths)[None, :, None] + 0.7 * rng.normal(size=(UNIVERSE, 1, 1))
        merit = merit + rng.normal(size=(UNIVERSE, len(strengths), 1)) + 0.4 * rng.normal(size=shape)
        merit += np.array([0.3, -0.3])
        heights = 1.2 * merit[..., None] * _LEVELS - np.array([1.0, 0.0, 0.5, 0.0, 1.0])
        odds = np.exp(heights - heights.max(axis=-1, keepdims=True))
        return cls(odds / odds.sum(axis=-1, keepdims=True))

    @property
    def truth(self) -> np.ndarray:
        """[M] the true scores: expected points won of those played for."""
        won, total = (self.odds @ (_WEIGHTS * _POINTS)).sum(axis=2), (self.odds @ _WEIGHTS).sum(axis=2)
        return won.sum(axis=0) / total.sum(axis=0)

    def benches(self, questions: int, benches: int, rng: np.random.Generator) -> Battles:
        """So many benches as models of one table: model m of bench k is named `k:m`."""
        drawn = rng.integers(0, UNIVERSE, (benches, questions))
        odds = self.odds[drawn]  # [benches, questions, M, 2, 5]
        chance = rng.random(odds.shape[:-1])
        label = (odds.cumsum(axis=-1) < chance[..., None]).sum(axis=-1).clip(max=4)
        bench, question, model, game = np.indices(label.shape).reshape(4, -1)
        models = self.odds.shape[1]
        return Battles(
            questions=tuple(f"{number:04}" for number in range(questions)),
            models=("", *(f"{number:06}" for number in range(benches * models))),
            judges=("",),
            question=question,
            model_a=np.zeros_like(model),
            model_b=1 + bench * models + model,
            judge=np.zeros_like(model),
            game=game + 1,
            points=_POINTS[label].ravel(),
            strong=(np.abs(_LEVELS[label]) == 2.0).astype(float).ravel(),
            odds=odds.reshape(-1, 5),
        )


def scores(tally: Tally, benches: int, questions: int, rounds: int = 1000, seed: int = 1) -> None:
    """Everything that rests on games against one baseline."""
    rng = np.random.default_rng(seed)
    universe = Universe.of_strengths(STRENGTHS, rng)
    widths = []
    for begin in range(0, benches, _AT_ONCE):
        count = min(_AT_ONCE, benches - begin)
        battles = universe.benches(questions, count, rng)
        truth = np.tile(universe.truth, count)
        by_label = RatingOptions(baseline="", rounds=rounds, seed=seed + begin, weight=WEIGHT)
        expected = msgspec.structs.replace(by_label, soft=True)
        rated = {}
        for name, options in (("score", by_label), ("soft score", expected)):
            rated[name] = rate_battles(battles, options)
            clustered = rate_battles(battles, msgspec.structs.replace(options, ci="sandwich", rounds=1))
            tally.add(f"{name}, by question", _hold(rated[name], truth))
            tally.add(f"{name}, sandwich", _hold(clustered, truth))
            for kind, held in _of_differences(rated[name], options, universe.truth, count):
                tally.add(kind if name == "score" else f"soft {kind}", held)
        tally.add("- score, rows as arena tools do", _hold_by_rows(battles, rounds, universe.truth, count))
        limits = [(each.lower[1:], each.upper[1:]) for each in (rated["soft score"], rated["score"])]
        widths.append(relative_width(*limits) or np.nan)
    tally.notes.append(f"intervals by expected points are {np.mean(widths):.2f} times as wide as those by label")


def _hold(ratings: Ratings, truth: np.ndarray) -> np.ndarray:
    return (ratings.lower[1:] <= truth) & (truth <= ratings.upper[1:])


def _hold_by_rows(battles: Battles, rounds: int, truth: np.ndarray, benches: int) -> np.ndarray:
    """Rows are drawn from a whole file, so the benches have to be rated one by one: the first 20 of them."""
    models = len(truth)
    options = RatingOptions(baseline="", rounds=rounds, weight=WEIGHT, ci="battle")
    held = []
    for bench in range(min(benches, 20)):
        first = 1 + bench * models
        ratings = rate_battles(_alone(battles, range(first, first + models)), options)
        held.append(_hold(ratings, truth))
    return np.concatenate(held)


def _alone(battles: Battles, chosen: range) -> Battles:
    mine = battles.where((battles.model_b >= chosen.start) & (battles.model_b < chosen.stop))
    names = ("", *battles.models[chosen.start : chosen.stop])
    return Battles(
        mine.questions, names, mine.judges, mine.question, mine.model_a, mine.model_b - chosen.start + 1,
        mine.judge, mine.game, mine.points, mine.strong, mine.odds,
    )  # fmt: skip


def _of_differences(
    ratings: Ratings, options: RatingOptions, truth: np.ndarray, benches: int
) -> Iterator[tuple[str, bool]]:
    """Paired differences of the models of each bench, and the ranks they can have, the baseline among them."""
    paired = PairedRatings(ratings, options)
    every = np.concatenate([[0.5], truth])
    true_rank = 1 + np.array([np.sum(every > mine) for mine in every])
    for bench in range(benches):
        place = [0, *range(1 + bench * len(truth), 1 + (bench + 1) * len(truth))]
        p_values, signs = [], []
        for one, other in combinations(range(len(every)), 2):
            found = paired.difference(place[one], place[other])
            assert found is not None
            gap, true = found.rate_a - found.rate_b, every[one] - every[other]
            p_values.append(found.p_value)
            signs.append(gap)
            if one:
                yield "paired difference, bootstrap", found.lower <= true <= found.upper
                yield "paired difference, sandwich", abs(gap - true) <= 1.96 * found.std_error
        better = np.zeros((len(every), len(every)), dtype=np.bool_)
        for (one, other), p, gap in zip(combinations(range(len(every)), 2), holm(p_values), signs, strict=True):
            if p < 0.05:
                better[(one, other) if gap > 0 else (other, one)] = True
        best, worst = rank_ranges(better)
        yield "ranks of all models at once", bool(np.all((best <= true_rank) & (true_rank <= worst)))


def pairs(tally: Tally, benches: int, questions: int, rounds: int = 400, seed: int = 2) -> None:
    """A round robin of four models, two games a pair and question, that share the skill of each model on a question.

    The truth is the Bradley-Terry fit on a bench of all questions.
    """
    rng = np.random.default_rng(seed)
    strengths = np.array([0.0, *STRENGTHS[:3]])
    universe = _round_robin(strengths, UNIVERSE, rng)
    truth = rate_battles(universe, RatingOptions(baseline="m0", rounds=1, weight=WEIGHT)).rate[1:]
    for bench in range(benches):
        battles = _round_robin(strengths, questions, rng)
        options = RatingOptions(baseline="m0", rounds=rounds, seed=bench, weight=WEIGHT)
        ratings = rate_battles(battles, options)
        tally.add("score in a round robin, bootstrap", _hold(ratings, truth))
        clustered = rate_battles(battles, msgspec.structs.replace(options, ci="sandwich", rounds=1))
        tally.add("score in a round robin, sandwich", _hold(clustered, truth))
        lower, upper = interval((ratings.resampled[:, 1] - ratings.resampled[:, 2])[:, None], questions)
        tally.add("difference in a round robin", bool(lower[0] <= truth[0] - truth[1] <= upper[0]))


def _round_robin(strengths: np.ndarray, questions: int, rng: np.random.Generator) -> Battles:
    skill = strengths + rng.normal(size=(questions, len(strengths)))
    first, second = np.array(list(combinations(range(len(strengths)), 2))).T
    margin = (skill[:, second] - skill[:, first])[..., None] + 0.5 * rng.normal(size=(questions, len(first), 2))
    question, pair, game = np.indices(margin.shape).reshape(3, -1)
    return Battles(
        questions=tuple(map(str, range(questions))),
        models=tuple(f"m{index}" for index in range(len(strengths))),
        judges=("",),
        question=question,
        model_a=first[pair],
        model_b=second[pair],
        judge=np.zeros_like(pair),
        game=game + 1,
        points=np.where(np.abs(margin) < 0.25, 0.5, (margin > 0.0).astype(float)).ravel(),
        strong=(np.abs(margin) > 1.2).astype(float).ravel(),
    )


CELL_QUESTIONS = (5, 10, 20, 30, 50, 100, 300, 1000)
CELL_SCORES = (50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5)
CELL_FLIPS = (0.0, 0.1, 0.3)
KINDS = np.array([(6, 6), (4, 4), (3, 4), (2, 2), (1.5, 2), (1, 2), (1, 4), (0.5, 2), (0, 2), (0, 4), (0, 6)])
"""Points won and played for on a question: two strong wins, a strong and a plain one, ..., two strong losses."""
FAMILIES = {
    "plain wins, rare strong losses": ({3: 1.0}, {10: 1.0}),
    "80 % ties, 20 % wins, rare strong losses": ({5: 0.8, 3: 0.2}, {10: 1.0}),
    "strong wins, rare plain losses": ({0: 1.0}, {8: 1.0}),
    "strong wins and losses": ({0: 0.5, 3: 0.5}, {10: 0.5, 8: 0.5}),
    "all strong": ({0: 1.0}, {10: 1.0}),
    "all plain": ({3: 1.0}, {8: 1.0}),
    "half of a pair lost": ({3: 1.0}, {6: 1.0}),
    "all kinds": ({0: 0.3, 1: 0.1, 2: 0.1, 3: 0.3, 4: 0.1, 5: 0.1}, {5: 0.1, 6: 0.1, 7: 0.1, 8: 0.3, 9: 0.1, 10: 0.3}),
}
"""Kinds of questions that are usual, and kinds that are rarer the higher the score, each with its share."""


def cells(tally: Tally, benches: int, questions: int, seed: int = 3) -> None:
    """Scores near 100 percent and skewed outcomes; for each number of questions and score the worst of the families."""
    del questions
    rng = np.random.default_rng(seed)
    won, total = KINDS[:, :1], KINDS[:, 1:]
    heaviest = np.full(benches, total.max())
    for count in CELL_QUESTIONS:
        for score in CELL_SCORES:
            found = []
            for family, (usual, rare) in FAMILIES.items():
                for flips in CELL_FLIPS:
                    chances = _chances(usual, rare, flips, score / 100.0)
                    if chances is not None:
                        numbers = rng.multinomial(count, chances, size=benches).T.astype(float)
                        lower, upper = ratio_limits_of_kinds(won, total, numbers, heaviest)
                        held = (lower <= score / 100.0) & (score / 100.0 <= upper)
                        found.append(
                            (held.mean(), f"{family}, {100 * flips:.0f} % flips", held, np.mean(upper - lower))
                        )
            _, worst, held, width = min(found, key=lambda each: each[0])
            tally.add(f"{score:4.1f} on {count:4} questions, at least", held)
            tally.notes.append(
                f"{score:4.1f} on {count:4} questions: {100 * held.mean():5.1f} % ({worst}; {100 * width:.1f} wide), "
                f"{100 * np.mean([share for share, *_ in found]):5.1f} % over {len(found)} families"
            )


def _chances(usual: dict[int, float], rare: dict[int, float], flips: float, score: float) -> np.ndarray | None:
    """Return the chances of the kinds that give a true score, by bisection; None where the family does not reach it."""
    ends = np.zeros((2, len(KINDS)))
    for end, shares in zip(ends, (usual, rare), strict=True):
        end[list(shares)] = (1.0 - flips) * np.array(list(shares.values()))
        end[5] += flips

    def mixed(share: float) -> np.ndarray:
        return (1.0 - share) * ends[0] + share * ends[1]

    def excess(share: float) -> float:
        won, total = mixed(share) @ KINDS
        return float(won / total - score)

    if excess(0.0) < 0.0 or excess(1.0) > 0.0:
        return None
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    return mixed(low)


def style(tally: Tally, benches: int, questions: int) -> None:
    """Style control, by question; the same as if games were independent on the first few benches."""
    for kind, hits in style_coverage(benches, questions).items():
        tally.add(kind, np.array(hits))


def audit(tally: Tally, benches: int, questions: int) -> None:
    """What the audit says of a judge."""
    for kind, hits in audit_coverage(benches, questions).items():
        tally.add(kind, np.array(hits))


def people(tally: Tally, benches: int, questions: int) -> None:
    """Scores that labels of people correct, on five times the questions."""
    for labels in (30, 60, 120):
        held, width = people_coverage(benches, 5 * questions, labels)
        for kind, hits in held.items():
            name = f"score by {labels} labels, {kind}"
            tally.add(f"{name}, at least" if kind == "corrected" else f"- {name}", np.array(hits))
        tally.notes.append(f"with {labels} labels the corrected interval is {width:.2f} of that of labels alone")


PARTS: dict[str, Callable[[Tally, int, int], None]] = {
    "scores": scores,
    "pairs": pairs,
    "cells": cells,
    "style": style,
    "audit": audit,
    "people": people,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benches", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    chosen = parser.parse_args()
    broken: list[str] = []
    for part in chosen.only.split(","):
        tally, begin = Tally(), time.process_time()
        PARTS[part](tally, chosen.benches, chosen.questions)
        print(f"{part}: {chosen.benches} benches of {chosen.questions} questions, {time.process_time() - begin:.0f} s")
        for kind, share in tally.coverage().items():
            mark = "  <-- off" if kind in tally.broken() else ""
            print(f"  {kind:<50} {share:6.2f} %   ({len(tally.hits[kind])} intervals){mark}")
        for note in tally.notes:
            print(f"  {note}")
        print(flush=True)
        broken += tally.broken()
    print(f"promises that are off by more than {TOLERANCE} points: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
