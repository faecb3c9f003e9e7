"""The intervals hold what they promise: a small version of benchmarks/interval_coverage.py.

A few hundred intervals leave a standard error of a point or two, so the limits here are wide; the benchmark's are not.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def coverage() -> Iterator[ModuleType]:
    names = ("judge_coverage", "interval_coverage")  # the second imports the first
    for name in names:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    yield module
    for name in names:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("part", "benches", "kinds"),
    [("scores", 100, 10), ("pairs", 60, 3), ("people", 200, 3), ("audit", 120, 3)],
)
def test_intervals_hold_the_truth(coverage: ModuleType, part: str, benches: int, kinds: int) -> None:
    tally = coverage.Tally()
    coverage.PARTS[part](tally, benches, 100)
    promised = {kind: share for kind, share in tally.coverage().items() if not kind.startswith("-")}
    assert len(promised) == kinds
    assert all(share > 89.0 for share in promised.values()), promised
    assert sum(promised.values()) / kinds > 92.5, promised
    assert all(share < 99.0 for kind, share in promised.items() if "ranks" not in kind), promised


def test_intervals_by_rows_do_not_and_those_of_soft_verdicts_are_narrower(coverage: ModuleType) -> None:
    tally = coverage.Tally()
    coverage.scores(tally, 40, 100)
    assert tally.coverage()["- score, rows as arena tools do"] < 80.0
    assert "intervals by expected points are 0.8" in " ".join(tally.notes)


def test_style_control_holds_the_win_rates_at_equal_style(coverage: ModuleType) -> None:
    tally = coverage.Tally()
    coverage.style(tally, 30, 60)
    shares = tally.coverage()
    assert shares["win rate at equal style"] > 87.0
    assert min(shares["weight of length"], shares["weight of bold"]) > 84.0


def test_a_promise_that_is_off_is_reported(coverage: ModuleType) -> None:
    tally = coverage.Tally()
    for kind, held in (("narrow", 90), ("right", 95), ("wide", 99), ("ranks", 99), ("- rows", 60)):
        for number in range(100):
            tally.add(kind, number < held)
    assert tally.broken() == ["narrow", "wide"]
