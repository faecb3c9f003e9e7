"""The curve keeps its promises: a small version of benchmarks/curve_bands.py, whose limits are narrower."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "curve_bands.py"


@pytest.fixture(scope="module")
def bands() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("curve_bands", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["curve_bands"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["curve_bands"]


@pytest.mark.parametrize("name", ["100 questions", "skewed-100", "prefix"])
def test_bands_of_twenty_checkpoints_hold_together(bands: ModuleType, name: str) -> None:
    (shape,) = (each for each in bands.SHAPES if each.name == name)
    found = bands.measure(shape, trainings=60, decisions=3, seed=1)
    assert found.rate("bands") >= 0.85  # 57 of 60 are expected
    assert found.rate("gains") > 0.3
    assert found.rate("best") > 0.3
    assert found.rate("plateau") < 1.0


def test_a_checkpoint_that_a_rule_stops_is_stopped_where_it_is_decided(bands: ModuleType) -> None:
    won, total = bands.np.full(200, 2.0), bands.np.full(200, 2.0)
    assert bands.stopped_after(won, total) == 25
    assert bands.stopped_after(0.5 * total, total) == 200
