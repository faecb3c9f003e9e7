"""What is wrong with the folder of a model, seen in its small files: seconds instead of a start that fails.

Only what vLLM is sure to refuse: a shape that is not known here says nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.serving.plan import ServerSpec, flag_value
from engine.serving.server_log import NO_CHAT_TEMPLATE, Cause, context_exceeded

LARGEST_FILE = 64 << 20  # bytes of a JSON file that is read
LARGEST_HEADER = 100 << 20  # bytes, the bound of the safetensors library
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length")
# Kinds of models and files for which vLLM has a template or a tokenizer of its own (transformers_utils/chat_templates).
_TEMPLATES_OF_VLLM = {"blip-2", "chameleon", "clip", "deepseek_ocr", "deepseek_vl_v2", "fuyu", "minicpmv", "paligemma"}
_TEMPLATES_OF_VLLM |= {"qwen", "siglip", "deepseek_v32", "grok-2"}
_TEMPLATE_FILES = ("tekken*.json", "tokenizer.model.v*", "chat_template*", "chat_templates")
_UNITS = {"": 1, "k": 1000, "m": 10**6, "g": 10**9, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def folder_problems(spec: ServerSpec) -> Iterator[Cause]:
    """Yield what prevents a server from running the model in its folder. Reads files, so call it in a thread."""
    folder = Path(spec.model)
    if not spec.is_folder:
        return
    if not folder.exists():
        yield Cause(f"{folder} not found", "check `model` of the entry")
        return
    if not folder.is_dir():
        return  # a GGUF file
    config = _read(folder / "config.json")
    if config is None and not any(folder.glob("*.gguf")) and not (folder / "params.json").exists():
        yield Cause(f"no config.json in {folder}", "name the folder of a saved model")
        return
    yield from _weight_problems(spec, folder)
    yield from _context_problems(spec, config or {})
    yield from _template_problems(spec, folder, config or {})


def _weight_problems(spec: ServerSpec, folder: Path) -> Iterator[Cause]:
    if flag_value(spec.arguments, "--load-format") not in (None, "auto", "safetensors"):
        return
    index = _read(folder / "model.safetensors.index.json") or {}
    weights = index.get("weight_map")
    named = {str(name) for name in weights.values()} if isinstance(weights, dict) else set()
    missing = sorted(name for name in named if not (folder / name).is_file())
    if missing and not any(folder.glob("consolidated*.safetensors")):
        yield Cause(
            f"{len(missing)} of {len(named)} weight files are missing in {folder}, such as {missing[0]}",
            "copy or download the model again",
        )
    for file in sorted(file for file in folder.glob("*.safetensors") if not named or file.name in named):
        if problem := _file_problem(file):
            yield Cause(f"cannot read the weights: {file.name} {problem}", "copy or download it again")
            return


def _file_problem(file: Path) -> str:
    """Return what is wrong with the size of a safetensors file; its layout is in its header."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            first = stream.read(8)
            if first == b"version ":
                return "is a Git LFS pointer, not the weights (`git lfs pull`)"
            length = int.from_bytes(first, "little")
            if len(first) < 8 or length > min(LARGEST_HEADER, size - 8):
                return f"is truncated or damaged ({size} bytes)"
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    needed = 8 + length + max(ends, default=0)
    return f"is truncated: {size} of {needed} bytes" if size < needed else ""


def _context_problems(spec: ServerSpec, config: dict[str, Any]) -> Iterator[Cause]:
    asked = re.fullmatch(r"(\d+)([kKmMgG]?)", flag_value(spec.arguments, "--max-model-len") or "")
    text = config.get("text_config", config)
    if asked is None or not isinstance(text, dict) or spec.environment.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN") == "1":
        return
    if any(flag_value(spec.arguments, flag) for flag in ("--hf-overrides", "--rope-scaling", "--hf-config-path")):
        return
    scaling = text.get("rope_scaling") or text.get("rope_parameters") or {}
    if not isinstance(scaling, dict) or scaling.get("rope_type", scaling.get("type", "default")) != "default":
        return
    lengths = [text[key] for key in _CONTEXT_KEYS if isinstance(text.get(key), int) and text[key] > 0]
    wanted = int(asked[1]) * _UNITS[asked[2]]
    if lengths and wanted > max(lengths):
        yield context_exceeded(wanted, max(lengths))


def _template_problems(spec: ServerSpec, folder: Path, config: dict[str, Any]) -> Iterator[Cause]:
    tokenizer = _read(folder / "tokenizer_config.json")
    if tokenizer is None or tokenizer.get("chat_template") or config.get("model_type") in _TEMPLATES_OF_VLLM:
        return
    if any(flag_value(spec.arguments, flag) for flag in ("--chat-template", "--tokenizer", "--tokenizer-mode")):
        return
    if not any(found for pattern in _TEMPLATE_FILES for found in folder.glob(pattern)):
        yield NO_CHAT_TEMPLATE


def _read(file: Path) -> dict[str, Any] | None:
    """Return an object of a JSON file; None if there is none."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            return None
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
