"""LoRA adapters: many models on one server, real processes of a fake vLLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from yard import QUESTIONS, Yard, carried_out

from engine.config.load import parse_config
from engine.config.sampling import answer_settings, settings_digest
from engine.errors import ConfigError
from engine.events import Notice
from engine.run import Run
from engine.serving.plan import server_specs


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def adapter(yard: Yard, name: str, rank: Any = 8, **more: Any) -> str:
    """The folder of an adapter; its weights are its name."""
    folder = yard.folder / "adapters" / name
    folder.mkdir(parents=True)
    described = {"peft_type": "LORA", "r": rank, "base_model_name_or_path": "base"} | more
    (folder / "adapter_config.json").write_text(json.dumps(described))
    (folder / "adapter_model.safetensors").write_text(name)
    return str(folder)


def warnings(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice) and event.level in ("warning", "error")]


async def test_adapters_and_their_base_answer_at_one_server(yard: Yard) -> None:
    models = {"base": yard.model("base"), "judge": yard.model("judge")}
    models |= {name: {"adapter": adapter(yard, name, rank), "base": "base"} for name, rank in (("a", 8), ("b", 20))}
    run = Run(yard.config(models))
    events = await carried_out(run)
    assert run.state.phase == "done", warnings(events)
    (start,) = yard.starts("base")
    assert "--enable-lora --max-loras 2 --max-cpu-loras 2 --max-lora-rank 32" in start
    for name in ("a", "b"):
        answers = yard.lines(f"model_answer/{name}.jsonl")
        assert [each["choices"][0]["turns"][0]["content"] for each in answers] == [f"An answer of {name}."] * QUESTIONS
    written = yard.lines("model_answer/base.jsonl")[0]["choices"][0]["turns"][0]["content"]
    assert written == f"An answer of {models['base']['model']}."
    assert yard.left() == []


async def test_a_wrong_adapter_is_one_message_and_the_others_go_on(yard: Yard) -> None:
    models = {"base": yard.model("base"), "judge": yard.model("judge")}
    models |= {name: {"adapter": adapter(yard, name), "base": "base"} for name in ("good", "broken", "empty")}
    models["huge"] = {"adapter": adapter(yard, "huge", 1024), "base": "base"}
    models["absent"] = {"adapter": str(yard.folder / "absent"), "base": "base"}
    (yard.folder / "adapters" / "broken" / "broken").touch()
    (yard.folder / "adapters" / "empty" / "adapter_model.safetensors").unlink()
    run = Run(yard.config(models))
    events = await carried_out(run)
    assert run.state.phase == "failed"
    assert len(yard.lines("model_answer/good.jsonl")) == QUESTIONS
    assert len(yard.lines("model_judgment/judge/good.jsonl")) == QUESTIONS
    said = [text for text in warnings(events) if "adapter cannot be used" in text]
    assert sorted(text.split(":")[0] for text in said) == ["absent", "broken", "empty", "huge"]
    reasons = "\n".join(said)
    for reason in ("size mismatch", "no adapter_model.safetensors", "its rank is 1024", "absent not found"):
        assert reason in reasons
    for name in ("broken", "empty", "huge", "absent"):
        assert yard.lines(f"model_answer/{name}.jsonl") == []
    assert yard.lines("errors.jsonl") == []


async def test_a_base_that_is_not_itself_beside_adapters_waits_until_they_are_made(yard: Yard) -> None:
    base = yard.model("base", mixes_up=True, latency=0.05)
    models = {"base": base, "judge": yard.model("judge"), "a": {"adapter": adapter(yard, "a"), "base": "base"}}
    run = Run(yard.config(models))
    events = await carried_out(run)
    assert run.state.phase == "done"
    assert sum("other replies to the base model in batches with adapters" in text for text in warnings(events)) == 1
    answers = yard.lines("model_answer/base.jsonl")
    assert {each["choices"][0]["turns"][0]["content"] for each in answers} == {f"An answer of {base['model']}."}
    assert len(yard.starts("base")) == 1


async def test_a_base_may_judge_its_adapters(yard: Yard) -> None:
    models = {"base": yard.model("base", mixes_up=True, latency=0.02)}
    models |= {name: {"adapter": adapter(yard, name), "base": "base"} for name in ("a", "b")}
    config = yard.config(models, judge="base")
    config = config.model_copy(update={"judge": config.judge.model_copy(update={"baselines": ["a"]})})
    run = Run(config)
    await carried_out(run)
    assert run.state.phase == "done"
    assert len(yard.lines("model_judgment/base/b.jsonl")) == QUESTIONS
    assert len(yard.starts("base")) == 1


async def test_an_adapter_that_judges_gets_a_server_of_its_own(yard: Yard) -> None:
    models = {"base": yard.model("base"), "other": {"adapter": adapter(yard, "other"), "base": "base"}}
    models["judge"] = {"adapter": adapter(yard, "judge"), "base": "base"}
    config = yard.config(models)
    assert [spec.entries for spec in server_specs(config, models)] == [("base", "other"), ("judge",)]


def test_a_pattern_stands_for_an_entry_a_folder(yard: Yard) -> None:
    for step in (1000, 200, 1200):
        adapter(yard, f"checkpoint-{step}")
    (yard.folder / "adapters" / "checkpoint-9").write_text("no folder")
    models = {"base": yard.model("base"), "judge": yard.model("judge")}
    models["sft"] = {"adapters": "adapters/checkpoint-*", "base": "base", "temperature": 0.5}
    document = {
        "bench": "small",
        "data": "data",
        "answers": {"models": ["base", "sft"]},
        "judge": {"model": "judge", "baseline": "base"},
        "models": models,
    }
    config = parse_config(document, yard.folder / "config.toml", {})
    names = ["sft-checkpoint-200", "sft-checkpoint-1000", "sft-checkpoint-1200"]
    assert config.answer_models() == ["base", *names]
    assert all(config.models[name].temperature == 0.5 for name in names)
    (spec,) = server_specs(config, ["base", *names])
    assert [each.served_name for each in spec.adapters] == names
    assert spec.served_names == (config.served_name("base"),)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"adapter": "x"}, "an adapter needs a base"),
        ({"adapter": "x", "base": "bse"}, "unknown model 'bse'|did you mean"),
        ({"adapter": "x", "base": "other"}, "is an adapter itself"),
        ({"adapter": "x", "base": "base", "serve": {}}, "served by the server of its base"),
        ({"adapters": "none/*", "base": "base"}, "no folder matches"),
        ({"adapters": "x", "adapter": "x", "base": "base"}, "cannot stand beside"),
    ],
)
def test_wrong_entries_are_explained(yard: Yard, entry: dict[str, Any], said: str) -> None:
    models = {"base": yard.model("base"), "other": {"adapter": "y", "base": "base"}, "judge": yard.model("judge")}
    with pytest.raises(ConfigError, match=said):
        yard.config(models | {"wrong": entry})


def test_settings_tell_merged_models_from_adapters_and_adapters_from_each_other(yard: Yard) -> None:
    one, two = adapter(yard, "one"), adapter(yard, "two")
    models = {"base": yard.model("base"), "judge": yard.model("judge")}

    def digest(entry: dict[str, Any]) -> str:
        return settings_digest(answer_settings(yard.config(models | {"m": entry}), "m", ""))

    first = digest({"adapter": one, "base": "base"})
    assert first != digest({"adapter": two, "base": "base"})
    assert first != digest({"model": "m", "endpoints": [{"base_url": "http://127.0.0.1:9/v1"}]})
    assert first == digest({"adapter": one, "base": "base"})
    (Path(one) / "adapter_model.safetensors").write_text("trained further")
    assert first != digest({"adapter": one, "base": "base"})


def with_weights(folder: str, shapes: dict[str, list[int]]) -> None:
    """Replace the weights by the header of a safetensors file."""
    header = json.dumps(
        {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    )
    (Path(folder) / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode())


@pytest.mark.parametrize(
    ("layer", "width", "said"),
    [(1, 64, ""), (1, 32, "its weights are 32 wide, those of base 64"), (2, 64, "it has a layer 2, base has 2 layers")],
)
def test_an_adapter_of_another_base_is_refused_though_vllm_would_load_it(
    yard: Yard, layer: int, width: int, said: str
) -> None:
    folder = adapter(yard, "a")
    name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
    with_weights(folder, {f"{name}.lora_A.weight": [8, width], f"{name}.lora_B.weight": [width, 8]})
    models = {"base": yard.model("base"), "judge": yard.model("judge"), "a": {"adapter": folder, "base": "base"}}
    (Path(models["base"]["model"]) / "config.json").write_text('{"hidden_size": 64, "num_hidden_layers": 2}')
    (spec,) = server_specs(yard.config(models), ["base", "a"])
    assert said in spec.adapters[0].problem
    assert bool(spec.adapters[0].problem) == bool(said)
