"""Folders of models that vLLM would refuse after minutes: found in seconds, and nothing said of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.config.load import parse_config
from engine.serving.model_folder import folder_problems
from engine.serving.plan import server_specs

TEMPLATE = {"chat_template": "{{ messages }}"}


def weights(folder: Path, name: str, *, cut: int = 0) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(16)
    (folder / name).write_bytes(whole[: len(whole) - cut])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    write(made, "config.json", {"model_type": "llama", "max_position_embeddings": 4096})
    write(made, "tokenizer_config.json", TEMPLATE)
    write(made, "model.safetensors.index.json", {"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}})
    for name in ("m-1.safetensors", "m-2.safetensors"):
        weights(made, name)
    return made


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content))


def found(folder: Path, *args: str, **serve: Any) -> list[str]:
    document = {
        "bench": "b",
        "judge": {"model": "m", "baseline": "m"},
        "models": {"m": {"model": str(folder), "serve": {"args": list(args)} | serve}},
    }
    (spec,) = server_specs(parse_config(document, None, {}), ["m"])
    return [cause.title for cause in folder_problems(spec)]


def test_a_whole_folder_has_no_problem(folder: Path):
    assert found(folder, "--max-model-len", "4096") == []


def test_a_folder_that_is_not_there_or_holds_no_model(tmp_path: Path):
    assert found(tmp_path / "nowhere") == [f"{tmp_path / 'nowhere'} not found"]
    assert found(tmp_path) == [f"no config.json in {tmp_path}"]


def test_a_shard_that_is_missing(folder: Path):
    (folder / "m-2.safetensors").unlink()
    assert found(folder) == [f"1 of 2 weight files are missing in {folder}, such as m-2.safetensors"]
    assert found(folder, "--load-format", "dummy") == []


def test_a_shard_that_was_cut_off_or_never_fetched(folder: Path):
    weights(folder, "m-2.safetensors", cut=5)
    (problem,) = found(folder)
    assert "m-2.safetensors is truncated: " in problem
    (folder / "m-2.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "Git LFS pointer" in found(folder)[0]


@pytest.mark.parametrize("args", [["--max-model-len", "8192"], ["--max_model_len=8k"], ["--max-model-len=8K"]])
def test_a_context_beyond_that_of_the_model(folder: Path, args: list[str]):
    (problem,) = found(folder, *args)
    assert "exceeds the model's context of 4096 tokens" in problem


def test_a_context_that_the_model_may_have(folder: Path):
    long = ["--max-model-len", "8192"]
    assert found(folder, *long, env={"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}) == []
    assert found(folder, "--max-model-len", "auto") == []
    scaled = {"max_position_embeddings": 4096, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}
    write(folder, "config.json", scaled)
    assert found(folder, *long) == []
    write(folder, "config.json", {"text_config": {"max_position_embeddings": 16384}})
    assert found(folder, *long) == []


def test_a_model_without_a_chat_template(folder: Path):
    write(folder, "tokenizer_config.json", {"model_max_length": 4096})
    assert found(folder) == ["the model has no chat template, so it takes no chat messages"]
    assert found(folder, "--chat-template", "x.jinja") == []
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert found(folder) == []


@pytest.mark.parametrize("name", ["tokenizer_config.json", "config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"weight_map": 5, "rope_scaling": 7, "text_config": []}', "[" * 9999],
    ids=["empty", "list", "cut", "odd", "deep"],
)
def test_files_of_an_unknown_shape_say_nothing_more(folder: Path, name: str, content: str):
    (folder / name).write_text(content)
    assert len(found(folder)) <= 1
