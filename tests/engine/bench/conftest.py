"""An empty bench for the tests of `engine.bench`."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench.layout import BenchPaths


@pytest.fixture
def bench(tmp_path: Path) -> BenchPaths:
    """An empty bench folder."""
    root = tmp_path / "data" / "small"
    root.mkdir(parents=True)
    return BenchPaths(root)
