"""The demo: the whole job over real HTTP against simulated servers, on a starter bench. No real model takes part."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.config.load import parse_config
from engine.config.model import Config
from engine.errors import UsageProblem
from engine.simulator import demo_cast, running_simulator

SIMULATED = "SIMULATED: these models and this judge are made up; the numbers say nothing about any real model."
BENCH = "demo"
STARTER = "starter-ru"


@asynccontextmanager
async def demo_config(data: Path | None) -> AsyncIterator[Config]:
    """The config of the demo, valid while its simulated server runs. Its bench is `<data>/demo` (`./data` by default).

    Raises UsageProblem if the data folder cannot be written.
    """
    folder = data or Path("data")
    questions = folder / BENCH / "question.jsonl"
    if not questions.exists():
        try:
            questions.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(starter_questions(), questions)
        except OSError as error:
            raise UsageProblem(
                f"{questions.parent}: cannot be written ({error.strerror})", "name another folder with --data"
            ) from None
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


def starter_questions() -> Path:
    """The starter question set: in the installed package, or in the repository that it is run from."""
    here = Path(__file__).resolve().parent
    for path in (here / "starter" / STARTER / "question.jsonl", here.parent / "data" / STARTER / "question.jsonl"):
        if path.exists():
            return path
    raise UsageProblem(f"the starter questions {STARTER} are missing from this installation", "install arena-tui again")
