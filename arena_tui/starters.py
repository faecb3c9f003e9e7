"""The parts of a first start: a commented config, starter benches, and the demo that needs no config.

The demo is the whole job over real HTTP against simulated servers; no real model takes part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from arena_tui.invocation import DEFAULT_CONFIG
from engine.bench.atomic import write_file
from engine.config.load import parse_config
from engine.config.model import Config
from engine.errors import StorageError, UsageProblem
from engine.simulator import demo_cast, running_simulator

SIMULATED = "SIMULATED: these models and this judge are made up; the numbers say nothing about any real model."
BENCH = "demo"
STARTERS = ("starter-ru", "starter-en")


@asynccontextmanager
async def demo_config(data: Path | None) -> AsyncIterator[Config]:
    """Yield the config of the demo while its simulated server runs. Its bench is `<data>/demo` (`./data` by default).

    Raises UsageProblem if the data folder cannot be written.
    """
    folder = data or Path("data")
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
        yield parse_config(document, Path("demo"), {})


def write_first_config(folder: Path = Path()) -> str:
    """Write `config.toml` and the starter benches into `folder`; return what was done, in a sentence.

    No file is overwritten. Raises UsageProblem when one cannot be written or is missing from this installation.
    """
    config = folder / DEFAULT_CONFIG
    if config.exists():
        raise UsageProblem(f"{config}: exists", "edit it, or name another one with -c")
    try:
        for name in STARTERS:
            questions = folder / "data" / name / "question.jsonl"
            if not questions.exists():
                write_file(questions, starter_questions(name).read_bytes())
        write_file(config, _shipped("config.toml", "config.toml").read_bytes())
    except StorageError as error:
        raise UsageProblem(error.title, "start in another folder") from None
    return (
        f"wrote {config} and data/: name your models and their servers in it, check with arena-tui doctor, start again"
    )


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
