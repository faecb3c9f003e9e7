"""Benches for the tests of `engine.formats`: an empty one, and one of names and texts that are easy to get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_bench import make_bench

from engine.bench import Bench
from engine.bench.layout import BenchPaths


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench of hostile names and texts."""
    return Bench(make_bench(tmp_path / "data").root)


@pytest.fixture
def empty_bench(tmp_path: Path) -> BenchPaths:
    """An empty bench folder."""
    root = tmp_path / "data" / "small"
    root.mkdir(parents=True)
    return BenchPaths(root)
