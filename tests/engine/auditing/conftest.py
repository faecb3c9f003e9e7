"""A bench that an audit can look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_bench import ENGLISH, RUSSIAN, BenchMaker


@pytest.fixture
def maker(tmp_path: Path) -> BenchMaker:
    """A bench of 40 Russian questions, a baseline and a model that answers half of them in English."""
    made = BenchMaker(tmp_path / "data" / "small")
    made.answer("base", lambda number: RUSSIAN.format(number=number, model="base"))
    made.answer("m", lambda number: (RUSSIAN, ENGLISH)[number % 2].format(number=number, model="m"))
    return made
