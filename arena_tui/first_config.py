"""Writes a new user's first config: the commented one that comes with the program, and the benches it speaks of."""

from __future__ import annotations

import shutil
from pathlib import Path

from arena_tui.invocation import DEFAULT_CONFIG
from engine.errors import UsageProblem

STARTERS = ("starter-ru", "starter-en")


def write_first_config(folder: Path = Path()) -> str:
    """Write `config.toml` and the starter benches into `folder`, over nothing that is there; tells what was done.

    Raises UsageProblem when a file cannot be written or this installation lacks them.
    """
    config = folder / DEFAULT_CONFIG
    if config.exists():
        raise UsageProblem(f"{config}: exists already", "edit it, or start with -c and another name")
    try:
        for name in STARTERS:
            questions = folder / "data" / name / "question.jsonl"
            if not questions.exists():
                questions.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(_shipped(f"data/{name}/question.jsonl", f"{name}/question.jsonl"), questions)
        shutil.copyfile(_shipped("config.toml", "config.toml"), config)
    except OSError as error:
        raise UsageProblem(
            f"{folder.resolve()}: cannot be written ({error.strerror})", "start in another folder"
        ) from None
    return (
        f"wrote {config} and data/: name your models and their servers in it, check with arena-tui doctor, start again"
    )


def _shipped(in_repository: str, in_package: str) -> Path:
    """A file that comes with the program: in the installed package, or in the repository that it is run from."""
    here = Path(__file__).resolve().parent
    for path in (here / "starter" / in_package, here.parent / in_repository):
        if path.is_file():
            return path
    raise UsageProblem(f"{in_package} is missing from this installation", "install arena-tui again")
