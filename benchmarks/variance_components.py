"""Variance components against simulated benches with known ones, and what the planned mixes reach.

    python benchmarks/variance_components.py [--benches 500] [--questions 200]

Prints Markdown: mean estimates over the truth for several designs (balanced, `--repeats 3`, and with a tenth of the
judgments lost), before and after estimates below 0 are set to 0, how often the limits hold the truth, and for each
setting the planned mix: its calls over those of more questions alone, and the half-width and coverage that simulated
benches of that mix have; for plans from the true components, and from those measured on pilots of 80 questions.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.ratings.mix import CallNeeds, Mix, NoiseModel, plan_mix
from engine.ratings.variance import JudgmentValues, half_width, variance_components
from engine.repeats import Repeats, parse_repeats

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """Standard deviations in points: of a question, an answer, a judgment; `question_cost` in calls."""

    name: str
    question: float
    answer: float
    judge: float
    wanted: float = 3.0
    question_cost: float = 0.0

    @property
    def variances(self) -> FloatArray:
        return np.square(np.array([self.question, self.answer, self.judge]) / 100.0)


SETTINGS = (
    Setting("questions dominate", 40, 15, 15),
    Setting("answers dominate", 15, 40, 15),
    Setting("the judge dominates", 15, 15, 40),
    Setting("all alike", 25, 25, 25),
)
MIXES = (
    *SETTINGS,
    Setting("the judge is nearly all", 3, 3, 60),
    Setting("answers dominate, a question costs 10 calls", 15, 40, 15, question_cost=10.0),
    Setting("the judge dominates, a question costs 10 calls", 15, 15, 40, question_cost=10.0),
)
DESIGNS = {"--repeats 3": "3", "--repeats 2x2": "2x2", "--repeats 3, a tenth lost": "3"}


def simulate(setting: Setting, questions: int, repeats: Repeats, rng: np.random.Generator) -> JudgmentValues:
    """Draw the values of a bench; effects are skewed (questions), uniform (answers) and normal (the judge)."""
    v_question, v_answer, v_judge = setting.variances
    replicates = np.array(repeats.replicates(repeats.answers))
    of_question = (rng.exponential(1.0, questions) - 1.0) * np.sqrt(v_question)
    of_answer = rng.uniform(-1.0, 1.0, (questions, repeats.answers)) * np.sqrt(3.0 * v_answer)
    of_judge = rng.standard_normal((questions, len(replicates))) * np.sqrt(v_judge)
    value = of_question[:, None] + of_answer[:, replicates[:, 0]] + of_judge
    question = np.repeat(np.arange(questions), len(replicates))
    choice, repeat = np.tile(replicates, (questions, 1)).T
    return JudgmentValues(question, choice, repeat, value.ravel())


def thinned(values: JudgmentValues, share: float, rng: np.random.Generator) -> JudgmentValues:
    kept = rng.uniform(size=len(values.value)) > share
    return JudgmentValues(values.question[kept], values.choice[kept], values.repeat[kept], values.value[kept])


def estimates(benches: int, questions: int, rng: np.random.Generator) -> None:
    print(
        f"| {benches} benches, {questions} questions | design | question | answer | judge | not below 0 | limits hold |"
    )
    print("|---|---|---:|---:|---:|---|---:|")
    for setting in SETTINGS:
        for design, text in DESIGNS.items():
            raw, found, held = [], [], []
            for _ in range(benches):
                values = simulate(setting, questions, parse_repeats(text), rng)
                if "lost" in design:
                    values = thinned(values, 0.1, rng)
                got = variance_components(values, rounds=200, seed=int(rng.integers(1 << 31)))
                raw.append([each or 0.0 for each in got.raw])
                found.append([got.question, got.answer or 0.0, got.judge or 0.0])
                limits = zip(setting.variances, got.lower, got.upper, strict=True)
                held.append([(low or 0.0) <= truth <= (high or 0.0) for truth, low, high in limits])
            cells, cut = (
                [f"{each:.3f}" for each in np.mean(values, axis=0) / setting.variances] for values in (raw, found)
            )
            share = f"{100 * np.mean(held):.1f} %"
            print(f"| {setting.name} | `{design}` | {' | '.join(cells)} | {' '.join(cut)} | {share} |", flush=True)


def reached(setting: Setting, mix: Mix, benches: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the mean half-width of simulated benches of a mix, in points, and the share whose interval holds 0."""
    repeats = Repeats(mix.answers, mix.judgments, of_every=True)
    widths, held = [], 0
    for _ in range(benches):
        values = simulate(setting, mix.questions, repeats, rng)
        results = values.value.reshape(mix.questions, -1).mean(axis=1)
        width = 100.0 * half_width(float(results.var(ddof=1)), mix.questions)
        widths.append(width)
        held += abs(100.0 * float(results.mean())) <= width
    return float(np.mean(widths)), held / benches


def mixes(benches: int, pilots: int, rng: np.random.Generator) -> None:
    print("\n| +-3 points wanted | cheapest mix | calls | over more questions alone | half-width | coverage |")
    print("|---|---|---:|---|---|---|")
    for setting in MIXES:
        needs = CallNeeds(further_question=setting.question_cost)
        truth = NoiseModel(*(1e4 * setting.variances).tolist())
        best = plan_mix(truth, setting.wanted, needs).mixes[0]
        width, coverage = reached(setting, best, benches, rng)
        planned = []
        for _ in range(pilots):
            got = variance_components(simulate(setting, 80, parse_repeats("3"), rng), rounds=1)
            model = NoiseModel(1e4 * got.question, 1e4 * (got.answer or 0.0), 1e4 * (got.judge or 0.0))
            planned.append(plan_mix(model, setting.wanted, needs).mixes[0])
        by_pilot = np.mean([reached(setting, each, max(1, benches // pilots), rng) for each in planned], axis=0)
        # What the mix of a pilot truly takes: its half-width is not quite the wanted one, so it is scaled to that.
        shares = [
            each.share * (half_width(truth.of(each.answers, each.judgments), each.questions) / setting.wanted) ** 2
            for each in planned
        ]
        print(
            f"| {setting.name} | {best.questions} x {best.answers} x {best.judgments} | {best.calls:,} "
            f"| {best.share:.2f}; by pilots {np.mean(shares):.2f} | {width:.2f}; by pilots {by_pilot[0]:.2f} "
            f"| {100 * coverage:.1f} %; by pilots {100 * by_pilot[1]:.1f} % |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benches", type=int, default=500)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--pilots", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    estimates(given.benches, given.questions, rng)
    mixes(given.benches, given.pilots, rng)


if __name__ == "__main__":
    main()
