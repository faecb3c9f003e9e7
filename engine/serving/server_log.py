"""The log of one server: kept on disk, and read for the stage of a start and for the cause of a failure.

Milestones and causes are those of vLLM 0.30 to 0.33, CPU and GPU builds. An unknown line changes nothing, so another
version at worst shows less. vLLM's last line is always "Engine core initialization failed. See root cause above": the
cause is an earlier line, searched first among the failures that are known by name, then as the first line of an error.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from engine.redaction import Redactor, names_secret

MAX_BYTES = 4 << 20  # then the file is renamed to `NAME.log.1`, replacing an earlier one
KEPT_LINES = 5000  # of the current start, searched for its cause of failure


def inherited_secrets() -> list[str]:
    """Return the secrets of this process's environment, which every program that it starts inherits."""
    return [value for name, value in os.environ.items() if names_secret(name)]


class ServerLog:
    """A bounded log file without secrets. A full disk loses the log, not the run: `problem` then says what failed."""

    def __init__(self, path: Path, secrets: Iterable[str] = ()) -> None:
        self.path = path
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.problem = ""
        self._redact = Redactor(secrets)
        self._size = path.stat().st_size if path.exists() else 0

    def begin(self, title: str) -> None:
        """Begin a new start: drop the lines of the one before."""
        self.lines.clear()
        self._append(f"=== {time.strftime('%Y-%m-%d %H:%M:%S')} {self._redact(title)}")

    def write(self, line: str) -> None:
        """Append a line."""
        line = self._redact(line)[:MAX_LINE_CHARACTERS]
        self.lines.append(line)
        self._append(line)

    def _append(self, line: str) -> None:
        data = f"{line}\n".encode()
        try:
            if self._size + len(data) > MAX_BYTES:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
                self._size = 0
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                stream.write(data)
            self._size += len(data)
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"


MAX_LINE_CHARACTERS = 2000  # characters kept of one line
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PERCENT = re.compile(r"(\d{1,3})% Completed|: +(\d{1,3})%\|")

_BATCH_SHARE = re.compile(r"Running batch: +(\d{1,3})% Completed")

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
    """Splits a byte stream into lines; a carriage return (a redrawn progress bar) ends a line too."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Return the lines that `chunk` completes, without colours and control characters; empty ones are skipped."""
        *whole, self._rest = (self._rest + chunk).replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > 4 * MAX_LINE_CHARACTERS:
            whole, self._rest = [*whole, self._rest], b""
        return [line for line in map(_readable, whole) if line]

    def rest(self) -> list[str]:
        """Return the last line if it has no end."""
        line, self._rest = _readable(self._rest), b""
        return [line] if line else []


def _readable(line: bytes) -> str:
    text = _ESCAPES.sub("", line.decode("utf-8", "replace"))
    return _CONTROLS.sub(" ", text).strip()


class Startup(msgspec.Struct, frozen=True):
    """Progress of a start: its stage and the share (0..1) of it that is done, if the log says.

    `max_model_len` and `kv_cache_tokens` (both tokens) are None until they were logged.
    """

    stage: str = FIRST_STAGE
    share: float | None = None
    max_model_len: int | None = None
    kv_cache_tokens: int | None = None


def follow(so_far: Startup, line: str) -> Startup:
    """Return the start after one more line. Stages never go back: engines of several ranks log theirs in turn."""
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


SHOWN_CHARACTERS = 300  # of an error


class Cause(msgspec.Struct, frozen=True):
    """What is wrong and what to do; `is_transient` if another start may succeed without a change."""

    title: str
    hint: str = ""
    is_transient: bool = False


NO_CHAT_TEMPLATE = Cause(
    "the model has no chat template, so it takes no chat messages",
    'pass one: args = ["--chat-template", "FILE.jinja"]; base models have none',
)


def context_exceeded(asked: int, context: int) -> Cause:
    """Return the cause for a --max-model-len beyond the model's context (both tokens)."""
    return Cause(
        f"--max-model-len {asked} exceeds the model's context of {context} tokens",
        f"set at most {context}, or remove the flag",
    )


_ToCause = Callable[[re.Match[str]], Cause]

