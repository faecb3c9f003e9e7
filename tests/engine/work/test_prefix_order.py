"""Judge prompts of real answers through a bounded prefix cache: what the order of the calls is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "prefix_hits.py"


@pytest.mark.realdata
def test_prefixes_of_real_prompts_are_found_again_also_with_two_replicas(shared_data: Path):
    command = [sys.executable, BENCHMARK, "--data", shared_data / "arena-hard-ru", "--questions", "100"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    share = {(line[:32].strip(), int(line.split()[-3])): float(line.split()[-1]) for line in told.splitlines()[4:]}
    assert share["question by question", 1] >= 0.97
    assert share["question by question", 2] >= 0.95
    assert share["model by model, the original", 1] < 0.7
