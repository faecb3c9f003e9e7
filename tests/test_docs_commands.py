"""The commands of the documentation: all are valid, and those of the guides do what a reader expects.

A guide is followed as it stands: its config is saved and its commands are typed, in a folder of their own. Addresses of
servers lead to a simulated one; what cannot be run here carries its reason on the page.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
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
GUIDES = ("recipes",)
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
                for line in block.lines:
                    await asyncio.to_thread(typed, line, tmp_path)


def typed(line: str, folder: Path) -> str:
    """Run one line as a shell would; return its output. It must end with 0, or with 1 where that is an answer."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment(folder), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    allowed = (0, 1) if MAY_FAIL.match(line) else (0,)
    assert done.returncode in allowed, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def environment(folder: Path) -> dict[str, str]:
    """That of a reader: the program on the PATH, and a home folder of its own."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "HOME": str(home)}


def test_what_is_not_run_here_is_little_and_says_why():
    blocks = [block for page in PAGES for section in sections(page) for block in section.blocks]
    assert all(len(block.not_run) > 8 for block in blocks if block.not_run)
    assert shutil.which("bash"), "the commands are typed into bash"
