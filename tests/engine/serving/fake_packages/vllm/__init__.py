"""An engine that answers at once, with the interface of vLLM's that Ray Data calls.

`fake.json` in the model's folder says what else it does: `dies_after` requests the engine's process ends, once.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import vllm.sampling_params  # noqa: F401 - read by Ray Data
from vllm import outputs


class SamplingParams:
    def __init__(self, *, structured_outputs=None, max_tokens=None, logprobs=None, seed=None, **known):
        unknown = known.keys() - {"temperature", "top_p", "top_k", "min_p", "stop", "min_tokens", "repetition_penalty"}
        assert not unknown - {"presence_penalty", "frequency_penalty"}, unknown
        assert isinstance(max_tokens, int)
        assert seed is None or isinstance(seed, int)
        self.choices = structured_outputs.choice if structured_outputs else None
        self.max_tokens = max_tokens


class AsyncEngineArgs:
    def __init__(self, *, model: str, **given: Any) -> None:
        self.model = model
        self.given = given

    def create_engine_config(self):
        return SimpleNamespace(
            scheduler_config=SimpleNamespace(max_num_seqs=8),
            parallel_config=SimpleNamespace(pipeline_parallel_size=1),
        )


class AsyncLLMEngine:
    @classmethod
    def from_engine_args(cls, args, stat_loggers=None):
        return cls(args)

    def __init__(self, args):
        self.folder = Path(args.model)
        self.behaviour = json.loads((self.folder / "fake.json").read_text())
        self.calls = 0
        with (self.folder / "starts").open("a") as stream:
            stream.write(f"{os.getpid()} {sorted(args.given)}\n")

    async def generate(self, *, request_id, prompt, sampling_params, lora_request):
        tokens = prompt["prompt_token_ids"]
        text = "".join(map(chr, tokens))
        self.calls += 1
        if self.calls > self.behaviour.get("dies_after", 10**9) and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os._exit(1)
        if sampling_params.choices:
            reply = next(iter(sampling_params.choices))
        elif "Assistant A" in text:
            reply = "My final verdict is: [[A>B]]"
        else:
            reply = f"An answer of {self.folder}."
        yield outputs.RequestOutput(tokens, [outputs.Completion(reply, [*map(ord, reply[:5]), 0])])

    async def do_log_stats(self):
        pass

    def shutdown(self):
        pass
