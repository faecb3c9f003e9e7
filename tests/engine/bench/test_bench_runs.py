"""The files that tell of past runs: written whole, and passed over where they cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench.run_files import load_runs, write_run
from engine.errors import StorageError


def test_runs_come_back_the_oldest_first_and_what_is_no_run_is_passed_over(tmp_path: Path):
    write_run(tmp_path / "runs" / "20260102-000000-b.json", {"outcome": "done"})
    write_run(tmp_path / "runs" / "20260101-000000-a.json", {"outcome": "failed"})
    (tmp_path / "runs" / "20260103-000000-c.json").write_bytes(b"{")
    (tmp_path / "runs" / "20260104-000000-d.json").write_bytes(b"[]")
    assert load_runs(tmp_path / "runs") == [
        {"id": "20260101-000000-a", "outcome": "failed"},
        {"id": "20260102-000000-b", "outcome": "done"},
    ]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        write_run(tmp_path / "runs" / "20260101-000000-a.json", {})
