"""Which models of a bench are checkpoints: `watch.jsonl`, one line for each, which stays when its folder is deleted.

It holds what nothing else says: the model that stands for a folder, its step, and the order in which the checkpoints
came. What became of them is in the answers and judgments alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from engine.bench.appender import append_lines
from engine.bench.layout import BenchPaths
from engine.bench.lines import encode_line, load_structs
from engine.config.adapters import adapter_folder
from engine.config.model import Config
from engine.watching.steps import step_of

CheckpointKind: TypeAlias = Literal["model", "adapter"]


class WatchedCheckpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """One checkpoint. `model` is its name in the bench, `weights` a fingerprint of its files, `tstamp` when it came.

    `step` is None where neither its trainer nor its name nor a request says it.
    """

    model: str
    path: str
    kind: CheckpointKind
    step: int | None = None
    weights: str = ""
    tstamp: float = 0.0

    @property
    def is_on_disk(self) -> bool:
        """Whether its folder is there."""
        return Path(self.path).is_dir()


_decoder: msgspec.json.Decoder[WatchedCheckpoint] = msgspec.json.Decoder(WatchedCheckpoint)


def load_checkpoints(paths: BenchPaths) -> dict[str, WatchedCheckpoint]:
    """Return the checkpoints of a bench by model, in the order in which they came; the last line of a model counts.

    A line that cannot be read is left out.
    """
    return {found.model: found for found in load_structs(paths.watched, _decoder).items}


def register_checkpoint(paths: BenchPaths, checkpoint: WatchedCheckpoint) -> None:
    """Append a checkpoint unless it is there as it is. Raises StorageError."""
    known = load_checkpoints(paths).get(checkpoint.model)
    if known is None or msgspec.structs.replace(known, tstamp=checkpoint.tstamp) != checkpoint:
        append_lines(paths.watched, [encode_line(checkpoint)])


def known_steps(paths: BenchPaths, models: Iterable[str], config: Config | None = None) -> Mapping[str, int]:
    """Return the step of each model that has one: from `step` of its entry, from the watch, from its folder, or from
    its name, in this order. Reads files."""
    watched = load_checkpoints(paths)
    found = ((model, _step(model, watched.get(model), config)) for model in models)
    return {model: step for model, step in found if step is not None}


def _step(model: str, watched: WatchedCheckpoint | None, config: Config | None) -> int | None:
    entry = config.models.get(model) if config is not None else None
    if entry is not None and entry.step is not None:
        return entry.step
    if watched is not None:
        return watched.step if watched.step is not None else step_of(model, Path(watched.path))
    return step_of(model, _folder(entry.adapter or entry.model, config) if entry is not None else None)


def _folder(named: str | None, config: Config | None) -> Path | None:
    beside = config.file.parent if config is not None and config.file is not None else Path()
    return adapter_folder(named, beside) if named else None
