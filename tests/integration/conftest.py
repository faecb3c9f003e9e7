"""A real vLLM server with a tiny random model, for the tests that are marked `vllm`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

SERVED_NAMES = ("north", "south", "judge")
"""One model under three names: two that answer and one that judges."""

START_LIMIT = 420.0
"""Seconds for `vllm serve` to become healthy; 30-50 s are usual on two idle cores."""

STOP_LIMIT = 30.0
"""Seconds for the server's processes to go after they were asked to."""


def _cached_vllm() -> Path:
    """Where `.ci/vllm-env` leaves the command."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made = sorted(cache.glob("arena-tui/vllm-*/.complete"))
    return made[-1].parent / "bin" / "vllm" if made else cache / "arena-tui" / "vllm"


@pytest.fixture(scope="session")
def vllm_command(request: pytest.FixtureRequest) -> Path:
    """The `vllm` executable, or a skip that says why there is none."""
    if "vllm" not in request.config.getoption("markexpr"):
        pytest.skip("starts a real vLLM server, about a minute: asked for by `pytest -m vllm`")
    named = os.environ.get("ARENA_TUI_VLLM")
    command = Path(named) if named else _cached_vllm()
    if not command.is_file():
        where = f"ARENA_TUI_VLLM names {named}" if named else "ARENA_TUI_VLLM is not set and .ci/vllm-env was not run"
        pytest.skip(f"vLLM is not installed: {where}")
    if shutil.which(command) is None:
        pytest.skip(f"vLLM cannot be run: {command} is not executable")
    return command


@pytest.fixture(scope="session")
def tiny_model(vllm_command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, made by the Python that vLLM runs on."""
    folder = tmp_path_factory.mktemp("tiny-model")
    script = Path(__file__).with_name("tiny_model.py")
    subprocess.run([vllm_command.with_name("python"), script, folder], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def vllm_url(vllm_command: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a healthy `vllm serve`, without `/v1`; the whole process group is gone afterwards."""
    scratch = tmp_path_factory.mktemp("vllm")
    with _serving(vllm_command, tiny_model, scratch) as url:
        yield url


@pytest.fixture(scope="session")
def serving(vllm_command: Path) -> Callable[..., AbstractContextManager[str]]:
    """`with serving(model, scratch, *arguments) as url`: a server of a test's own."""
    return partial(_serving, vllm_command)


@contextmanager
def _serving(command: Path, model: Path, scratch: Path, *more: str) -> Iterator[str]:
    """The address of a healthy `vllm serve` with the arguments `more`; its whole process group is gone afterwards."""
    port = _free_port()
    arguments = ["serve", model, "--host", "127.0.0.1", "--port", str(port), "--enforce-eager", *more]
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; the default is half of the machine's memory
        "VLLM_CACHE_ROOT": str(scratch / "cache"),
    }
    log = scratch / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [command, *arguments, "--served-model-name", *SERVED_NAMES],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # the engine's processes stay in this group, also when their parent is gone
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(server, url, log)
        yield url
    finally:
        _stop_group(server)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_healthy(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"vllm serve exited with {server.returncode}:\n{_tail(log)}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"vllm serve was not healthy after {START_LIMIT:.0f} s:\n{_tail(log)}")


def _tail(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text("utf-8", "replace").split("\n")[-lines:])


def _stop_group(server: subprocess.Popen[bytes]) -> None:
    """Ends every process of the server's group, first politely, and fails if one is left."""
    group = server.pid  # start_new_session makes the server the leader of its group
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if not _has_live_process(group):
            break
        os.killpg(group, sign)
        deadline = time.monotonic() + STOP_LIMIT
        while time.monotonic() < deadline and _has_live_process(group):
            time.sleep(0.2)
    server.wait(timeout=STOP_LIMIT)
    assert not _has_live_process(group), "vllm serve left processes behind"


def _has_live_process(group: int) -> bool:
    """Whether a process of the group runs; zombies that nobody reaps (PID 1 of a container) do not count."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended between the listing and the reading
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False
