"""LoRA adapters as models: entries that a pattern makes, what they take over from their base, and what is on disk.

An entry with `adapter` and `base` is served by the server of its base. `adapters`, a pattern of folders, stands for one
such entry a folder, named after both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from glob import glob
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from engine.config.problems import LocatedProblem, problem
from engine.config.wording import did_you_mean, quoted, quoted_key, shortened

ADAPTER_CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
OF_THE_BASE = (
    "serve",
    "endpoints",
    "provider",
    "api_version",
    "refuses",
    "parallel",
    "rate",
    "timeout",
    "idle_timeout",
)
"""Keys of an entry that an adapter takes over from its base: all that is a server's, nothing that shapes a text."""
MOST_MATCHES = 1000
_LARGEST_HEADER = 100 << 20  # bytes, the bound of the safetensors library
_READS_HIDDEN = re.compile(r"\.(q|k|v|gate|up|qkv|gate_up)_proj\.lora_A\.weight$")
_LARGEST_CONFIG = 1 << 20  # bytes


class AdapterFolder(msgspec.Struct, frozen=True):
    """What `adapter_config.json` says: the largest rank, and the name of the base model where it is there."""

    path: Path
    rank: int
    base_model: str


def expanded(document: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[LocatedProblem]]:
    """Return a document whose patterns of adapters are one entry a folder, each with the keys of its base's server.

    Relative patterns count from `folder`. A name of an entry with a pattern stands for all of its models in lists of
    models. What is wrong is returned with it.
    """
    models = document.get("models")
    if not isinstance(models, dict) or not any(_is_adapter(entry) for entry in models.values()):
        return document, []
    problems: list[LocatedProblem] = []
    entries: dict[str, Any] = {}
    members: dict[str, list[str]] = {}
    for name, entry in models.items():
        if not _is_adapter(entry):
            entries[name] = entry
            continue
        problems += _problems(name, entry, models)
        if "adapters" not in entry:
            entries[name] = _with_base(entry, models)
            continue
        members[name] = []
        shared = {key: value for key, value in entry.items() if key not in ("adapters", "model")}
        for path in _matches(entry["adapters"], folder):
            made = f"{name}-{Path(path).name}"
            members[name].append(made)
            if made not in models:  # else its own entry says more
                entries[made] = _with_base({"adapter": path, **shared}, models)
        if isinstance(entry["adapters"], str) and not members[name]:
            wrong = f"no folder matches {quoted(shortened(entry['adapters']))}"
            problems.append(problem(("models", name, "adapters"), wrong, f"it is looked for in {folder.resolve()}"))
    return {**document, **_with_members(document, members), "models": entries}, problems


def adapter_folder(adapter: str, folder: Path) -> Path | None:
    """Return the folder of an adapter, a path relative to `folder` or absolute; None for a name on the hub."""
    path = folder / Path(adapter).expanduser()
    looks_like_path = adapter.startswith(("/", "./", "../", "~")) or adapter.count("/") > 1
    return path.resolve() if looks_like_path or path.is_dir() else None


