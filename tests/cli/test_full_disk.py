"""A disk that is full or read-only stops a run with a message; what was saved stays, and the next run goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arena_program import ARENA, records
from test_kill_and_resume import MODELS, QUESTIONS, write_bench

Arena = Callable[..., "subprocess.CompletedProcess[str]"]
KIB = 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many KiB; skips where that is not allowed."""
    folder = tmp_path / "small-disk"
    folder.mkdir()

    def mount(size: int) -> Path:
        done = mounting("mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder))
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    mounting("umount", str(folder))


def mounting(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def everything(bench: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in bench.rglob("*.jsonl") if path.name != "journal.jsonl"}


def assert_stopped_cleanly(stopped: subprocess.CompletedProcess[str], bench: Path, hint: str) -> None:
    assert stopped.returncode == 1, stopped.stderr
    assert "cannot be written" in stopped.stderr
    assert hint in stopped.stderr
    assert "what was saved is kept" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    for path in everything(bench):
        if path.stat().st_size:
            records(path)  # each line is whole


def assert_goes_on(arena: Arena, config: Path, bench: Path, kept: dict[Path, bytes]) -> None:
    """With room again, the same command makes the rest and touches nothing that was there."""
    finished = arena("-c", config, "run", "--json")
    assert finished.returncode == 0, finished.stderr
    for path, data in kept.items():
        assert path.read_bytes().startswith(data)
    for model in ("sim-baseline", *MODELS):
        assert len(records(bench / "model_answer" / f"{model}.jsonl")) == QUESTIONS
    for model in MODELS:
        assert len(records(bench / "model_judgment" / "sim-judge" / f"{model}.jsonl")) == QUESTIONS


def test_a_file_that_may_not_grow_stops_the_run_and_the_next_one_goes_on(tmp_path, arena: Arena, simulator, starter):
    config = write_bench(tmp_path, simulator("--latency", "0.01"), starter)
    bench = tmp_path / "data" / "small"
    largest = 16  # KiB: some answers, and the questions
    command = ["bash", "-c", f'ulimit -f {largest}; exec "$@"', "arena", *ARENA, "-c", str(config), "run"]
    stopped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert_stopped_cleanly(stopped, bench, "largest size allowed")
    kept = everything(bench)
    sizes = [len(data) for path, data in kept.items() if path.parent != bench]
    assert 4 * KIB < max(sizes) <= largest * KIB, "it stopped where it had to, and not before"
    assert_goes_on(arena, config, bench, kept)


def test_a_full_disk_stops_the_run_and_with_room_again_it_goes_on(arena: Arena, simulator, starter, small_disk):
    disk = small_disk(160)
    config = write_bench(disk, simulator("--latency", "0.01"), starter)
    bench = disk / "data" / "small"
    stopped = arena("-c", config, "run")
    assert_stopped_cleanly(stopped, bench, "free some disk space")
    kept = everything(bench)
    assert sum(map(len, kept.values())) > 40 * KIB
    assert mounting("mount", "-o", "remount,size=4m", str(disk)).returncode == 0
    assert_goes_on(arena, config, bench, kept)


def test_a_read_only_disk_is_told_before_anything_is_called(arena: Arena, simulator, starter, small_disk):
    disk = small_disk(4096)
    config = write_bench(disk, simulator(), starter)
    before = everything(disk)
    assert mounting("mount", "-o", "remount,ro", str(disk)).returncode == 0
    stopped = arena("-c", config, "run")
    assert stopped.returncode == 1
    assert "cannot be written: Read-only file system" in stopped.stderr
    assert "mounted read-only" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert everything(disk) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_a_folder_that_we_may_not_write_is_told_before_anything_is_called(tmp_path, arena: Arena, simulator, starter):
    config = write_bench(tmp_path, simulator(), starter)
    bench = tmp_path / "data" / "small"
    bench.chmod(0o555)
    stopped = arena("-c", config, "run")
    bench.chmod(0o755)
    assert stopped.returncode == 1
    assert "the folder must be writable" in stopped.stderr
    assert "Traceback" not in stopped.stderr
