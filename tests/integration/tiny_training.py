"""Trains the tiny model with `transformers.Trainer`, as a user would: `python tiny_training.py MODEL OUT`.

Runs in vLLM's own environment. With `--lora` the checkpoints are PEFT adapters. `ArenaCallback` gets address and token
from the environment and is read from its file alone, since this program is not installed there.
"""

import argparse
import importlib.util
import logging
import sys
from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

CALLBACK = Path(__file__).resolve().parents[2] / "engine" / "watching" / "callback.py"


class Lines(Dataset):
    """The same few tokens again and again."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        tokens = torch.tensor([(at * 7 + n) % 900 + 4 for n in range(16)])
        return {"input_ids": tokens, "labels": tokens, "attention_mask": torch.ones_like(tokens)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--every", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    spec = importlib.util.spec_from_file_location("callback", CALLBACK)
    callback = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(callback)
    model = AutoModelForCausalLM.from_pretrained(options.model)
    if options.lora:
        from peft import LoraConfig, get_peft_model

        modules = ["q_proj", "v_proj"]
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=64, target_modules=modules, task_type="CAUSAL_LM"))
    arguments = TrainingArguments(
        output_dir=options.out,
        max_steps=options.steps,
        save_steps=options.every,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Lines(),
        processing_class=AutoTokenizer.from_pretrained(options.model),
        callbacks=[callback.ArenaCallback()],
    )
    trainer.train()
    print(f"trained {options.steps} steps", sorted(name for name in sys.modules if name.split(".")[0] == "engine"))


if __name__ == "__main__":
    main()
