"""What a folder of a training holds: a model, an adapter, or shards that no server loads; and whether it is complete.

A trainer writes a checkpoint file by file. Its folder counts as complete when every file that it names is there and
every safetensors file is as long as its own header says. Whether files still change is seen by `engine.watching.scan`,
which looks twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from engine.config.adapters import ADAPTER_CONFIG, WEIGHTS, read_adapter
from engine.opening import read_whole
from engine.watching.ledger import CheckpointKind
from engine.watching.steps import TRAINER_STATE

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "tekken.json")
_LARGEST_JSON = 64 << 20  # bytes of an index or a config
_LARGEST_HEADER = 100 << 20  # bytes, the bound of the safetensors library
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
_SAMPLE = 1 << 16  # bytes at the end of a file that its fingerprint covers
_UNFINISHED = (".tmp", ".incomplete", ".part", ".lock")  # ends of the names of files that are being written
_HINT_DEEPSPEED = "consolidate it with its zero_to_fp32.py, or set stage3_gather_16bit_weights_on_model_save"
_HINT_FSDP = "consolidate it with `accelerate merge-weights`, or save with a full state dict"


@dataclass(frozen=True)
class FolderState:
    """What a folder holds now.

    Attributes:
        kind: None for a folder that is no checkpoint that a server can load.
        waits_for: what is missing of one that is still being written; "" for one that is complete.
        refused: why it is not taken as it is, with what to do; "" for none.
        has_trainer_state: its trainer has written `trainer_state.json`.
    """

    kind: CheckpointKind | None = None
    waits_for: str = ""
    refused: str = ""
    has_trainer_state: bool = False

    @property
    def is_complete(self) -> bool:
        return self.kind is not None and not self.waits_for and not self.refused


def examine_folder(folder: Path) -> FolderState:
    """Return what a folder holds, by its small files and the headers of its weights. Raises OSError if it is gone."""
    names = {entry.name: entry.is_dir() for entry in os.scandir(folder)}
    has_state = TRAINER_STATE in names
    unfinished = sorted(name for name in names if name.endswith(_UNFINISHED) or name.startswith("tmp-"))
    if ADAPTER_CONFIG in names:
        return FolderState("adapter", _adapter_lacks(folder, names, unfinished), _not_lora(folder), has_state)
    if _has_weights(names):
        if "config.json" not in names:
            return FolderState("model", "config.json", has_trainer_state=has_state)
        return FolderState("model", _model_lacks(folder, names, unfinished), has_trainer_state=has_state)
    if refused := _unconsolidated(folder, names):
        return FolderState(refused=refused, has_trainer_state=has_state)
    if "config.json" in names:
        return FolderState("model", "weights (model.safetensors or its index)", has_trainer_state=has_state)
    return FolderState()


def signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of every file in a folder, subfolders left out. Raises OSError if it is gone."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                state = entry.stat()
                found.append((entry.name, state.st_size, state.st_mtime_ns))
    return tuple(sorted(found))


def fingerprint(folder: Path, kind: CheckpointKind) -> str:
    """Return 16 hexadecimal digits that differ between trainings: of sizes, headers and ends of the weights.

    Raises OSError.
    """
    digest = blake2b(digest_size=8)
    for file in sorted(_weight_files(folder, kind)):
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}:".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_SAMPLE))
            stream.seek(max(0, size - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
    return digest.hexdigest()


def lacks_tokenizer(folder: Path) -> bool:
    """Return whether a folder has none of the files of a tokenizer, as where a trainer was given none to save."""
    return not any((folder / name).is_file() for name in TOKENIZER_FILES)


def _weight_files(folder: Path, kind: CheckpointKind) -> Iterator[Path]:
    patterns: Sequence[str] = WEIGHTS if kind == "adapter" else ("*.safetensors", "pytorch_model*.bin", "*.gguf")
    for pattern in patterns:
        yield from (file for file in folder.glob(pattern) if file.is_file())


def _has_weights(names: dict[str, bool]) -> bool:
    files = [name for name, is_folder in names.items() if not is_folder]
    return any(name in names for name in (*_INDEXES, *_SINGLE_FILES)) or any(
        (name.startswith("model-") and name.endswith(".safetensors"))
        or (name.startswith("pytorch_model-") and name.endswith(".bin"))
        for name in files
    )


def _adapter_lacks(folder: Path, names: dict[str, bool], unfinished: list[str]) -> str:
    if unfinished:
        return f"{unfinished[0]} to be finished"
    if _read_object(folder / ADAPTER_CONFIG) is None:
        return f"{ADAPTER_CONFIG} to be whole"
    weights = next((name for name in WEIGHTS if name in names), None)
    if weights is None:
        return WEIGHTS[0]
    return _file_lacks(folder / weights)


def _not_lora(folder: Path) -> str:
    """Return why an adapter whose files are there cannot be loaded."""
    config = _read_object(folder / ADAPTER_CONFIG)
    if config is None or not any((folder / name).is_file() for name in WEIGHTS):
        return ""
    try:
        read_adapter(folder)
    except ValueError as error:
        return f"{error}; vLLM serves LoRA adapters"
    return ""


def _model_lacks(folder: Path, names: dict[str, bool], unfinished: list[str]) -> str:
    if unfinished:
        return f"{unfinished[0]} to be finished"
    if _read_object(folder / "config.json") is None:
        return "config.json to be whole"
    index = next((name for name in _INDEXES if name in names), None)
    single = [name for name in _SINGLE_FILES if name in names]
    if index is None and not single:
        return "the index of its shards (model.safetensors.index.json)"
    shards = single
    if index is not None and not single:
        found = _read_object(folder / index)
        weights = found.get("weight_map") if found is not None else None
        if not isinstance(weights, dict) or not weights:
            return f"{index} to be whole"
        shards = sorted({str(name) for name in weights.values()})
        absent = [name for name in shards if not (folder / name).is_file()]
        if absent:
            return f"{len(absent)} of {len(shards)} shards, such as {absent[0]}"
    return next((lack for name in shards if (lack := _file_lacks(folder / name))), "")


def _file_lacks(file: Path) -> str:
    """Return what is missing of a file of weights; a safetensors file says in its header how long it will be."""
    size = file.stat().st_size
    if not size:
        return f"{file.name}, which is empty"
    if file.suffix != ".safetensors":
        return ""
    try:
        with file.open("rb") as stream:
            first = stream.read(8)
            length = int.from_bytes(first, "little")
            if first == b"version ":
                return f"{file.name}, of which only the Git LFS pointer is here"
            if len(first) < 8 or length > min(_LARGEST_HEADER, size - 8):
                return f"the rest of {file.name} ({size} bytes so far)"
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return f"{file.name} to have a header that can be read"
    if size != whole:
        return f"{file.name} to have {whole} bytes, as its header says (now {size})"
    return ""


def _unconsolidated(folder: Path, names: dict[str, bool]) -> str:
    """Return why the shards of a distributed trainer are not taken; "" for a folder without any."""
    inner = [name for name, is_folder in names.items() if is_folder]
    deepspeed = [name for name in inner if name.startswith("global_step")]
    within = {entry.name for name in deepspeed[:1] for entry in os.scandir(folder / name)}
    found = {*names, *within}
    if any(name.endswith(("_model_states.pt", "_optim_states.pt")) for name in found) or "zero_to_fp32.py" in names:
        return f"DeepSpeed shards, not consolidated: {_HINT_DEEPSPEED}"
    nested = [name for name in inner if "fsdp" in name or name in ("model", "weights", "dist_cp", "state")]
    deeper = {entry.name for name in nested for entry in os.scandir(folder / name)}
    if any(name.endswith(".distcp") or name == ".metadata" for name in {*found, *deeper}):
        return f"shards of torch.distributed (FSDP), not consolidated: {_HINT_FSDP}"
    if any(name.startswith(("model_world_size_", "mp_rank_", "__0_")) for name in found):
        return "shards of a distributed trainer, not consolidated: merge them with the tool of that trainer"
    return ""


def _read_object(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(read_whole(file, _LARGEST_JSON, pipes=False))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
