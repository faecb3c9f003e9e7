"""How soon `run --until decided` decides, and whether it is right.

    python benchmarks/early_decisions.py --battles FILE [--shuffles 1000]   on published battles, in random orders
    python benchmarks/early_decisions.py [--questions 500]                  in real runs, against simulated servers

On battles every model that is at least 18 points from 50 must be decided at a median of no more than 41 questions, and
never wrongly. In runs, the calls with the rule are compared with those of the whole job, for a model that is clearly
better and for one that is not. Exits with 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.config.load import parse_config
from engine.formats.battles_file import load_battles
from engine.labels import Points
from engine.ratings.outcomes import outcome_table
from engine.ratings.sequential import Decider
from engine.ratings.stop_rule import StopRule
from engine.run import Run
from engine.simulator import SimulatedJudge, SimulatedModel, SimulatorConfig, running_simulator
from engine.work.plan import Scope

CLEARLY_APART = 18.0  # points from 50
LARGEST_MEDIAN = 41  # questions
WEIGHT = 3
SKILLS = {"clearly better": 0.9, "nearly equal": 0.52}  # of the models that are run; the baseline has 0.5


@dataclass(frozen=True)
class Decisions:
    """How the decider did on one model of published battles."""

    model: str
    score: float
    median: float
    ninetieth: float
    wrong: int
    undecided: int

    @property
    def holds(self) -> bool:
        return self.median <= LARGEST_MEDIAN and not self.wrong


def decisions(path: Path, shuffles: int, seed: int = 4) -> Iterator[Decisions]:
    """Every model of the file that is at least 18 points from 50, its questions in so many random orders."""
    battles = load_battles(path).battles
    baseline = battles.models[int(battles.model_a[0])]
    table = outcome_table(battles, baseline, WEIGHT)
    score = 100.0 * table.won.sum(axis=0) / table.total.sum(axis=0)
    rng = np.random.default_rng(seed)
    for column in np.flatnonzero(np.abs(score - 50.0) >= CLEARLY_APART):
        model = table.models[table.pairs[column, 1]]
        outcomes = list(map(Points, table.won[:, column].tolist(), table.total[:, column].tolist()))
        ends = [_decide(model, baseline, outcomes, rng.permutation(len(outcomes)).tolist()) for _ in range(shuffles)]
        right = "better" if score[column] > 50.0 else "worse"
        taken = [questions for verdict, questions in ends if verdict != "undecided"]
        yield Decisions(
            model=model,
            score=float(score[column]),
            median=float(np.median(taken)),
            ninetieth=float(np.percentile(taken, 90)),
            wrong=sum(verdict not in (right, "undecided") for verdict, _ in ends),
            undecided=len(ends) - len(taken),
        )


def _decide(model: str, baseline: str, outcomes: Sequence[Points], order: Sequence[int]) -> tuple[str, int]:
    """Return the decision and the questions that it took."""
    decider = Decider(StopRule(decided=True), [model], baseline=baseline, order=map(str, order))
    for count, question in enumerate(order, start=1):
        if decider.observe_points(model, str(question), outcomes[question]):
            return decider.decision(model), count
    return "undecided", len(order)


async def run_until_decided(questions: int, skill: float, parallel: int = 8) -> tuple[str, int | None, int]:
    """Run one model; return its decision, the questions it took, and the calls that were made."""
    cast = SimulatorConfig(
        models=(SimulatedModel(name="base"), SimulatedModel(name="model", skill=skill)),
        judges=(SimulatedJudge(name="judge"),),
    )
    async with running_simulator(cast) as url:
        with tempfile.TemporaryDirectory() as folder:
            bench = Path(folder) / "bench"
            bench.mkdir()
            lines = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n} + {n}?"}]} for n in range(questions)]
            (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
            entry = {"endpoints": [{"base_url": f"{url}/v1"}], "parallel": parallel}
            document = {
                "bench": "bench",
                "data": folder,
                "judge": {"model": "judge", "baseline": "base"},
                "models": dict.fromkeys(("base", "model", "judge"), entry),
            }
            state = await Run(parse_config(document, None, {}), Scope(until=StopRule(decided=True))).execute()
    standing = state.standings["model"]
    return standing.verdict, standing.decided_after, state.calls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--battles", type=Path, help="a published arena_hard_battles.jsonl")
    parser.add_argument("--shuffles", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=500)
    options = parser.parse_args()
    holds = True
    if options.battles:
        print(f"decided against the baseline on published battles, {options.shuffles} random orders")
        for row in decisions(options.battles, options.shuffles):
            holds &= row.holds
            print(
                f"  {row.model:50} {row.score:5.1f}  median {row.median:3.0f}  p90 {row.ninetieth:3.0f}"
                f"  wrong {row.wrong}  undecided {row.undecided}"
            )
        return 0 if holds else 1
    whole = 4 * options.questions
    print(f"run --until decided on {options.questions} questions; the whole job takes {whole} calls")
    for name, skill in SKILLS.items():
        verdict, after, calls = asyncio.run(run_until_decided(options.questions, skill))
        holds &= skill < 0.8 or (verdict == "better" and calls <= 0.15 * whole)
        after = after or options.questions
        print(f"  {name:16} {verdict:10} after {after:4} questions: {calls:5} calls, {calls / whole:.0%}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