_KNOWN: tuple[tuple[re.Pattern[str], _ToCause], ...] = tuple(
    (re.compile(pattern), to_cause)
    for pattern, to_cause in (
        (
            r"error: unrecognized arguments: (.+)",
            lambda m: Cause(f"this vLLM does not know {m[1]}", "remove it from `args`, or see `vllm serve --help=all`"),
        ),
        (
            r"vllm(?: serve)?: error: (.+)",
            lambda m: Cause(f"vLLM rejects its arguments: {m[1]}", "correct `args` of this model's [serve] table"),
        ),
        (
            r"\[Errno (?:98|48)\].*[Aa]ddress already in use",
            lambda m: Cause(
                "the port is in use by another program",
                "stop it, or remove `endpoints` so that a free port is picked",
                is_transient=True,  # a port that was free when it was picked; the next start picks another one
            ),
        ),
        (
            r"max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=(\d+)",
            lambda m: context_exceeded(int(m[1]), int(m[2])),
        ),
        (
            r"To serve at least one request with the model's max seq len \((\d+)\)(?:.*model length is (\d+))?",
            lambda m: Cause(
                f"the KV cache cannot hold one request of {m[1]} tokens" + (f"; at most {m[2]} fit" if m[2] else ""),
                "lower --max-model-len, or give the server more memory (`memory`, or more GPUs)",
            ),
        ),
        (
            r"Free memory on device ?(\S*) \(([\d.]+)/([\d.]+) GiB\) on startup is less than desired",
            lambda m: Cause(
                f"only {m[2]} of {m[3]} GiB are free on {m[1] or 'the GPU'}",
                "stop what else uses the GPU (see nvidia-smi), or lower `memory` of this model's [serve] table",
                is_transient=True,
            ),
        ),
        (
            r"Available memory on node \S+ \(([\d.]+)/([\d.]+) GiB\).*less than requested",
            lambda m: Cause(
                f"only {m[1]} of {m[2]} GiB of memory are free",
                "stop what else uses it, or set VLLM_CPU_KVCACHE_SPACE (GiB) lower in `env`",
                is_transient=True,
            ),
        ),
        (
            r"(?:OutOfMemoryError|CUDA out of memory|HIP out of memory|torch\.cuda\.OutOfMemoryError)",
            lambda m: Cause(
                "out of GPU memory",
                "use more GPUs (`tensor_parallel`), a smaller --max-model-len or --max-num-seqs, or quantized weights",
            ),
        ),
        (
            r"SafetensorError: (.+)",
            lambda m: Cause(
                f"cannot read the weights: {m[1]}", "a file is truncated or damaged; copy or download it again"
            ),
        ),
        (
            r"(?:HFValidationError|LocalEntryNotFoundError|OfflineModeIsEnabled|RepositoryNotFoundError)",
            lambda m: Cause(
                "model not found, neither as a local folder nor on the hub",
                "check `model` of the entry; without a network, download it first",
            ),
        ),
        (
            r"GatedRepoError|Cannot access gated repo",
            lambda m: Cause("access to this model on the hub is restricted", "accept its terms there and set HF_TOKEN"),
        ),
        (
            r"Model architectures? (\[.*?\]) (?:are not supported|failed to be inspected)",
            lambda m: Cause(
                f"this vLLM cannot run {m[1]}", "try a newer vLLM, or serve the model with another program"
            ),
        ),
        (
            r"No CUDA GPUs are available|Found no NVIDIA driver|Failed to infer device type",
            lambda m: Cause("vLLM finds no GPU", "check the driver and CUDA_VISIBLE_DEVICES"),
        ),
        (
            r"No space left on device",
            lambda m: Cause("disk full", "free space where vLLM keeps its cache (~/.cache/vllm)"),
        ),
    )
)
_USELESS = ("Engine core initialization failed", "See root cause above", "EngineDeadError", "Failed core proc")
_ERROR = re.compile(r"(?:^|[\s\]])((?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Interrupt)): (.+)")


def find_cause(lines: Iterable[str]) -> Cause | None:
    """Return the cause found in a log; None if there is none."""
    kept = [line for line in lines if not any(text in line for text in _USELESS)]
    for pattern, to_cause in _KNOWN:
        for line in kept:
            if match := pattern.search(line):
                found = to_cause(match)
                return msgspec.structs.replace(found, title=found.title[:SHOWN_CHARACTERS])
    for line in kept:
        if (match := _ERROR.search(line)) and not match[1].endswith("Interrupt"):
            return Cause(f"{match[1]}: {match[2]}"[:SHOWN_CHARACTERS])
    return None


def batch_share(line: str) -> float | None:
    """Return the share (0..1) of a batch that `vllm run-batch` reports to be made; None for any other line."""
    found = _BATCH_SHARE.search(line)
    return min(1.0, int(found[1]) / 100) if found else None


def exit_cause(code: int | None, lines: Iterable[str]) -> Cause:
    """Return why a server exited by itself: from its log, else from its exit code."""
    kept = list(lines)
    if code is None:
        return Cause("the process that watches it was killed", "see `dmesg` for a lack of memory", is_transient=True)
    if (found := find_cause(kept)) is not None:
        return found
    if any("EngineDeadError" in line or "EngineCore encountered an issue" in line for line in kept):
        return Cause("engine exited without an error message", "often it was killed for lack of memory: see `dmesg`")
    if code in (-9, 137):
        return Cause(
            "killed by a signal",
            "often for lack of memory: see `dmesg`, and how much memory the machine has",
            is_transient=True,
        )
    if code in (126, 127):
        return Cause("the command was not found or cannot be run", "see [vllm] command")
    return Cause(f"exited by itself with exit code {code}", "see its log")
