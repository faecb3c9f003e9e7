"""The ledger of servers: what a start ends of what an earlier one left behind, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.serving.process import record_server, stop_orphans

IDLE = (sys.executable, "-S", "-c", "import time; time.sleep(120)")


@pytest.fixture
def idle() -> Iterator[list[subprocess.Popen[bytes]]]:
    """A server and its warden: two processes that do nothing, each in a session of its own."""
    with ExitStack() as stack:
        processes = [subprocess.Popen(IDLE, start_new_session=True) for _ in range(2)]
        for process in processes:
            stack.enter_context(process)
            stack.callback(process.kill)
        yield processes


def test_a_server_whose_warden_was_killed_is_ended_even_while_nobody_has_reaped_the_warden(idle, tmp_path: Path):
    server, warden = idle
    entry = record_server(tmp_path, "good", server.pid, warden.pid, "mark")
    assert entry is not None
    warden.kill()
    stat = Path(f"/proc/{warden.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":  # until the test looks, as its parent
        pass
    assert stop_orphans(tmp_path) == ["good"]
    assert server.wait(60) < 0
    assert not entry.exists()


def test_a_server_with_its_warden_is_left_alone(idle, tmp_path: Path):
    server, warden = idle
    entry = record_server(tmp_path, "good", server.pid, warden.pid, "mark")
    assert stop_orphans(tmp_path) == []
    assert server.poll() is None
    assert entry is not None
    assert entry.exists()


def test_a_process_that_has_the_number_of_an_ended_server_is_left_alone(idle, tmp_path: Path):
    server, warden = idle
    entry = record_server(tmp_path, "good", server.pid, warden.pid, "mark")
    assert entry is not None
    recorded = json.loads(entry.read_text())
    entry.write_text(json.dumps(recorded | {"session_created": recorded["session_created"] - 60}))
    warden.kill()
    warden.wait()
    assert stop_orphans(tmp_path) == []
    assert server.poll() is None
    assert not entry.exists()
