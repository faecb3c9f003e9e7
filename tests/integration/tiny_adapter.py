"""Writes a LoRA adapter of the tiny model as PEFT does: `python tiny_adapter.py MODEL FOLDER SEED [RANK] [WIDTH]`.

Runs in vLLM's own environment. The weights are large noise, so that an adapter writes something else than its base.
WIDTH other than the model's makes an adapter of another base.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

MODULES = {"q_proj": (1.0, 1.0), "v_proj": (1.0, 0.5)}  # width in and out, relative to the hidden size


def main(model: str, folder: str, seed: str, rank: str = "8", width: str = "") -> None:
    base = json.loads(Path(model, "config.json").read_text())
    torch.manual_seed(int(seed))
    hidden, kept = int(width or base["hidden_size"]), {}
    for layer in range(base["num_hidden_layers"]):
        for module, (wide, high) in MODULES.items():
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            kept[f"{name}.lora_A.weight"] = torch.randn(int(rank), int(hidden * wide))
            kept[f"{name}.lora_B.weight"] = torch.randn(int(hidden * high), int(rank))
    Path(folder).mkdir(parents=True)
    save_file(kept, Path(folder, "adapter_model.safetensors"))
    described = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model,
        "r": int(rank),
        "lora_alpha": int(rank),
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(MODULES),
    }
    Path(folder, "adapter_config.json").write_text(json.dumps(described))


if __name__ == "__main__":
    main(*sys.argv[1:])
