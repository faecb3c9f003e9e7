"""Runs that outlive their terminal: started without one, left by their UI, attached to, asked about and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from arena_program import Open, all_whole, saved
from pty_terminal import PATIENCE, Terminal
from test_serve_command import wait_for, written
from yard import Yard

from engine.bench.layout import BenchPaths
from engine.bench.lock import writer_of

Arena = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def own_runs(tmp_path: Path) -> Iterator[None]:
    """Kill what a test that fails leaves behind: its processes have no terminal and no parent, but its folder."""
    yield
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(tmp_path):
                process.kill()


def status(arena: Arena, folder: Path, *options: str) -> dict[str, object]:
    done = arena(*options, "status", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["running"] else 1)
    return found


def is_free(bench: Path) -> bool:
    return writer_of(BenchPaths(bench)) is None


def test_a_detached_run_is_reported_stopped_in_order_and_resumed(
    arena: Arena, slow_bench: Path, tmp_path: Path, own_runs: None
):
    begun = arena("run", "--detach", cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    assert begun.stdout == ""
    assert "started: bench small, pid " in begun.stderr
    wait_for(lambda: saved(slow_bench) >= 4)
    found = status(arena, tmp_path)
    assert (found["status"], found["detached"], found["total"]) == ("running", True, 2000)
    run = psutil.Process(int(str(found["pid"])))
    assert run.terminal() is None
    assert os.getsid(run.pid) == run.pid
    line = arena("status", cwd=tmp_path)
    assert line.returncode == 0
    assert line.stdout.startswith("small: answers")
    assert line.stdout.count("\n") == 1

    second = arena("run", "--detach", cwd=tmp_path)
    assert second.returncode == 2
    assert "another process is writing to the bench small" in second.stderr

    stopped = arena("stop", cwd=tmp_path)
    assert stopped.returncode == 0, stopped.stderr
    assert is_free(slow_bench)
    assert all_whole(slow_bench)
    assert status(arena, tmp_path)["running"] is False
    assert "interrupted" in Path(str(found["log"])).read_text("utf-8")
    before = saved(slow_bench)
    again = arena("run", "--limit", "1", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert saved(slow_bench) >= before
    assert arena("stop", cwd=tmp_path).returncode == 0


def test_what_keeps_a_run_from_starting_is_reported_where_it_was_started(
    arena: Arena, slow_bench: Path, tmp_path: Path
):
    config = tmp_path / "config.toml"
    text = config.read_text()
    config.write_text(text.replace('model = "sim-judge"', 'model = "nobody"'))
    wrong = arena("run", "--detach", cwd=tmp_path)
    assert wrong.returncode == 2
    assert 'unknown model "nobody"' in wrong.stderr
    config.write_text(text.replace("/v1", "/nowhere"))
    refused = arena("run", "--detach", cwd=tmp_path)
    assert refused.returncode != 0
    assert "started" not in refused.stderr
    assert "sim-judge" in refused.stderr
    assert is_free(slow_bench)
    assert arena("run", "--detach", "--dry-run", cwd=tmp_path).returncode == 2


def test_benches_with_a_run_are_listed_and_stopped_by_name_or_all(
    arena: Arena, slow_bench: Path, tmp_path: Path, own_runs: None
):
    other = slow_bench.with_name("other")
    other.mkdir()
    (other / "question.jsonl").write_bytes((slow_bench / "question.jsonl").read_bytes())
    (tmp_path / "other.toml").write_text((tmp_path / "config.toml").read_text().replace('"small"', '"other"'))
    for config in ("config.toml", "other.toml"):
        assert arena("-c", config, "run", "--detach", cwd=tmp_path).returncode == 0
    (tmp_path / "elsewhere").mkdir()
    alone = ("--data", str(slow_bench.parent))
    listed = arena(*alone, "status", cwd=tmp_path / "elsewhere")
    assert [line.partition(":")[0] for line in listed.stdout.splitlines()] == ["other", "small"]
    both = json.loads(arena("status", "small", "other", "--json", cwd=tmp_path).stdout)
    assert [found["running"] for found in both] == [True, True]
    unclear = arena(*alone, "stop", cwd=tmp_path / "elsewhere")
    assert unclear.returncode == 2
    assert "2 benches have a run" in unclear.stderr
    assert arena("stop", "othr", cwd=tmp_path).returncode == 2
    assert arena("stop", "other", "--at-once", cwd=tmp_path).returncode == 0
    assert is_free(other)
    assert not is_free(slow_bench)
    assert arena("stop", "--all", cwd=tmp_path).returncode == 0
    assert is_free(slow_bench)
    assert arena("status", "--all", cwd=tmp_path).returncode == 1


def start_in(window: Terminal, bench: Path) -> None:
    window.wait_for("Plan:")
    window.press("s")
    window.wait_for("Start now")
    window.press("enter")
    window.wait(lambda _: saved(bench) >= 4, "some answers")


def test_a_run_that_is_left_running_goes_on_and_the_next_ui_is_in_control(
    terminal: Open, arena: Arena, slow_bench: Path, tmp_path: Path, own_runs: None
):
    window = terminal()
    start_in(window, slow_bench)
    window.press("q")
    window.wait_for("leave it running")
    window.press("Q")
    assert window.ended() == 0
    assert b"the run goes on: bench small" in window.written
    before = saved(slow_bench)
    wait_for(lambda: saved(slow_bench) > before + 4)
    found = status(arena, tmp_path)
    assert found["detached"]

    again = terminal()
    again.wait_for("calls/s", "small", absent="READ-ONLY")
    again.press("p")
    again.wait_for("PAUSED")
    assert status(arena, tmp_path)["status"] == "paused"
    again.press("p")
    again.wait_for("in flight", absent="PAUSED")
    again.press("q")
    again.wait_for("leave it running")
    again.press("Q")
    assert again.ended() == 0
    assert status(arena, tmp_path)["pid"] == found["pid"]

    reader = terminal("attach", "--read-only")
    reader.wait_for("READ-ONLY", "calls/s")
    reader.press("p")
    reader.press("q")
    assert reader.ended() == 0
    assert status(arena, tmp_path)["status"] == "running"

    last = terminal("attach")
    last.wait_for("calls/s")
    last.press("q")
    last.wait_for("leave it running")
    last.press("enter")
    assert last.ended() == 130
    assert is_free(slow_bench)
    assert all_whole(slow_bench)
    wait_for(lambda: has_ended(int(str(found["pid"]))), PATIENCE)
    none = terminal("attach")
    assert none.ended() == 2
    assert b"no run of small is on" in none.written


def has_ended(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


@pytest.mark.parametrize("how", ["ui", "headless"])
def test_a_lost_terminal_leaves_the_run_on_where_the_config_says_so(
    terminal: Open, arena: Arena, slow_bench: Path, tmp_path: Path, own_runs: None, how: str
):
    config = tmp_path / "config.toml"
    config.write_text('ui = { on_hangup = "leave" }\n' + config.read_text())
    window = terminal() if how == "ui" else terminal("--no-ui", "run")
    if how == "ui":
        start_in(window, slow_bench)
    window.wait(lambda _: saved(slow_bench) >= 4, "some answers")
    window.hang_up()
    before = saved(slow_bench)
    wait_for(lambda: saved(slow_bench) > before + 8)
    found = status(arena, tmp_path)
    assert found["detached"]
    assert psutil.Process(int(str(found["pid"]))).terminal() is None
    assert arena("stop", cwd=tmp_path).returncode == 0
    wait_for(lambda: has_ended(int(str(found["pid"]))), PATIENCE)


def test_a_ui_whose_waiting_process_is_killed_stops_its_run_in_order(terminal: Open, slow_bench: Path, own_runs: None):
    window = terminal()
    start_in(window, slow_bench)
    window.process.kill()
    wait_for(lambda: is_free(slow_bench), PATIENCE)
    assert all_whole(slow_bench)
    assert not (slow_bench / "errors.jsonl").exists()


def test_a_signal_to_the_program_reaches_its_run(terminal: Open, slow_bench: Path, own_runs: None):
    window = terminal()
    start_in(window, slow_bench)
    os.kill(window.process.pid, signal.SIGTERM)
    assert window.ended() == 130
    assert is_free(slow_bench)
    assert all_whole(slow_bench)


def test_a_detached_run_that_is_killed_leaves_no_server_and_one_that_is_stopped_ends_them_first(
    tmp_path: Path, arena: Arena, own_runs: None
):
    yard = Yard(tmp_path)
    config = written(yard, stage_seconds=0.3)
    begun = arena("-c", config, "run", "--detach", cwd=yard.folder)
    assert begun.returncode == 0, begun.stderr
    wait_for(yard.left)
    found = status(arena, yard.folder)
    assert "starting" in found["servers"].values()  # type: ignore[attr-defined]
    os.kill(int(str(found["pid"])), signal.SIGKILL)
    wait_for(lambda: not yard.left())
    assert status(arena, yard.folder)["running"] is False
    assert (yard.bench / ".run.sock").exists()  # of the dead process

    assert arena("-c", config, "run", "--detach", cwd=yard.folder).returncode == 0
    wait_for(yard.left)
    stopped = arena("stop", cwd=yard.folder)
    assert stopped.returncode == 0, stopped.stderr
    assert not yard.left()
    assert not (yard.bench / ".run.sock").exists()


def test_a_stop_that_takes_too_long_says_so(arena: Arena, slow_bench: Path, tmp_path: Path, own_runs: None):
    assert arena("run", "--detach", cwd=tmp_path).returncode == 0
    late = arena("stop", "--timeout", "0", cwd=tmp_path)
    assert late.returncode == 1
    assert "still stopping after 0 s" in late.stderr
    assert arena("stop", cwd=tmp_path).returncode == 0


def test_no_key_is_sent_to_who_attaches(simulator: Callable[..., str], arena: Arena, tmp_path: Path, own_runs: None):
    key, proxy = "sk-unheard-of-0123456789", "hunter2-secret"
    url = simulator("--latency", "0.3")
    (tmp_path / "config.toml").write_text(
        'bench = "small"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n'
        + "".join(
            f'[models.{name}]\nparallel = 2\nendpoints = [{{ base_url = "{url}", api_key = "${{A_KEY}}" }}]\n'
            f'extra_body = {{ token = "{proxy}" }}\n'
            for name in ("sim-baseline", "sim-strong", "sim-judge")
        )
    )
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    rows = ({"question_id": f"q{n}", "turns": [{"content": f"Question {n}?"}]} for n in range(200))
    (bench / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    begun = arena("run", "--detach", cwd=tmp_path, env=os.environ | {"A_KEY": key})
    assert begun.returncode == 0, begun.stderr
    listen = (
        "import socket, sys\n"
        "connection = socket.socket(socket.AF_UNIX); connection.connect('data/small/.run.sock')\n"
        'connection.sendall(b\'{"type":"Attach"}\\n\'); connection.settimeout(30)\n'
        "data = b''\n"
        "while data.count(b'\\n') < 20: data += connection.recv(1 << 16)\n"
        "sys.stdout.buffer.write(data)\n"
    )
    heard = subprocess.run([sys.executable, "-c", listen], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "sim-strong" in heard.stdout
    assert "CallEnded" in heard.stdout
    assert key not in heard.stdout
    assert proxy not in heard.stdout
    assert arena("stop", cwd=tmp_path).returncode == 0
