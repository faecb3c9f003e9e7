"""The log of one server, on disk: bounded in size, without secrets.

How far a starting `vllm serve` is, told from the lines of its log. Pure.

The milestones are those of vLLM 0.30 to 0.33, of its CPU and its GPU build. A line that is not known changes nothing,
so another version at worst tells less.

Why a server did not start or died, told from its log: the first real error, in words that say what to do. Pure.

vLLM's last line is always "Engine core initialization failed. See root cause above": the cause is an earlier one. It is
looked for where it is: first among the failures that are known by name, then as the first line of an error.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from engine.models.endpoint import KEY_SHOWN_AS, LEAST_SECRET

LARGEST = 4 << 20  # bytes; then the file becomes `NAME.log.1`, in place of the one before
KEPT_LINES = 5000  # of the start that goes on, in which its cause of failure is looked for


class ServerLog:
    """Appends lines to a file. A disk that is full costs the log, not the run: `problem` then says what went wrong."""

    def __init__(self, path: Path, secrets: Iterable[str] = ()) -> None:
        self.path = path
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.problem = ""
        self._secrets = sorted({s for s in secrets if len(s) >= LEAST_SECRET}, key=len, reverse=True)
        self._size = path.stat().st_size if path.exists() else 0

    def begin(self, title: str) -> None:
        """A new start: forget the lines of the one before."""
        self.lines.clear()
        self._append(f"=== {time.strftime('%Y-%m-%d %H:%M:%S')} {self._redacted(title)}")

    def write(self, line: str) -> None:
        """Keep a line."""
        line = self._redacted(line)
        self.lines.append(line)
        self._append(line)

    def _redacted(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, KEY_SHOWN_AS)
        return line

    def _append(self, line: str) -> None:
        told = f"{line}\n".encode()
        try:
            if self._size + len(told) > LARGEST:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
                self._size = 0
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                stream.write(told)
            self._size += len(told)
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"


LONGEST_LINE = 2000  # characters kept of one line
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PERCENT = re.compile(r"(\d{1,3})% Completed|: +(\d{1,3})%\|")

FIRST_STAGE = "importing Python packages"
_MILESTONES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), stage)
    for pattern, stage in (
        (r"non-default args:|vLLM version|\bversion \d+\.\d+\.\d+", "reading the model's config"),
        (r"Using max model len", "starting the engine"),
        (r"Initializing a V\d+ LLM engine", "starting the engine"),
        (r"Starting to load model|Loading \w+ checkpoint shards", "loading weights"),
        (r"Loading weights took|Model loading took", "profiling memory"),
        (r"Warming up model for the compilation|Dynamo bytecode|Compiling a graph|torch\.compile takes", "compiling"),
        (r"KV cache size:", "making the KV cache"),
        (r"Capturing CUDA graph", "capturing CUDA graphs"),
        (r"init engine \(|Graph capturing finished", "warming up"),
        (r"Starting vLLM|Application startup complete|Uvicorn running on", "opening the port"),
    )
)
_ORDER = {stage: number for number, stage in enumerate(dict.fromkeys([FIRST_STAGE, *(s for _, s in _MILESTONES)]))}
_KV_CACHE = re.compile(r"KV cache size: ([\d,]+) tokens")
_CONTEXT = re.compile(r"Using max model len (\d+)")


class LineSplitter:
    """Cuts a stream of bytes into lines: progress bars are redrawn with a carriage return, so that ends a line too."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, told: bytes) -> list[str]:
        """The lines that `told` completes, without colours and control characters; empty ones are left out."""
        *whole, self._rest = (self._rest + told).replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > 4 * LONGEST_LINE:
            whole, self._rest = [*whole, self._rest], b""
        return [line for line in map(_readable, whole) if line]

    def rest(self) -> list[str]:
        """The last line, if it was not ended."""
        line, self._rest = _readable(self._rest), b""
        return [line] if line else []


def _readable(line: bytes) -> str:
    text = _ESCAPES.sub("", line.decode("utf-8", "replace"))
    return _CONTROLS.sub(" ", text).strip()[:LONGEST_LINE]


class Startup(msgspec.Struct, frozen=True):
    """A start as far as it has come. `share` (0..1) is how much of the stage is done, where the log tells.

    `max_model_len` and `kv_cache_tokens` (both tokens) are None until they were told.
    """

    stage: str = FIRST_STAGE
    share: float | None = None
    max_model_len: int | None = None
    kv_cache_tokens: int | None = None


def follow(so_far: Startup, line: str) -> Startup:
    """The start after one more line. Stages never go back: engines of several ranks tell theirs one after another."""
    stage, share = so_far.stage, so_far.share
    for pattern, name in _MILESTONES:
        if pattern.search(line):
            if _ORDER[name] > _ORDER[stage]:
                stage, share = name, None
            if name == stage and (percent := _PERCENT.search(line)):
                share = max(share or 0.0, min(1.0, int(percent[1] or percent[2]) / 100))
            break
    context, cache = _CONTEXT.search(line), _KV_CACHE.search(line)
    return Startup(
        stage,
        share,
        int(context[1]) if context else so_far.max_model_len,
        int(cache[1].replace(",", "")) if cache else so_far.kv_cache_tokens,
    )


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
