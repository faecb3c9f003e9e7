"""How far a starting `vllm serve` is, told from the lines of its log. Pure.

The milestones are those of vLLM 0.30 to 0.33, of its CPU and its GPU build. A line that is not known changes nothing,
so another version at worst tells less.
"""

from __future__ import annotations

import re

import msgspec

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


class Lines:
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
