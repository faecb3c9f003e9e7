"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# A busy machine takes its time over a single example; how long a test may take in all is pytest's business.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published questions, answers and battles; skips where it is absent."""
    named = os.environ.get("ARENA_TUI_SHARED_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not (folder / "arena-hard-ru" / "question.jsonl").exists():
        pytest.skip("the published answers and battles are not here (set ARENA_TUI_SHARED_DATA to their folder)")
    return folder


@pytest.fixture(scope="session")
def starter() -> Path:
    """The folder of the project's own question sets."""
    return REPOSITORY / "data"