def read_adapter(path: Path) -> AdapterFolder:
    """Read the config of an adapter. Raises ValueError with what is wrong."""
    file = path / ADAPTER_CONFIG
    if not path.is_dir():
        raise ValueError(f"{path} not found")
    try:
        found = json.loads(file.read_bytes()) if file.stat().st_size <= _LARGEST_CONFIG else {}
    except FileNotFoundError:
        raise ValueError(f"no {ADAPTER_CONFIG} in {path}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} cannot be read ({error})") from None
    found = found if isinstance(found, dict) else {}
    patterns = found.get("rank_pattern")
    ranks = [found.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    known = [rank for rank in ranks if isinstance(rank, int) and not isinstance(rank, bool) and rank > 0]
    if found.get("peft_type", "LORA") != "LORA" or not known:
        raise ValueError(f"{file} is not that of a LoRA adapter")
    if not any((path / name).is_file() for name in WEIGHTS):
        raise ValueError(f"no {WEIGHTS[0]} in {path}")
    base = found.get("base_model_name_or_path")
    return AdapterFolder(path, max(known), base if isinstance(base, str) else "")


def unfit_for(adapter: AdapterFolder, base: Path) -> str:
    """Return why an adapter is one of another base than the model in a folder; "" if nothing speaks against it.

    vLLM 0.32 loads weights of other shapes without a word. The shapes are in the header of the adapter's weights, what
    they must be in the config of the base.
    """
    try:
        config = json.loads((base / "config.json").read_bytes())
        with (adapter.path / WEIGHTS[0]).open("rb") as stream:
            header = json.loads(stream.read(min(int.from_bytes(stream.read(8), "little"), _LARGEST_HEADER)))
        shape = config.get("text_config", config)
        width, layers = shape.get("hidden_size"), shape.get("num_hidden_layers")
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            layer = re.search(r"\blayers\.(\d+)\.", name)
            if layer and isinstance(layers, int) and int(layer[1]) >= layers:
                return f"it is of another base: it has a layer {layer[1]}, {base.name} has {layers} layers"
            found = entry["shape"][-1] if _READS_HIDDEN.search(name) else width
            if isinstance(width, int) and found != width:
                return f"it is of another base: its weights are {found} wide, those of {base.name} {width}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""  # nothing that could be compared
    return ""


def weights_digest(path: Path) -> str:
    """Return 16 hexadecimal digits of an adapter's weights and config; empty where there are none."""
    files = [path / name for name in (*WEIGHTS, ADAPTER_CONFIG)]
    try:
        stamps = tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())
        return _digest(stamps) if stamps else ""
    except OSError:
        return ""


@lru_cache(maxsize=4096)
def _digest(stamps: tuple[tuple[str, int, int], ...]) -> str:
    digest = blake2b(digest_size=8)
    for name, _, _ in stamps:
        with Path(name).open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _is_adapter(entry: Any) -> bool:
    return isinstance(entry, dict) and ("adapter" in entry or "adapters" in entry)


def _with_base(entry: Mapping[str, Any], models: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with the keys of its base's server, unless it has an address of its own."""
    base = models.get(entry["base"]) if isinstance(entry.get("base"), str) else None
    if not isinstance(base, dict) or "endpoints" in entry:
        return dict(entry)
    return {key: base[key] for key in OF_THE_BASE if key in base} | dict(entry)


def _problems(name: str, entry: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[LocatedProblem]:
    place = ("models", name)
    if "adapter" in entry and "adapters" in entry:
        yield problem((*place, "adapters"), "cannot stand beside `adapter`", "keep one of them")
    if "serve" in entry:
        yield problem(
            (*place, "serve"), "an adapter is served by the server of its base", "move it to the base's entry"
        )
    base = entry.get("base")
    if not isinstance(base, str):
        if "endpoints" not in entry or "adapters" in entry:
            yield problem(place, "an adapter needs a base", 'add base = "..." with the entry of its base model')
        return
    if base not in models:
        hint = did_you_mean(base, list(models)) or f"add a table [models.{quoted_key(shortened(base))}]"
        yield problem((*place, "base"), f"unknown model {quoted(shortened(base))}", hint)
    elif _is_adapter(models[base]):
        yield problem((*place, "base"), f"{quoted(shortened(base))} is an adapter itself", "name the model below it")


def _matches(pattern: Any, folder: Path) -> list[str]:
    """Return the folders that a pattern names, as it names them, in the order of the numbers in them."""
    if not isinstance(pattern, str):
        return []
    found = glob(str(Path(pattern).expanduser()), root_dir=folder)  # noqa: PTH207  (Path.glob takes no absolute pattern)
    return sorted((path for path in found if (folder / path).is_dir()), key=_natural)[:MOST_MATCHES]


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]


def _with_members(document: Mapping[str, Any], members: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the tables with lists of models, in which a pattern's entry is replaced by its models."""
    changed: dict[str, Any] = {}
    for name, keys in (("answers", ("models",)), ("judge", ("models",))):
        table = document.get(name)
        if not isinstance(table, dict):
            continue
        lists = {key: value for key in keys if isinstance(value := table.get(key), list)}
        changed[name] = table | {
            key: [made for each in value for made in (members.get(each, [each]) if isinstance(each, str) else [each])]
            for key, value in lists.items()
        }
    return changed
