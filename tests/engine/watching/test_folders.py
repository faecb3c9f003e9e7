"""Which folders are checkpoints, and when all of one is there."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.watching.folders import examine_folder, fingerprint, lacks_tokenizer
from engine.watching.scan import Scanner, in_order


def weights(size: int = 16) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\1" * size


def model(folder: Path, shards: int = 1) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    if shards == 1:
        (folder / "model.safetensors").write_bytes(weights())
        return folder
    names = [f"model-{n + 1:05}-of-{shards:05}.safetensors" for n in range(shards)]
    index = {"metadata": {}, "weight_map": {f"w{n}": name for n, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in names:
        (folder / name).write_bytes(weights())
    return folder


def adapter(folder: Path, **more: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8} | more))
    (folder / "adapter_model.safetensors").write_bytes(weights())
    return folder


def test_a_whole_model_and_a_whole_adapter_are_complete(tmp_path):
    for folder, kind in (
        (model(tmp_path / "a"), "model"),
        (model(tmp_path / "b", 3), "model"),
        (adapter(tmp_path / "c"), "adapter"),
    ):
        state = examine_folder(folder)
        assert (state.kind, state.is_complete) == (kind, True), state


@pytest.mark.parametrize(
    ("missing", "what"),
    [
        ("config.json", "config.json"),
        ("model.safetensors.index.json", "index"),
        ("model-00002-of-00003.safetensors", "1 of 3 shards, such as model-00002"),
    ],
)
def test_a_model_waits_for_every_file_that_it_names(tmp_path, missing, what):
    folder = model(tmp_path / "a", 3)
    (folder / missing).unlink()
    state = examine_folder(folder)
    assert state.kind == "model"
    assert not state.is_complete
    assert what in state.waits_for


@given(st.data())
def test_a_file_cut_anywhere_is_not_complete(tmp_path_factory, data):
    folder = model(tmp_path_factory.mktemp("cut") / "a")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert examine_folder(folder).waits_for


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs", weights() + b"x", b"\xff" * 64])
def test_weights_that_are_none_are_not_complete(tmp_path, content):
    folder = model(tmp_path / "a")
    (folder / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in examine_folder(folder).waits_for


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "adapter_config.json"])
def test_half_a_description_is_waited_for(tmp_path, name):
    folder = adapter(tmp_path / "a") if name.startswith("adapter") else model(tmp_path / "a", 2)
    (folder / name).write_text('{"weight_map": {')
    assert name in examine_folder(folder).waits_for


def test_a_file_that_is_still_written_is_waited_for(tmp_path):
    folder = model(tmp_path / "a")
    (folder / "model-00002.safetensors.tmp").touch()
    assert "to be finished" in examine_folder(folder).waits_for


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["global_step7/mp_rank_00_model_states.pt", "zero_to_fp32.py", "latest"], "DeepSpeed"),
        (["bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"], "DeepSpeed"),
        (["pytorch_model_fsdp_0/__0_0.distcp", "pytorch_model_fsdp_0/.metadata"], "FSDP"),
        (["__0_0.distcp", ".metadata"], "FSDP"),
        (["model_world_size_8_rank_0.pt"], "distributed trainer"),
    ],
)
def test_shards_of_distributed_trainers_are_taken_only_once_consolidated(tmp_path, files, says):
    folder = tmp_path / "checkpoint-7"
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    (folder / "trainer_state.json").write_text('{"global_step": 7}')
    state = examine_folder(folder)
    assert says in state.refused
    assert "not consolidated" in state.refused
    assert not state.is_complete
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights())
    assert examine_folder(folder).is_complete


def test_an_adapter_of_another_kind_is_refused_and_other_folders_are_no_checkpoints(tmp_path):
    assert "LoRA" in examine_folder(adapter(tmp_path / "a", peft_type="PROMPT_TUNING", r=None)).refused
    for name in ("runs", "logs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.out").touch()
        assert examine_folder(tmp_path / name).kind is None


def test_the_tokenizer_may_be_elsewhere(tmp_path):
    folder = model(tmp_path / "a")
    assert lacks_tokenizer(folder)
    (folder / "tokenizer.json").write_text("{}")
    assert not lacks_tokenizer(folder)


def test_a_fingerprint_is_of_the_weights_and_of_nothing_else(tmp_path):
    folder = model(tmp_path / "a")
    before = fingerprint(folder, "model")
    (folder / "trainer_state.json").write_text("{}")
    os.utime(folder / "model.safetensors", (1, 1))
    assert fingerprint(folder, "model") == before
    (folder / "model.safetensors").write_bytes(weights(17))
    assert fingerprint(folder, "model") != before


def names(scanner: Scanner, *named: Path) -> dict[str, str]:
    """What each found folder waits for."""
    return {each.name: each.waits_for for each in scanner.look(named)}


def test_a_folder_counts_when_two_looks_found_the_same_files(tmp_path):
    model(tmp_path / "checkpoint-1")
    scanner = Scanner(tmp_path)
    assert names(scanner) == {"checkpoint-1": "its files to stop changing"}
    (tmp_path / "checkpoint-1" / "optimizer.pt").write_bytes(b"1")
    assert names(scanner) == {"checkpoint-1": "its files to stop changing"}
    (tmp_path / "checkpoint-1" / "optimizer.pt").write_bytes(b"12")
    assert names(scanner) == {"checkpoint-1": "its files to stop changing"}
    assert names(scanner) == {"checkpoint-1": ""}
    (found,) = scanner.look()
    assert found.is_ready
    assert found.step == 1


def test_where_other_checkpoints_have_the_state_of_a_trainer_one_without_it_is_waited_for(tmp_path):
    for step in (1, 2):
        model(tmp_path / f"checkpoint-{step}")
    scanner = Scanner(tmp_path)
    scanner.look()
    assert all(each.is_ready for each in scanner.look())
    (tmp_path / "checkpoint-1" / "trainer_state.json").write_text('{"global_step": 11}')
    scanner.look()
    found = {each.name: each for each in scanner.look()}
    assert found["checkpoint-1"].step == 11
    assert "trainer_state.json" in found["checkpoint-2"].waits_for
    (tmp_path / "checkpoint-2" / "trainer_state.json").write_text("{}")
    scanner.look()
    assert all(each.is_ready for each in scanner.look())


def test_folders_are_found_by_their_content_a_pattern_or_by_name(tmp_path):
    runs = tmp_path / "runs"
    for name in ("checkpoint-5", "step_10", "global_step20", "final", "tmp-checkpoint-30", ".hidden", "deep/step-7"):
        model(runs / name)
    adapter(runs / "peft")
    (runs / "latest").symlink_to(runs / "step_10")
    (runs / "notes.txt").write_text("")
    found = Scanner(runs).look()
    checkpoints = [each for each in found if each.state.kind]
    assert {each.name for each in checkpoints} == {"checkpoint-5", "step_10", "global_step20", "final", "peft"}
    ordered = [each.step for each in in_order(checkpoints, "newest")]
    assert ordered == [20, 10, 5, None, None]
    assert [each.step for each in in_order(checkpoints, "oldest")][-3:] == [5, 10, 20]
    assert [each.name for each in Scanner(runs, "*/step*").look()] == ["deep/step-7"]
    assert [each.step for each in Scanner(None).look([runs / "deep" / "step-7"])] == [7]
    assert Scanner(runs / "absent").look([runs / "absent" / "x"]) == []


def test_a_deleted_folder_is_forgotten_and_one_that_comes_back_is_looked_at_anew(tmp_path):
    folder = model(tmp_path / "checkpoint-1")
    scanner = Scanner(tmp_path)
    scanner.look()
    kept = folder.rename(tmp_path / "tmp-elsewhere")
    assert scanner.look() == []
    kept.rename(folder)
    assert not scanner.look()[0].is_ready
    assert scanner.look()[0].is_ready
