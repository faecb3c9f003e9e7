"""What a judge call costs in work that can be counted: the same numbers on every machine, however busy it is.

`benchmarks/engine_cost.py` measures seconds. Here its two sides are counted: functions entered, system calls, bytes,
connections and memory kept. A bound that is exceeded means that a call does more than it did; when it does less, lower
the bound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "engine_cost.py"
CALLS, PARALLEL = 600, 32
FUNCTIONS = 1.75  # entered by the engine for each one of the bare loop; 1.61 when it was written
SYSTEM_CALLS = 2.0  # reads, and writes: one each is the call itself, the others share batches with further calls
WRITTEN = 1.0  # bytes on disk for each byte sent: the prompt is the most of a record, and is written once
KEPT = 20  # blocks of memory a call: jobs are dropped as their records are saved
SPARE = 4  # connections for metrics and the list of models


@pytest.fixture(scope="module")
def measure() -> Callable[..., dict[str, float]]:
    spec = spec_from_file_location("engine_cost", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    measured: Callable[..., dict[str, float]] = module.measure
    return measured


def test_a_call_enters_few_more_functions_than_the_barest_loop(measure: Callable[..., dict[str, float]]) -> None:
    bare, engine = (measure(side, 0.0, CALLS, PARALLEL, "functions") for side in ("bare", "engine"))
    assert bare["sent"] == engine["sent"]  # the same bodies
    assert bare["functions"] < engine["functions"] <= FUNCTIONS * bare["functions"]


@pytest.mark.skipif(sys.platform != "linux", reason="system calls are read from /proc")
def test_a_call_is_one_write_to_its_server_and_its_share_of_a_batch_on_disk(
    measure: Callable[..., dict[str, float]],
) -> None:
    engine = measure("engine", 0.0, CALLS, PARALLEL)
    assert engine["made"] == CALLS
    assert 1.0 <= engine["writes"] <= SYSTEM_CALLS
    assert 1.0 <= engine["reads"] <= SYSTEM_CALLS
    assert 0.0 < engine["written"] <= WRITTEN * engine["sent"]
    assert engine["connections"] <= PARALLEL + SPARE
    assert engine["blocks"] <= KEPT
