"""Why a server did not start or died, told from its log: the first real error, in words that say what to do. Pure.

vLLM's last line is always "Engine core initialization failed. See root cause above": the cause is an earlier one. It is
looked for where it is: first among the failures that are known by name, then as the first line of an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

LONGEST = 300  # characters of an error that are shown


class Cause(msgspec.Struct, frozen=True):
    """What is wrong and what to do. `passes` when another try may go well by itself."""

    title: str
    hint: str = ""
    passes: bool = False


_Tell = Callable[[re.Match[str]], Cause]

_KNOWN: tuple[tuple[re.Pattern[str], _Tell], ...] = tuple(
    (re.compile(pattern), tell)
    for pattern, tell in (
        (
            r"error: unrecognized arguments: (.+)",
            lambda m: Cause(f"this vLLM does not know {m[1]}", "take it out of `args`, or see `vllm serve --help=all`"),
        ),
        (
            r"vllm(?: serve)?: error: (.+)",
            lambda m: Cause(f"vLLM refuses its arguments: {m[1]}", "mend `args` of this model's [serve] table"),
        ),
        (
            r"\[Errno (?:98|48)\].*[Aa]ddress already in use",
            lambda m: Cause(
                "the port is taken by another program", "stop it, or leave `endpoints` out: a free port is picked then"
            ),
        ),
        (
            r"max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=(\d+)",
            lambda m: Cause(
                f"--max-model-len {m[1]} is more than the {m[2]} tokens that the model was made for",
                f"ask for at most {m[2]}, or leave the flag out",
            ),
        ),
        (
            r"To serve at least one request with the model's max seq len \((\d+)\)(?:.*model length is (\d+))?",
            lambda m: Cause(
                f"the KV cache has no room for one request of {m[1]} tokens"
                + (f"; at most {m[2]} fit" if m[2] else ""),
                "lower --max-model-len, or give the server more memory (`memory`, or more GPUs)",
            ),
        ),
        (
            r"Free memory on device ?(\S*) \(([\d.]+)/([\d.]+) GiB\) on startup is less than desired",
            lambda m: Cause(
                f"only {m[2]} of {m[3]} GiB are free on {m[1] or 'the GPU'}",
                "end what else uses the GPU (nvidia-smi tells), or lower `memory` of this model's [serve] table",
                passes=True,
            ),
        ),
        (
            r"Available memory on node \S+ \(([\d.]+)/([\d.]+) GiB\).*less than requested",
            lambda m: Cause(
                f"only {m[1]} of {m[2]} GiB of memory are free",
                "end what else uses it, or set VLLM_CPU_KVCACHE_SPACE (GiB) lower in `env`",
                passes=True,
            ),
        ),
        (
            r"(?:OutOfMemoryError|CUDA out of memory|HIP out of memory|torch\.cuda\.OutOfMemoryError)",
            lambda m: Cause(
                "the GPU's memory does not suffice",
                "more GPUs (`tensor_parallel`), a smaller --max-model-len or --max-num-seqs, or quantized weights",
            ),
        ),
        (
            r"SafetensorError: (.+)",
            lambda m: Cause(
                f"the weights cannot be read: {m[1]}", "a file is cut short or damaged: copy or download it again"
            ),
        ),
        (
            r"(?:HFValidationError|LocalEntryNotFoundError|OfflineModeIsEnabled|RepositoryNotFoundError)",
            lambda m: Cause(
                "there is no such model, neither as a folder here nor on the hub",
                "check `model` of the entry; without a network, download it first",
            ),
        ),
        (
            r"GatedRepoError|Cannot access gated repo",
            lambda m: Cause(
                "the hub gives this model only to those it knows", "accept its terms there, and set HF_TOKEN"
            ),
        ),
        (
            r"Model architectures? (\[.*?\]) (?:are not supported|failed to be inspected)",
            lambda m: Cause(
                f"this vLLM cannot run {m[1]}", "a newer vLLM may; else serve the model with another program"
            ),
        ),
        (
            r"No CUDA GPUs are available|Found no NVIDIA driver|Failed to infer device type",
            lambda m: Cause("vLLM finds no GPU here", "check the driver, and CUDA_VISIBLE_DEVICES"),
        ),
        (
            r"No space left on device",
            lambda m: Cause("the disk is full", "make room where vLLM keeps its cache (~/.cache/vllm)"),
        ),
    )
)
_USELESS = ("Engine core initialization failed", "See root cause above", "EngineDeadError", "Failed core proc")
_ERROR = re.compile(r"(?:^|[\s\]])((?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Interrupt)): (.+)")


def find_cause(lines: Iterable[str]) -> Cause | None:
    """The cause that a log tells; None if it tells none."""
    kept = [line for line in lines if not any(text in line for text in _USELESS)]
    for pattern, tell in _KNOWN:
        for line in kept:
            if match := pattern.search(line):
                told = tell(match)
                return msgspec.structs.replace(told, title=told.title[:LONGEST])
    for line in kept:
        if (match := _ERROR.search(line)) and not match[1].endswith("Interrupt"):
            return Cause(f"{match[1]}: {match[2]}"[:LONGEST])
    return None


def exit_cause(code: int | None, lines: Iterable[str]) -> Cause:
    """Why a server ended that was not asked to: what its log tells, else what its exit code does."""
    kept = list(lines)
    if (told := find_cause(kept)) is not None:
        return told
    if any("EngineDeadError" in line or "EngineCore encountered an issue" in line for line in kept):
        return Cause("its engine died without a word", "often it was killed for want of memory: `dmesg` tells")
    if code in (-9, 137):
        return Cause(
            "it was killed", "often for want of memory: see `dmesg`, and how much the machine has", passes=True
        )
    if code in (126, 127):
        return Cause("the command was not found or cannot be run", "see [vllm] command")
    return Cause(f"it ended by itself with exit code {code}", "its log tells more")
