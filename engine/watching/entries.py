"""Checkpoints as entries of the config: what they are called, and which entry they are served and asked like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from engine.config.adapters import adapter_folder, read_adapter
from engine.config.model import Config, ModelConfig
from engine.errors import Advice, AdviceKind, UsageProblem, listed
from engine.watching.folders import lacks_tokenizer
from engine.watching.ledger import WatchedCheckpoint

_UNFIT = re.compile(r"[^\w.+@-]+")  # characters of a path that do not belong in the name of a model


def template_of(config: Config, checkpoint: WatchedCheckpoint, named: str = "") -> str:
    """Return the entry that a checkpoint is served and asked like: the base of an adapter, the entry `named`, or the
    only one with a [serve] table that does not judge.

    Raises UsageProblem where it is unclear, or cannot be served.
    """
    if named:
        if named not in config.models:
            known = listed(list(config.models), 12)
            raise UsageProblem(f"no model {named!r} in the config", f"available: {known or 'none'}")
        return _require_servable(config, named, checkpoint)
    judges = config.judge.model
    served = [name for name, entry in config.models.items() if entry.serve is not None and entry.adapter is None]
    candidates = [name for name in served if name not in judges] or served
    if checkpoint.kind == "adapter":
        candidates = _bases(config, Path(checkpoint.path)) or candidates
    if len(candidates) != 1:
        found = f"{len(candidates)} entries could be meant: {listed(candidates, 12)}" if candidates else "no entry fits"
        raise UsageProblem(
            f"it is unclear which entry of [models] {Path(checkpoint.path).name} is served like; {found}",
            Advice("name one with a [serve] table", AdviceKind.LIKE),
        )
    return _require_servable(config, candidates[0], checkpoint)


def _require_servable(config: Config, name: str, checkpoint: WatchedCheckpoint) -> str:
    entry = config.models[name]
    if entry.serve is None and (checkpoint.kind == "model" or not entry.addresses):
        raise UsageProblem(
            f"{name} has no [serve] table, so no server can be started for {Path(checkpoint.path).name}",
            f'add a table [models."{name}".serve]; it may be empty',
        )
    return name


def _bases(config: Config, folder: Path) -> list[str]:
    """Return the entries whose model an adapter names as its base."""
    try:
        base = read_adapter(folder).base_model
    except ValueError:
        return []
    beside = config.file.parent if config.file is not None else Path()

    def same(name: str) -> bool:
        served = config.served_name(name)
        folder_of_base = adapter_folder(base, beside) if base else None
        return served == base or (folder_of_base is not None and adapter_folder(served, beside) == folder_of_base)

    entries = [name for name, entry in config.models.items() if entry.adapter is None and entry.can_be_called]
    return [name for name in entries if same(name)]


def name_for(path: Path, relative: str, stem: str, weights: str, known: Mapping[str, WatchedCheckpoint]) -> str:
    """Return the name of a checkpoint in the bench: that which it has already, else one after `stem` and its folder.

    A folder that holds other weights than when it was evaluated gets another name, so that both keep their results.
    """
    for name, other in known.items():
        if other.path == str(path) and (not other.weights or not weights or other.weights == weights):
            return name
    wanted = _UNFIT.sub("-", f"{stem}-{relative}").strip("-.")
    if wanted in known and known[wanted].path != str(path):
        wanted = _UNFIT.sub("-", f"{stem}-{path.parent.name}-{path.name}").strip("-.")
    name, number = wanted, 1
    taken = {each.casefold() for each in known}
    while name.casefold() in taken:
        number += 1
        name = f"{wanted}@{number}"
    return name


def with_checkpoint(config: Config, checkpoint: WatchedCheckpoint, like: str) -> Config:
    """Return a config with an entry for the checkpoint, served and asked like the entry `like`."""
    base = config.models[like]
    if checkpoint.kind == "adapter":
        own: dict[str, object] = {"model": None, "adapter": checkpoint.path, "base": like}
    else:
        serve = base.serve
        folder = Path(checkpoint.path)
        arguments = [] if serve is None else list(serve.args)
        names_one = any(each.startswith("--tokenizer") for each in arguments)
        if serve is not None and not names_one and lacks_tokenizer(folder):
            tokenizer = adapter_folder(config.served_name(like), config.file.parent if config.file else Path())
            arguments += ["--tokenizer", str(tokenizer) if tokenizer else config.served_name(like)]
            serve = serve.model_copy(update={"args": arguments})
        own = {"model": checkpoint.path, "endpoints": [], "serve": serve}
    own |= {"step": checkpoint.step}
    return with_entry(config, checkpoint.model, base.model_copy(update=own))


def with_entry(config: Config, name: str, entry: ModelConfig) -> Config:
    """Return the config with another entry of this name."""
    return config.model_copy(update={"models": {**config.models, name: entry}})


def asking_only(config: Config, models: list[str]) -> Config:
    """Return a config in which these models answer and are judged, and no others but the baselines."""
    answers = config.answers.model_copy(update={"models": models})
    judge = config.judge.model_copy(update={"models": models})
    return config.model_copy(update={"answers": answers, "judge": judge})
