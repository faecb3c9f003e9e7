"""The promises of the statistics, checked by small versions of statistics_coverage.py and statistics_skewed.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    return benchmark("statistics_coverage")


@pytest.fixture(scope="module")
def skewed() -> ModuleType:
    return benchmark("statistics_skewed")


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("strengths", [(0.0, 0.0), (1.0, 1.2), (2.2, 1.0)])
def test_confidence_sequences_seldom_ever_miss_the_truth(coverage: ModuleType, strengths: tuple[float, float]) -> None:
    missed = coverage.sequence_errors(strengths, benches=40)
    assert missed["score"] <= 0.15  # 5 % and what chance adds to it in 40
    assert missed["difference"] <= 0.15


def test_the_planned_number_of_questions_has_the_power_asked_for(coverage: ModuleType) -> None:
    assert coverage.power_reached((0.0, 0.3), benches=600)["power"] == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(
    ("strengths", "questions", "least_power"),
    [((-0.3, 0.0), 60, 0.75), ((1.0, 1.3), 150, 0.7), ((1.6, 2.0), 100, 0.58)],
)
def test_the_gate_lets_a_worse_model_through_no_more_often_than_it_says(
    coverage: ModuleType, strengths: tuple[float, float], questions: int, least_power: float
) -> None:
    found = coverage.gate_errors(strengths, questions, benches=100)
    assert found["passed though worse"] < 0.08  # 2.5 % and what chance adds to it in 100
    assert least_power - 0.1 < found["power"] < 0.92  # planned: 0.8; near 100 percent the limits are wider


@pytest.mark.parametrize("case", [0, 1, 2, 4])
def test_skewed_outcomes_break_neither_promise(skewed: ModuleType, case: int) -> None:
    rng = np.random.default_rng(1)
    mix = skewed.SKEWED[case]
    passed, _ = skewed.gate_error(mix, 60, 400, rng)
    assert passed < 0.055  # 2.5 % and what chance adds to it in 400
    assert skewed.sequence_error(mix, 200, rng) < 0.1


def test_students_t_would_pass_far_more_often_than_it_says(skewed: ModuleType) -> None:
    assert skewed.gate_error(skewed.SKEWED[0], 30, 400, np.random.default_rng(1))[1] > 0.08
