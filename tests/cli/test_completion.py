"""Completion in real shells, and what it offers: names from the config and the disk, also with a broken config."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arena_program import ARENA
from pty_terminal import Terminal

from arena_tui.cli import cli
from arena_tui.completing import BY_NAME, SHELLS

CONFIG = """
bench = "first"
[judge]
model = "judge-one"
baseline = "base"
[models.base]
[models."gpt-4.1"]
[models.judge-one]
"""
HEAVY = {"textual", "rich", "polars", "numpy", "pydantic", "msgspec", "aiohttp", "asyncio"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A config, two benches, and a model that has answers and judgments but no entry."""
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    for name in ("first", "second"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "question.jsonl").write_text('{"question_id": "q", "turns": [{"content": "?"}]}\n')
    (tmp_path / "data" / "empty").mkdir()
    first = tmp_path / "data" / "first"
    for file in (first / "model_answer" / "old-run.jsonl", first / "model_judgment" / "old-judge" / "old-run.jsonl"):
        file.parent.mkdir(parents=True)
        file.write_text("{}\n")
    return tmp_path


def offered(line: str, folder: Path, **variables: str) -> list[str]:
    """What bash is offered for the last word of a line; a new word is begun by a space at its end."""
    words = line.split(" ")
    environ = os.environ | variables
    environ |= {"_ARENA_TUI_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(ARENA, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("arena-tui run --models ", ["base", "gpt-4.1", "judge-one", "old-run"]),
        ("arena-tui run --models base,g", ["base,gpt-4.1"]),
        ("arena-tui compare base o", ["old-run"]),
        ("arena-tui gate --not-worse-than g", ["gpt-4.1"]),
        ("arena-tui leaderboard --judge ", ["judge-one", "old-judge"]),
        ("arena-tui serve j", ["judge-one"]),
        ("arena-tui status ", ["first", "second"]),
        ("arena-tui config set judge.max", ["judge.max_tokens"]),
        ("arena-tui config set models.base.ra", ["models.base.rate"]),
        ("arena-tui config show vllm.s", ["vllm.start_timeout"]),
        ("arena-tui run --set judge.verd", ["judge.verdict="]),
        ("arena-tui leaderboard --format mark", ["markdown"]),
        ("arena-tui lea", ["leaderboard"]),
        ("arena-tui completion ", list(SHELLS)),
    ],
)
def test_names_of_the_config_and_the_disk_are_offered(home: Path, line: str, names: list[str]):
    assert offered(line, home) == names


@pytest.mark.parametrize(
    "broken",
    [
        CONFIG + "this is no TOML",
        CONFIG + "[models.x",
        CONFIG.replace('baseline = "base"', "baseline = 3\nsurplus = 1"),
    ],
)
def test_a_broken_config_still_offers_its_names(home: Path, broken: str):
    (home / "config.toml").write_text(broken, "utf-8")
    assert set(offered("arena-tui run --models ", home)) >= {"base", "gpt-4.1", "judge-one", "old-run"}


def test_without_a_config_or_with_bytes_in_it_nothing_breaks(home: Path):
    (home / "config.toml").write_bytes(b"\xff\xfe\x00 = [")
    assert offered("arena-tui run --models ", home) == []
    (home / "config.toml").unlink()
    assert offered("arena-tui status ", home) == ["first", "second"]


def test_the_config_and_data_folder_of_the_line_and_of_variables_count(home: Path, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    (home / "config.toml").rename(home / "other.toml")
    names = ["base", "gpt-4.1", "judge-one", "old-run"]
    assert offered(f"arena-tui -c {home}/other.toml run --models ", away) == names
    assert offered(f"arena-tui run -c {home}/other.toml --models ", away) == names
    assert offered("arena-tui run --models ", away, ARENA_TUI_CONFIG=f"{home}/other.toml") == names
    assert offered(f"arena-tui --data {home}/data status ", away) == ["first", "second"]
    assert offered("arena-tui status ", away, ARENA_TUI_DATA=f"{home}/data") == ["first", "second"]


def test_every_option_and_argument_with_a_name_completes_it():
    """By construction: a parameter of one of these names that offers nothing would complete to files."""
    found = []

    def walk(command, path):
        for parameter in command.params:
            wanted = BY_NAME.get(parameter.name)
            if wanted and parameter._custom_shell_complete is not wanted:
                found.append(f"{path}: {parameter.name}")
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{path} {name}")

    walk(cli, "arena-tui")
    assert not found, "give it shell_complete of arena_tui.completing"


def test_completion_loads_nothing_heavy(home: Path):
    script = (
        "import atexit, json, sys\n"
        "loaded = lambda: sorted({name.partition('.')[0] for name in sys.modules})\n"
        "atexit.register(lambda: print(json.dumps(loaded()), file=sys.stderr))\n"
        "sys.argv = ['arena-tui']\n"
        "from arena_tui.entry import entry\n"
        "entry()\n"
    )
    environ = os.environ | {
        "_ARENA_TUI_COMPLETE": "bash_complete",
        "COMP_WORDS": "arena-tui run --models ",
        "COMP_CWORD": "3",
    }
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, timeout=120, check=True)
    assert "gpt-4.1" in done.stdout
    loaded = set(json.loads(done.stderr))
    assert {"click", "tomli"} <= loaded
    assert HEAVY.isdisjoint(loaded)


# -- Real shells


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A folder for PATH that has the command under its own name."""
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "arena-tui").write_text(f'#!/bin/sh\nexec {" ".join(ARENA)} "$@"\n')
    (folder / "arena-tui").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def shell(home: Path, program: str) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*command: str) -> Terminal:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        opened.append(
            Terminal(command, home, size=(160, 40), PATH=program, HOME=str(home), PS1="ready> ", TERM="xterm")
        )
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def typed(terminal: Terminal, text: str) -> None:
    for character in text:
        terminal.press(character)


SETUP = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), 'eval "$(arena-tui completion bash)"; echo set up'),
    "zsh": (("zsh", "-f", "-i"), 'autoload -Uz compinit; compinit -D; eval "$(arena-tui completion zsh)"; echo set up'),
    "fish": (("fish", "--no-config", "-i"), "arena-tui completion fish | source; echo set up"),
}


@pytest.mark.parametrize("name", SHELLS)
def test_tab_completes_a_command_an_option_and_the_last_model_of_a_list(shell: Callable[..., Terminal], name: str):
    command, set_up = SETUP[name]
    terminal = shell(*command)
    typed(terminal, set_up)
    terminal.press("enter")
    terminal.wait_for("\nset up")
    typed(terminal, "arena-tui leaderb")
    terminal.press("tab")
    terminal.wait_for("arena-tui leaderboard ")
    typed(terminal, "--basel")
    terminal.press("tab")
    terminal.wait_for("arena-tui leaderboard --baseline")
    typed(terminal, " base,gpt")
    terminal.press("tab")
    terminal.wait(lambda shown: "base,gpt-4.1" in shown.replace("\\", ""), "the name of the model")
