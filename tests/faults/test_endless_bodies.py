"""Bodies without an end, quick or slow, wherever the program reads one: signals end it nevertheless."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fault_bench import write_questions

REPOSITORY = Path(__file__).resolve().parents[2]
LIST = json.dumps({"object": "list", "data": [{"id": "m"}, {"id": "judge"}]}).encode()
LONGEST = 60  # seconds: an end that was asked for comes far sooner


class Endless(socketserver.StreamRequestHandler):
    """Answers the path `endless` with a body that never ends: large pieces at once, or a byte now and then."""

    endless, slow = "", False
    started, over = threading.Event(), threading.Event()

    def handle(self) -> None:
        try:
            while request := self.rfile.readline().decode():
                length = 0
                while (line := self.rfile.readline().strip().lower()) != b"":
                    if line.startswith(b"content-length:"):
                        length = int(line[15:])
                self.rfile.read(length)
                path = request.split()[1]
                if path.endswith(self.endless):
                    self._never_end()
                body = LIST if path.endswith("/models") else b"{}"
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except OSError:
            pass

    def _never_end(self) -> None:
        self.wfile.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"data": [')
        while not self.over.is_set():
            self.wfile.write(b'{"id": "x"},' if self.slow else b'{"id": "x"},' * 10_000)
            self.started.set()
            if self.slow:
                self.over.wait(0.05)


@contextmanager
def serving(endless: str, *, slow: bool) -> Iterator[tuple[int, threading.Event]]:
    started, over = threading.Event(), threading.Event()
    fields = {"endless": endless, "slow": slow, "started": started, "over": over}
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Handler", (Endless,), fields)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], started
        over.set()
        server.shutdown()


@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
@pytest.mark.parametrize(
    ("endless", "number"),
    [("/v1/models", signal.SIGINT), ("/metrics", signal.SIGTERM), ("/chat/completions", signal.SIGTERM)],
)
def test_a_body_without_an_end_holds_off_no_signal(tmp_path: Path, endless: str, number: int, slow: bool):
    write_questions(tmp_path / "bench", 3)
    with serving(endless, slow=slow) as (port, started):
        url = f"http://127.0.0.1:{port}/v1"
        (tmp_path / "config.toml").write_text(
            f'bench = "bench"\ndata = "{tmp_path}"\n[judge]\nmodel = "judge"\nbaseline = "m"\n'
            f'[models]\nm = {{ endpoints = [{{ base_url = "{url}" }}] }}\n'
            f'judge = {{ endpoints = [{{ base_url = "{url}" }}] }}\n'
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "arena_tui", "--no-ui", "run"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )
        try:
            assert started.wait(LONGEST)
            deadline = time.monotonic() + LONGEST
            while process.poll() is None and time.monotonic() < deadline:
                process.send_signal(number)  # the first one lets calls in flight finish
                with suppress(subprocess.TimeoutExpired):
                    process.wait(1)
            assert process.poll() is not None
        finally:
            process.kill()
            process.wait()
