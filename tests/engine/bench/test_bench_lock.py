"""One writer per bench."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock, writer_of
from engine.errors import BenchLocked, StorageError

REPOSITORY = Path(__file__).resolve().parents[3]
HOLDER = """
import sys
from pathlib import Path
from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock, writer_of
with BenchLock(BenchPaths(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(bench):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(bench.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(REPOSITORY)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_bench_that_another_process_writes_to_is_refused_with_its_pid_and_host(bench, other_process):
    with pytest.raises(BenchLocked) as refused, BenchLock(bench):
        pass
    assert f"pid {other_process.pid} on {os.uname().nodename!r}" in refused.value.title
    assert refused.value.hint


def test_a_killed_process_does_not_keep_the_bench(bench, other_process):
    other_process.kill()
    other_process.wait()
    with BenchLock(bench):
        pass


def test_a_bench_can_be_locked_again_and_again_but_not_twice_at_once(bench):
    for _ in range(3):
        with BenchLock(bench), pytest.raises(BenchLocked), BenchLock(bench):
            pass


def test_a_damaged_note_of_the_owner_still_refuses(bench):
    with BenchLock(bench):
        bench.lock.with_name(".lock.owner").write_text('{"pid": "\x1b[31m"}')
        with pytest.raises(BenchLocked) as refused, BenchLock(bench):
            pass
    assert "\x1b" not in refused.value.title


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(StorageError) as refused, BenchLock(BenchPaths(tmp_path / "data" / "bench")):
        pass
    assert str(tmp_path / "data") in refused.value.title


def test_one_may_look_who_writes_without_being_in_the_way(bench, other_process):
    writer = writer_of(bench)
    assert writer is not None
    assert f"pid {other_process.pid}" in writer.title
    other_process.kill()
    other_process.wait()
    assert writer_of(bench) is None
    assert writer_of(bench) is None  # nor does what the dead one left behind matter


def test_a_bench_that_was_never_locked_has_no_writer(bench):
    assert writer_of(bench) is None
    assert not bench.lock.exists()
