"""The parts of a first start: a commented config, starter benches, and the demo that needs no config.

The demo is the whole job over real HTTP against simulated servers; no real model takes part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from arena_tui.completing import SCHEMA
from engine.bench.atomic import write_file
from engine.errors import StorageError, UsageProblem

if TYPE_CHECKING:
    from arena_tui.invocation import Invocation
    from engine.config.model import Config
    from engine.setup.proposal import Setup

_SCHEMA_LINE, _SCHEMA_IN_REPOSITORY = "#:schema ./config.schema.json", "#:schema ./arena_tui/config.schema.json"
SIMULATED = "SIMULATED: these models and this judge are made up; the numbers say nothing about any real model."
BENCH = "demo"
STARTERS = ("starter-ru", "starter-en")


@asynccontextmanager
async def demo_config(invocation: Invocation) -> AsyncIterator[Config]:
    """Yield the config of the demo while its simulated server runs. Its bench is `<data>/demo` (`./data` by default).

    Values that were set replace the demo's, but for the bench.

    Raises UsageProblem if the data folder cannot be written.
    """
    from engine.config.load import parse_config
    from engine.simulator import demo_cast, running_simulator

    folder = invocation.named_data or Path("data")
    assignments = [each for each in invocation.assignments() if str(each.path[0]).lower() not in ("bench", "data")]
    questions = folder / BENCH / "question.jsonl"
    if not questions.exists():
        try:
            write_file(questions, starter_questions(STARTERS[0]).read_bytes())
        except StorageError as error:
            raise UsageProblem(error.title, "name another folder with --data") from None
    cast = demo_cast()
    async with running_simulator(cast) as url:
        endpoint = {"base_url": f"{url}/v1"}
        models = [model.name for model in cast.models]
        document = {
            "bench": BENCH,
            "data": str(folder.resolve()),
            "answers": {"max_tokens": 1024},
            "judge": {"model": cast.judges[0].name, "baseline": models[0]},
            "models": {
                name: {"endpoints": [endpoint], "parallel": 8} for name in (*models, *(j.name for j in cast.judges))
            },
        }
        yield parse_config(document, Path("demo"), {}, assignments=assignments)


def first_config_text(setup: Setup | None, data: str = "data") -> str:
    """Return the commented config of a set-up, or the example that comes with the program."""
    from engine.setup.template import config_text

    template = _shipped("config.toml", "config.toml").read_text(encoding="utf-8")
    template = template.replace(_SCHEMA_IN_REPOSITORY, _SCHEMA_LINE, 1)
    return template if setup is None else config_text(template, setup, data)


def write_first_config(config: Path, setup: Setup | None, data: str = "data") -> str:
    """Write a commented config, its schema and, if it names one, the starter bench; return what was done, in words.

    A config that exists is kept beside the new one. Raises UsageProblem when a file cannot be written or is missing
    from this installation.
    """
    kept = ""
    try:
        bench = setup.bench if setup is not None else None
        if bench is None or bench.root is None:
            name = STARTERS[0] if bench is None else bench.name
            questions = config.parent / data / name / "question.jsonl"
            if not questions.exists():
                write_file(questions, starter_questions(name).read_bytes())
        text = first_config_text(setup, data).encode()
        if config.exists():
            backup = _unused(config)
            write_file(backup, config.read_bytes())
            kept = f" (the one before: {backup.name})"
        write_file(config, text)
        write_file(config.with_name(SCHEMA.name), SCHEMA.read_bytes())
    except StorageError as error:
        raise UsageProblem(error.title, "start in another folder") from None
    except OSError as error:
        raise UsageProblem(f"{config}: {error.strerror}", "start in another folder") from None
    examples = "" if setup is not None and setup.in_use() else "; its models and servers are examples: e edits it"
    return f"wrote {config}{kept}{examples}"


def _unused(config: Path) -> Path:
    """Return the name for a copy of a config that does not exist yet."""
    names = (config.with_name(f"{config.name}.{number}.bak") for number in count(1))
    return next(name for name in names if not name.exists())


def starter_questions(name: str) -> Path:
    """Return the path of a starter question set. Raises UsageProblem when this installation lacks it."""
    return _shipped(f"data/{name}/question.jsonl", f"{name}/question.jsonl")


def _shipped(in_repository: str, in_package: str) -> Path:
    """Return a file that comes with the program: of the installed package, or of the repository that it runs from."""
    here = Path(__file__).resolve().parent
    for path in (here / "starter" / in_package, here.parent / in_repository):
        if path.is_file():
            return path
    raise UsageProblem(f"{in_package} is missing from this installation", "reinstall arena-tui")
