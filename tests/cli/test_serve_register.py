"""Servers that register themselves in a folder, and a run that reads it: real programs, with a fake `vllm`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine" / "serving"))

from test_serve_command import REPOSITORY, arena, wait_for
from yard import QUESTIONS, Yard

KEY = "key-of-the-cluster-0123456789"
HOST = "127.0.0.3"


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    return Yard(tmp_path)


def config_of(yard: Yard, **behaviour: object) -> Path:
    """One config for the servers and for the run: `serve` starts each model, and the run finds it in the folder."""
    file = yard.written({name: yard.model(name, **behaviour) for name in ("judge", "base", "good")})
    where = 'endpoints = { folder = "servers", api_key = "${VLLM_API_KEY}" }\nparallel = 2\n'
    file.write_text(file.read_text().replace("serve = {", where + "serve = {"))
    return file


def registrations(yard: Yard) -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in sorted((yard.folder / "servers").glob("*.json"))]


def test_a_server_registers_itself_without_its_key_renews_that_and_leaves_with_ctrl_c(yard):
    folder = yard.folder / "servers"
    with arena(config_of(yard), "serve", "good", "--register", str(folder), "--host", HOST) as program:
        assert program.stdout is not None
        address = program.stdout.readline().strip()
        wait_for(lambda: registrations(yard))
        (entry,) = registrations(yard)
        assert address == f"http://{entry['host']}:{entry['port']}/v1"
        assert entry["model"] == str(yard.folder / "models" / "good")
        assert datetime.now(UTC) < datetime.fromisoformat(str(entry["expires"]))
        assert KEY not in "".join(file.read_text() for file in folder.iterdir())
        request = urllib.request.Request(f"{address}/models", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert reply.status == 200
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=180)
    assert program.returncode == 0, err
    assert list(folder.iterdir()) == []
    assert not yard.left()


def test_a_run_is_made_by_servers_that_registered_and_outlives_one_that_is_killed(yard):
    config = config_of(yard, latency=0.3)
    serving = ("--register", str(yard.folder / "servers"), "--host", HOST)
    with (
        arena(config, "serve", "base", *serving) as base,
        arena(config, "serve", "good", *serving) as good,
        arena(config, "serve", "judge", *serving) as killed,
    ):
        wait_for(lambda: len(registrations(yard)) == 3)
        with arena(config, "--data", str(yard.folder / "data"), "run") as run:
            judged = yard.bench / "model_judgment"
            wait_for(lambda: any(judged.rglob("*.jsonl")) or run.poll() is not None)
            killed.kill()  # its warden stops the server; its file stays until it expires
            killed.wait()
            with arena(config, "serve", "judge", *serving) as other:
                out, err = run.communicate(timeout=300)
                assert run.returncode == 0, (out, err)
                other.send_signal(signal.SIGINT)
                other.communicate(timeout=180)
        for program in (base, good):
            program.send_signal(signal.SIGINT)
            program.communicate(timeout=180)
    assert len(yard.lines("model_answer/good.jsonl")) == QUESTIONS
    assert KEY not in err
    wait_for(lambda: not yard.left())


def test_a_server_that_other_machines_reach_needs_a_key(yard, monkeypatch):
    monkeypatch.delenv("VLLM_API_KEY")
    config = yard.written({name: yard.model(name) for name in ("judge", "base", "good")})
    for where in (("--host", "0.0.0.0"), ("--host", "198.51.100.7")):
        with arena(config, "serve", "good", "--register", str(yard.folder / "servers"), *where) as program:
            _, err = program.communicate(timeout=180)
        assert program.returncode == 2, err
        assert "there is no key for it" in err
        assert "VLLM_API_KEY" in err
    assert yard.starts("good") == []


def test_an_address_of_another_machine_is_refused(yard):
    with arena(config_of(yard), "serve", "good", "--host", "198.51.100.7") as program:
        _, err = program.communicate(timeout=180)
    assert program.returncode == 2
    assert "198.51.100.7 is not an address of this machine" in err


def test_doctor_says_when_no_server_has_registered(yard):
    done = subprocess.run(
        [sys.executable, "-m", "arena_tui", "-c", str(config_of(yard)), "doctor"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert "no server is registered in" in done.stdout + done.stderr
    assert "serve good --register" in done.stdout + done.stderr
