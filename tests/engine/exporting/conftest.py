from __future__ import annotations

from pathlib import Path

import pytest
from hostile_bench import make_bench

from engine.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(make_bench(tmp_path / "data").root)
