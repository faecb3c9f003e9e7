"""What an installation has: versions for reports, the manual page, the folders of a user, and the files of a wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from arena_tui.cli import cli
from arena_tui.man_page import man_page
from engine import __version__
from engine.places import cache_folder, config_folder, runtime_folder, state_folder

Arena = Callable[..., "CompletedProcess[str]"]
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("arguments", [["--version", "--json"], ["--json", "--version"]])
def test_versions_of_what_matters_are_json(arena: Arena, arguments: list[str]):
    done = arena(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["arena-tui"] == __version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    for name in ("textual", "aiohttp", "polars", "numpy", "scikit-learn"):
        assert found["packages"][name] == version(name)
    assert found["platform"]


def test_vllm_of_another_environment_is_found_without_starting_it(arena: Arena, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib" / "python3.12" / "site-packages" / "vllm-0.99.1.dist-info").mkdir(parents=True)
    command = tmp_path / "bin" / "vllm"
    command.write_text("#!/bin/sh\nexit 1\n")
    command.chmod(0o755)
    done = arena("--version", "--json", env=os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
    assert json.loads(done.stdout)["vllm"]["version"] in ("0.99.1", _own_vllm())


def _own_vllm() -> str:
    try:
        return version("vllm")
    except ImportError:
        return ""


def test_json_before_a_command_is_refused(arena: Arena):
    done = arena("--json", "runs")
    assert done.returncode == 2
    assert "belongs to --version" in done.stderr


def test_folders_are_those_of_the_standard():
    home = {"HOME": "/home/u"}
    assert config_folder(home) == Path("/home/u/.config/arena-tui")
    assert cache_folder(home) == Path("/home/u/.cache/arena-tui")
    assert state_folder(home) == Path("/home/u/.local/state/arena-tui")
    assert runtime_folder(home) is None
    given = home | {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "relative", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert config_folder(given) == Path("/c/arena-tui")
    assert state_folder(given) == Path("/home/u/.local/state/arena-tui")
    assert runtime_folder(given) == Path("/run/user/1/arena-tui")


def test_no_other_module_reads_a_home_folder():
    alone = ("places.py", "callback.py")  # the latter is copied beside training scripts, and imports nothing of ours
    reads = re.compile(r"\.home\(\)|XDG_[A-Z]+_(?:HOME|DIR)\"")
    offenders = [
        str(module.relative_to(REPOSITORY))
        for package in ("engine", "arena_tui")
        for module in (REPOSITORY / package).rglob("*.py")
        if module.name not in alone and reads.search(module.read_text("utf-8"))
    ]
    assert offenders == []


PERSONAL = """
[vllm]
command = ["/opt/vllm/bin/vllm"]
restarts = 9
[ui]
on_hangup = "leave"
"""
CONFIG = 'bench = "b"\n[judge]\nmodel = "m"\nbaseline = "m"\n[models.m]\n[vllm]\nrestarts = 1\n'


def test_a_users_own_file_fills_in_what_the_config_leaves_out(arena: Arena, tmp_path: Path):
    (tmp_path / "config.toml").write_text(CONFIG)
    own = tmp_path / "home" / "arena-tui" / "config.toml"
    own.parent.mkdir(parents=True)
    own.write_text(PERSONAL)
    environ = os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    done = arena("config", "show", "--changed", "--json", "vllm", "ui", cwd=tmp_path, env=environ)
    assert json.loads(done.stdout)["values"] == {
        "vllm.command": {"value": ["/opt/vllm/bin/vllm"], "from": str(own)},
        "vllm.restarts": {"value": 1, "from": "config.toml"},
        "ui.on_hangup": {"value": "leave", "from": str(own)},
    }
    with_variable = arena("config", "show", "ui", cwd=tmp_path, env=environ | {"ARENA_TUI_UI__ON_HANGUP": "stop"})
    assert "# ARENA_TUI_UI__ON_HANGUP" in with_variable.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[judge]\nmax_tokens = 9\n", "judge: does not belong in the file of a user: it shapes results"),
        ("[ui]\non_hangup = 'go'\n", 'ui.on_hangup ({own}): must be "stop" or "leave"'),
        ("[ui\n", "{own}: 1 problem"),
    ],
)
def test_what_is_wrong_in_it_is_reported_with_its_path(arena: Arena, tmp_path: Path, text: str, says: str):
    (tmp_path / "config.toml").write_text(CONFIG)
    own = tmp_path / "home" / "arena-tui" / "config.toml"
    own.parent.mkdir(parents=True)
    own.write_text(text)
    done = arena("config", "check", cwd=tmp_path, env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "home")})
    assert done.returncode == 2
    assert says.format(own=own) in done.stderr


def test_the_manual_page_names_every_command_and_option(tmp_path: Path):
    page = man_page(cli)
    plain = page.replace("\\-", "-")

    def walk(command, path):
        for name, inner in getattr(command, "commands", {}).items():
            assert f'.SS "{path} {name} ' in plain
            assert all(max(option.opts, key=len) in plain for option in inner.params if option.opts[0].startswith("-"))
            walk(inner, f"{path} {name}")

    walk(cli, "arena-tui")
    assert not [line for line in page.splitlines() if line.startswith("'")]


def test_the_manual_page_is_shown_without_warnings(tmp_path: Path):
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    file = tmp_path / "arena-tui.1"
    file.write_text(man_page(cli), "utf-8")
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "EXIT STATUS" in done.stdout
    assert "--max-cost AMOUNT" in done.stdout


def test_a_wheel_holds_all_that_an_installation_needs(tmp_path: Path):
    pytest.importorskip("hatchling", reason="hatchling is not installed: the wheel cannot be built without a network")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        page = archive.read(f"arena_tui-{__version__}.data/data/share/man/man1/arena-tui.1").decode()
    assert page == man_page(cli)
    needed = (
        "arena.tcss",
        "config.schema.json",
        "web/page.html",
        "starter/config.toml",
        "starter/starter-en/question.jsonl",
    )
    assert {f"arena_tui/{name}" for name in needed} <= names
    assert not [name for name in names if name.startswith("tests/")]
