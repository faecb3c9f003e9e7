"""Checkpoints as entries of a config: like which entry, under which name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.config.load import parse_config
from engine.config.model import Config
from engine.errors import UsageProblem
from engine.watching.entries import name_for, template_of, with_checkpoint
from engine.watching.ledger import WatchedCheckpoint


def config(folder: Path, **models: Any) -> Config:
    document = {
        "bench": "b",
        "judge": {"model": "judge", "baseline": "base"},
        "models": {"judge": {}, "base": {}} | models,
    }
    return parse_config(document, folder / "config.toml", {})


def adapter(folder: Path, base: str) -> WatchedCheckpoint:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8, "base_model_name_or_path": base}))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return WatchedCheckpoint("x", str(folder), "adapter")


def test_an_adapter_is_served_by_the_entry_whose_model_it_names(tmp_path: Path) -> None:
    (tmp_path / "llama").mkdir()
    known = config(tmp_path, small={"model": "org/small", "serve": {}}, large={"model": "./llama", "serve": {}})
    assert template_of(known, adapter(tmp_path / "a", "org/small")) == "small"
    assert template_of(known, adapter(tmp_path / "b", str(tmp_path / "llama"))) == "large"
    with pytest.raises(UsageProblem, match="2 entries could be meant: small, large"):
        template_of(known, adapter(tmp_path / "c", "org/other"))
    assert template_of(known, adapter(tmp_path / "d", "org/other"), "large") == "large"


def test_a_model_needs_an_entry_that_can_be_served_and_it_is_said_which(tmp_path: Path) -> None:
    found = WatchedCheckpoint("x", str(tmp_path / "checkpoint-1"), "model")
    remote = {"endpoints": [{"base_url": "http://localhost:1/v1"}]}
    with pytest.raises(UsageProblem, match="no entry fits"):
        template_of(config(tmp_path), found)
    with pytest.raises(UsageProblem, match=r"base has no \[serve\] table"):
        template_of(config(tmp_path, base=remote), found, "base")
    assert template_of(config(tmp_path, base=remote), adapter(tmp_path / "a", "x"), "base") == "base"
    with pytest.raises(UsageProblem, match="no model 'bse'"):
        template_of(config(tmp_path), found, "bse")
    assert template_of(config(tmp_path, judge={"serve": {}}, sft={"serve": {}}), found) == "sft"


def test_a_checkpoint_takes_over_server_and_sampling_and_a_tokenizer_where_it_has_none(tmp_path: Path) -> None:
    base = {"model": "org/base", "serve": {"args": ["--x"]}, "temperature": 0.5, "parallel": 3}
    known = config(tmp_path, base=base)
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    found = WatchedCheckpoint("base-checkpoint-1", str(folder), "model", step=1)
    entry = with_checkpoint(known, found, "base").models[found.model]
    assert (entry.model, entry.temperature, entry.parallel, entry.step) == (str(folder), 0.5, 3, 1)
    assert entry.serve is not None
    assert entry.serve.args == ["--x", "--tokenizer", "org/base"]
    (folder / "tokenizer.json").touch()
    entry = with_checkpoint(known, found, "base").models[found.model]
    assert entry.serve is not None
    assert entry.serve.args == ["--x"]


def test_names_are_kept_and_no_two_checkpoints_share_one(tmp_path: Path) -> None:
    known: dict[str, WatchedCheckpoint] = {}

    def named(path: str, relative: str, weights: str = "w") -> str:
        name = name_for(Path(path), relative, "sft", weights, known)
        known[name] = WatchedCheckpoint(name, path, "model", weights=weights)
        return name

    assert named("/r/one/checkpoint-5", "checkpoint-5") == "sft-checkpoint-5"
    assert named("/r/one/checkpoint-5", "checkpoint-5") == "sft-checkpoint-5"
    assert named("/r/two/checkpoint-5", "checkpoint-5") == "sft-two-checkpoint-5"
    assert named("/r/one/checkpoint-5", "checkpoint-5", "other") == "sft-checkpoint-5@2"
    assert named("/r/x/a b$c", "a b$c") == "sft-a-b-c"
    assert named("/r/deep/step_7/hf", "step_7/hf") == "sft-step_7-hf"
    assert len(set(known)) == len(known)
