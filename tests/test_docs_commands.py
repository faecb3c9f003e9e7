"""The commands of the documentation: all are valid, and those of the guides do what a reader expects.

A guide is followed as it stands: its config is saved and its commands are typed, in a folder of their own. Addresses of
servers lead to a simulated one; what cannot be run here carries its reason on the page.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from docs_blocks import PAGES, REPOSITORY, Section, arena_calls, sections
from msgspec.structs import replace

from arena_tui.cli import cli
from engine.simulator import SimulatedModel, SimulatorConfig, demo_cast, running_simulator

DOCS = REPOSITORY / "docs"
QUESTIONS = 32  # of a bench that a guide takes for granted
TYPED = [
    pytest.param(arguments, id=f"{page.stem}: {' '.join(arguments)[:80]}")
    for page in PAGES
    for section in sections(page)
    for block in section.blocks
    if block.kind == "bash"
    for arguments in arena_calls("\n".join(block.lines))
]
GUIDES = ("how-to", "recipes")
ON_A_JUDGED_BENCH = ("configuration", "curves", "events", "noise", "report")
ANSWERING = ("base", "A", "checkpoint-500", "B", "checkpoint-1000", "checkpoint-2000")
NEEDS_MORE = re.compile(  # an installation, the original's folders, a terminal, or a program that may not be here
    r"^(?!arena-tui)|^arena-tui (?:import|review|completion)\b" + ("" if shutil.which("jq") else r"|\bjq\b")
)
MAY_FAIL = re.compile(r"^arena-tui gate\b")  # with exit code 1: not shown


@pytest.mark.parametrize("arguments", TYPED)
def test_every_command_on_a_page_is_valid(arguments: list[str]):
    command: click.Command = cli
    context = click.Context(cli, info_name="arena-tui")
    while "--help" not in arguments:
        with command.make_context(context.info_name, list(arguments), parent=context.parent) as made:
            if not isinstance(command, click.Group) or not made._protected_args + made.args:
                return
            name, inner, arguments = command.resolve_command(made, made._protected_args + made.args)
        assert inner is not None
        command, context = inner, click.Context(inner, info_name=name, parent=made)


def guides() -> list[Any]:
    found = [section for page in GUIDES for section in sections(DOCS / f"{page}.md")]
    return [
        pytest.param(section, id=section.id)
        for section in found
        if any(block.kind == "bash" and not block.not_run for block in section.blocks)
    ]


@pytest.mark.parametrize("section", guides())
async def test_a_guide_works_as_it_stands(section: Section, tmp_path: Path, starter: Path):
    config = "".join(block.text for block in section.blocks if block.kind == "toml")
    document = tomllib.loads(config)
    if "bench" not in document:
        config, document["bench"] = 'bench = "starter-en"\n' + config, "starter-en"
    folder = tmp_path / "data" / document["bench"]
    folder.mkdir(parents=True)
    questions = (starter / "starter-en" / "question.jsonl").read_text("utf-8").splitlines(keepends=True)
    (folder / "question.jsonl").write_text("".join(questions[:QUESTIONS]), "utf-8")
    judges = document["judge"]["model"]
    judges = {judges} if isinstance(judges, str) else set(judges)
    named = {str(entry.get("model", name)): name in judges for name, entry in document["models"].items()}
    answering = [name for name, is_judge in named.items() if not is_judge]
    judge = demo_cast().judges[0]
    cast = SimulatorConfig(
        models=tuple(SimulatedModel(name=name, skill=0.4 + 0.2 * rank) for rank, name in enumerate(answering)),
        judges=tuple(replace(judge, name=name) for name in named if name not in answering),
    )
    async with running_simulator(cast) as url:
        config = re.sub(r"http://[^\"/]+/v1", f"{url}/v1", config)
        (tmp_path / "config.toml").write_text(config, "utf-8")
        for block in section.blocks:
            if block.kind == "bash" and not block.not_run:
                for line, code in block.codes.items():
                    await asyncio.to_thread(typed, line, tmp_path, code)


@pytest.mark.parametrize("name", ["../README", *ON_A_JUDGED_BENCH])
async def test_the_commands_of_a_page_work_on_a_judged_bench(name: str, tmp_path: Path, starter: Path):
    """Every line that needs no more than a config, servers and results, in the order of the page."""
    folder = tmp_path / "data" / "my-bench"
    folder.mkdir(parents=True)
    questions = (starter / "starter-en" / "question.jsonl").read_text("utf-8").splitlines(keepends=True)
    (folder / "question.jsonl").write_text("".join(questions[:QUESTIONS]), "utf-8")
    judge = demo_cast().judges[0]
    cast = SimulatorConfig(
        models=tuple(SimulatedModel(name=name, skill=0.3 + 0.1 * rank) for rank, name in enumerate(ANSWERING)),
        judges=(replace(judge, name="judge"),),
    )
    async with running_simulator(cast) as url:
        entry = f'endpoints = [{{ base_url = "{url}/v1" }}]\nprice = {{ input = 1.0, output = 2.0 }}\n'
        config = 'bench = "my-bench"\n[answers]\ntemperature = 0.7\n[judge]\nmodel = "judge"\nbaseline = "base"\n'
        config += "temperature = 0.7\n" + "".join(f'[models."{name}"]\n{entry}' for name in (*ANSWERING, "judge"))
        (tmp_path / "config.toml").write_text(config, "utf-8")
        await asyncio.to_thread(typed, "arena-tui run", tmp_path)
        for section in sections(DOCS / f"{name}.md"):
            for block in section.blocks:
                if block.kind == "bash" and not block.not_run:
                    for line, code in block.codes.items():
                        if not NEEDS_MORE.search(line):
                            await asyncio.to_thread(typed, line, tmp_path, code)


def test_the_tutorial_works_from_top_to_bottom(tmp_path: Path):
    port = free_port()
    started: list[subprocess.Popen[bytes]] = []
    try:
        for section in sections(DOCS / "tutorial.md"):
            for block in section.blocks:
                text = block.text.replace("8010", str(port))
                if block.kind == "toml":
                    with (tmp_path / "config.toml").open("a", encoding="utf-8") as file:
                        file.write(text)
                elif block.kind == "bash":
                    assert not block.not_run
                    for line, code in block.codes.items():
                        if line.endswith("&"):
                            started.append(start(line.replace("8010", str(port)), tmp_path))
                            wait_until_it_listens(port, started[-1])
                        else:
                            typed(line, tmp_path, code)
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    assert (tmp_path / "board.json").read_text("utf-8").startswith("{")
    assert "sim-careful" in (tmp_path / "report.html").read_text("utf-8")


def typed(line: str, folder: Path, code: int | None = None) -> str:
    """Run one line as a shell would; return its output. It must end with `code`; else 0, or 1 as an answer."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment(folder), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if MAY_FAIL.match(line) and code is None and "not comparable" in done.stderr:
        return done.stdout  # the simulated judge may well be one that the gate refuses
    allowed = (code,) if code is not None else (0, 1) if MAY_FAIL.match(line) else (0,)
    assert done.returncode in allowed, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def start(line: str, folder: Path) -> subprocess.Popen[bytes]:
    command = ["bash", "-c", f"exec {line.removesuffix('&').strip()}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, env=environment(folder), start_new_session=True, **quiet)


def environment(folder: Path) -> dict[str, str]:
    """That of a reader: the program on the PATH, and a home folder of its own."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "HOME": str(home), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(f"the server ended with {process.returncode}")


def test_what_is_not_run_here_is_little_and_says_why():
    blocks = [block for page in PAGES for section in sections(page) for block in section.blocks]
    assert all(len(block.not_run) > 8 for block in blocks if block.not_run)
    assert shutil.which("bash"), "the commands are typed into bash"
