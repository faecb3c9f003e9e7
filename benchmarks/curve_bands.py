"""Whether the curve of a training keeps its promises, on simulated trainings of 20 checkpoints whose truth is known.

    python benchmarks/curve_bands.py [--trainings 2000] [--decisions 500] [--only SHAPE[,SHAPE]]

A universe holds many questions, and what every checkpoint would get on each. The difficulty of a question is shared by
all, and what is a checkpoint's own changes from one to the next by a random walk, so neighbours agree most. A
training is rated on a random draw of them. Prints for each shape

    bands     how often the bands hold all 20 true scores at once (promised: 95 %)
    width     their mean half-width, and that of limits for one score
    gains     how often the limits of all 19 gains over the first step hold at once (95 %)
    best      how often the best step is a candidate, and the limit of the loss of the step to keep holds (95 %)
    plateau   how often a plateau is claimed that is none: a later step is better than the best until then by exactly
              the margin (at most 5 %)
    found     how often one is found where no later step is better

`--decisions` is how many of the trainings the last four are counted on. The exit code is 1 if the bands of a shape hold
less than 93.5 %, or more than 96.5 % where outcomes are not `rare`, or a decision is wrong more often than chance
explains.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from engine.ratings import betting
from engine.ratings.battles import Battles
from engine.ratings.checkpoint_scores import CheckpointScores
from engine.ratings.curve import curve
from engine.ratings.curve_result import StepModel
from engine.ratings.curve_tests import CurveTests, plateau_start
from engine.ratings.estimate import RatingOptions

CHECKPOINTS = 20
UNIVERSE = 20_000
BASELINE = "baseline"
WEIGHT = 3
LARGEST = 6.0
ROUNDS = 8000
NAMES = [f"model-step{1000 * (at + 1)}" for at in range(CHECKPOINTS)]
LOOKS = 25  # questions between looks of the stop rule
FIRST_LOOK = 25


@dataclass(frozen=True)
class Shape:
    """What trainings are like.

    Attributes:
        low, high: strength of the first checkpoint and of the plateau, which is reached after ten; 0 is the baseline's.
        shared: how much questions differ in difficulty for all checkpoints alike.
        walk: how much a checkpoint differs from the one before, on a question.
        ties: judgments within so much of even are ties.
        strong: from where on a label is a strong one.
        prefix: every second checkpoint was asked only so many questions.
        stops: checkpoints are stopped by a rule as soon as they are better or worse than the baseline.
        rare: outcomes so rare, or limits at every look, that bands hold more often than they promise.
        skewed: losses are strong ones.
    """

    name: str
    questions: int = 500
    low: float = -0.8
    high: float = 0.3
    shared: float = 0.7
    walk: float = 0.4
    ties: float = 0.25
    strong: float = 1.2
    prefix: int = 0
    stops: bool = False
    rare: bool = False
    skewed: bool = False


SHAPES = (
    Shape("500 questions"),
    Shape("100 questions", questions=100),
    Shape("ties", ties=1.1, strong=1.5),
    Shape("skewed", low=0.8, high=1.2, ties=0.9, skewed=True),
    Shape("skewed-100", questions=100, low=0.8, high=1.2, ties=0.9, skewed=True, rare=True),
    Shape("alike", walk=0.08),
    Shape("independent", shared=0.0, walk=3.0),
    Shape("near-0", low=-3.2, high=-2.4, rare=True),
    Shape("near-100", low=2.4, high=3.0, rare=True),
    Shape("prefix", prefix=60),
    Shape("stopped", stops=True, rare=True),
)


@dataclass(frozen=True)
class Universe:
    """All questions: points won and played for by every checkpoint in both games, [U, K, 2] each."""

    won: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, shape: Shape, rng: np.random.Generator) -> Universe:
        ramp = np.minimum(np.arange(CHECKPOINTS) / 10.0, 1.0)
        strength = shape.low + (shape.high - shape.low) * ramp
        own = np.zeros((UNIVERSE, CHECKPOINTS))
        keep = 1.0 / np.sqrt(1.0 + shape.walk**2)
        own[:, 0] = rng.normal(size=UNIVERSE)
        for at in range(1, CHECKPOINTS):
            own[:, at] = keep * (own[:, at - 1] + shape.walk * rng.normal(size=UNIVERSE))
        noise = 0.3 * rng.normal(size=(UNIVERSE, CHECKPOINTS, 2))
        margin = strength[None, :, None] + shape.shared * rng.normal(size=(UNIVERSE, 1, 1)) + own[..., None] + noise
        points = np.where(np.abs(margin) < shape.ties, 0.5, (margin > 0.0).astype(float))
        strong = (points == 0.0) if shape.skewed else np.abs(margin) > max(shape.strong, shape.ties)
        total = 1.0 + (WEIGHT - 1.0) * strong
        return cls(points * total, total)

    @property
    def truth(self) -> np.ndarray:
        return self.won.sum(axis=(0, 2)) / self.total.sum(axis=(0, 2))

    def with_last_step(self, gain: float) -> Universe:
        """Return it with a plateau of equals before the last checkpoint, which is better than the best of them by
        nearly `gain`: losses of the last are turned into wins at random questions."""
        won, total = self.won.copy(), self.total.copy()
        lost = np.flatnonzero(won[:, -1, 0] < 0.5 * total[:, -1, 0])
        best = float(self.truth[:-1].max())
        low, high = 0, len(lost)
        while low < high:
            middle = (low + high) // 2
            changed = won[:, -1].copy()
            changed[lost[:middle]] = total[lost[:middle], -1]
            is_enough = changed.sum() / total[:, -1].sum() >= best + gain
            low, high = (low, middle) if is_enough else (middle + 1, high)
        won[lost[:low], -1] = total[lost[:low], -1]
        return Universe(won, total)


def stopped_after(won: np.ndarray, total: np.ndarray) -> int:
    """Return after how many questions a rule that looks now and then finds a checkpoint decided."""
    outcomes, kind = np.unique(np.stack([won, total], axis=1), axis=0, return_inverse=True)
    counts = np.cumsum(kind.reshape(-1, 1) == np.arange(len(outcomes)), axis=0, dtype=np.float64)
    counts = counts[FIRST_LOOK - 1 :: LOOKS]
    lost = np.stack([outcomes[:, 1] - outcomes[:, 0], outcomes[:, 1]], axis=1)
    sides = (betting.log_capital(outcomes, counts, 0.5, LARGEST), betting.log_capital(lost, counts, 0.5, LARGEST))
    decided = np.flatnonzero(np.maximum(*sides) >= betting.threshold())
    return FIRST_LOOK + LOOKS * int(decided[0]) if len(decided) else len(won)


def training(universe: Universe, shape: Shape, rng: np.random.Generator) -> tuple[Battles, tuple[str, ...]]:
    """Return the battles of one training, and the checkpoints that were stopped early."""
    drawn = rng.integers(0, UNIVERSE, shape.questions)
    asked = np.full(CHECKPOINTS, shape.questions)
    if shape.prefix:
        asked[1::2] = shape.prefix
    if shape.stops:
        sums = [each[drawn].sum(axis=2) for each in (universe.won, universe.total)]
        asked = np.array([stopped_after(sums[0][:, at], sums[1][:, at]) for at in range(CHECKPOINTS)])
    question, model, game = np.indices((shape.questions, CHECKPOINTS, 2)).reshape(3, -1)
    kept = question < asked[model]
    total = universe.total[drawn].ravel()[kept]
    battles = Battles(
        questions=tuple(map(str, range(shape.questions))),
        models=(BASELINE, *NAMES),
        judges=("",),
        question=question[kept],
        model_a=np.zeros_like(model[kept]),
        model_b=model[kept] + 1,
        judge=np.zeros_like(model[kept]),
        game=game[kept] + 1,
        points=universe.won[drawn].ravel()[kept] / total,
        strong=(total > 1.0).astype(float),
    )
    return battles, tuple(name for name, many in zip(NAMES, asked, strict=True) if shape.stops and many < asked.max())


@dataclass
class Measured:
    """Hits by promise."""

    hits: dict[str, list[bool]] = field(default_factory=dict)
    widths: list[tuple[float, float]] = field(default_factory=list)

    def add(self, kind: str, hit: bool) -> None:
        self.hits.setdefault(kind, []).append(bool(hit))

    def rate(self, kind: str) -> float:
        return float(np.mean(self.hits[kind])) if self.hits.get(kind) else float("nan")


def measure(shape: Shape, trainings: int, decisions: int, seed: int) -> Measured:
    rng = np.random.default_rng(seed)
    universe = Universe.of(shape, rng)
    truth, measured = universe.truth, Measured()
    options = RatingOptions(baseline=BASELINE, weight=WEIGHT)
    steps = [StepModel(name, 1000 * (at + 1)) for at, name in enumerate(NAMES)]
    for at in range(trainings):
        battles, stopped = training(universe, shape, rng)
        scores = CheckpointScores(battles, options, NAMES, stopped)
        lower, upper = CurveTests(scores, options.seed, ROUNDS).bands()
        measured.add("bands", bool(np.all((lower <= truth) & (truth <= upper))))
        if at < decisions:
            alone = scores.score_limits(~scores.stopped, 0.05)
            half = [float(np.mean(high - low)) / 2.0 for low, high in ((lower, upper), alone)]
            measured.widths.append((half[0], half[1]))
            found = curve(battles, options, steps, stopped=stopped, rounds=ROUNDS)
            gains = [(point.gain, truth[place] - truth[0]) for place, point in enumerate(found.points) if point.gain]
            measured.add("gains", all(gain.lower <= 100 * true <= gain.upper for gain, true in gains))
            kept = truth[NAMES.index(found.keep.model)]
            measured.add(
                "best",
                steps[int(truth.argmax())].step in found.keep.candidates
                and 100.0 * (truth.max() - kept) <= found.keep.loss + 1e-9,
            )
    rising = universe.with_last_step(0.04)
    margin = float(rising.truth[-1] - rising.truth[:-1].max()) - 1e-12
    if margin > 0.03:
        for _ in range(decisions):
            battles, stopped = training(rising, shape, rng)
            tests = CurveTests(CheckpointScores(battles, options, NAMES, stopped), options.seed, ROUNDS)
            measured.add("plateau", plateau_start(tests.later_steps(), margin) is not None)
    flat = float(max(truth[late] - truth[:late].max() for late in range(12, CHECKPOINTS)))
    for _ in range(decisions // 5):
        battles, stopped = training(universe, shape, rng)
        tests = CurveTests(CheckpointScores(battles, options, NAMES, stopped), options.seed, ROUNDS)
        measured.add("found", plateau_start(tests.later_steps(), max(flat, 0.0) + 0.05) is not None)
    return measured


def _holds(rate: float, least: float, count: int) -> bool:
    """Return whether chance explains that a promise was kept no more often."""
    return bool(stats.binom.cdf(round(rate * count), count, least) > 0.001)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", type=int, default=2000)
    parser.add_argument("--decisions", type=int, default=500)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name]
    holds = True
    print(f"{CHECKPOINTS} checkpoints, {options.trainings} trainings, decisions on {options.decisions}")
    print(f"{'shape':14} {'bands':>7} {'half-width':>16} {'gains':>7} {'best':>7} {'plateau':>8} {'found':>7} {'s':>6}")
    for seed, shape in enumerate(SHAPES):
        if wanted and shape.name not in wanted:
            continue
        began = time.perf_counter()
        found = measure(shape, options.trainings, options.decisions, 100 + seed)
        width = np.mean(found.widths, axis=0) * 100.0 if found.widths else (np.nan, np.nan)
        bands = found.rate("bands")
        holds &= _holds(bands, 0.935, options.trainings) and (shape.rare or bands <= 0.965)
        for kind in ("gains", "best"):
            holds &= not found.hits.get(kind) or _holds(found.rate(kind), 0.945, len(found.hits[kind]))
        if found.hits.get("plateau"):
            holds &= _holds(1.0 - found.rate("plateau"), 0.95, len(found.hits["plateau"]))
        print(
            f"{shape.name:14} {bands:7.1%} {width[0]:8.2f} ({width[1]:.2f}) {found.rate('gains'):7.1%} "
            f"{found.rate('best'):7.1%} {found.rate('plateau'):8.1%} {found.rate('found'):7.1%} "
            f"{time.perf_counter() - began:6.0f}",
            flush=True,
        )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
