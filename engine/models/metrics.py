"""The numbers in vLLM's `/metrics`: how busy a server is, how well its prefix cache does, how long replies take.

Names are those of vLLM 0.30 and later. A server has a series per model and per engine (data parallelism): numbers are
summed, shares averaged over the engines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import aiohttp

from engine.errors import CallFailed
from engine.events import Histogram, VllmMetrics
from engine.models.connection import FAULTS, fetch
from engine.models.endpoint import Endpoint

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

TIME_LIMIT = 5.0  # seconds
LARGEST_TEXT = 8 * 2**20  # bytes
LONGEST_LINE = 8 * 2**10  # characters: the parser's time is quadratic in the number of labels of one line
LARGEST_VALUE = 2.0**63  # also excludes NaN and infinity
LARGEST_SELECTION = 2**19  # characters of lines that are parsed: half a second at worst, and twice what 16 engines need

_COUNTS = ("num_requests_running", "num_requests_waiting", "prompt_tokens_total", "generation_tokens_total",
           "prefix_cache_queries_total", "prefix_cache_hits_total", "num_preemptions_total")  # fmt: skip
_HISTOGRAMS = ("time_to_first_token_seconds", "e2e_request_latency_seconds", "request_queue_time_seconds")
_USAGE, _FINISHED, _CACHE = "kv_cache_usage_perc", "request_success_total", "cache_config_info"
_NAMES = (*_COUNTS, _USAGE, _FINISHED, _CACHE, *(f"{name}_bucket" for name in _HISTOGRAMS))
_LINE = re.compile(rf"^vllm:(?:{'|'.join(_NAMES)})[{{ \t].*", re.MULTILINE)


def parse_metrics(text: str, model: str | None = None) -> VllmMetrics | None:
    """Return the numbers of `model` (None: of all models together); None for a text without numbers of vLLM.

    Malformed lines are skipped. vLLM counts all names of a model under the first of them: without a series of `model`,
    all models are summed.
    """
    samples = list(_samples(text))
    if not samples:
        return None
    if not any(sample.labels.get("model_name") == model for sample in samples):
        model = None
    counts = dict.fromkeys(_COUNTS, 0.0)
    finished: dict[str, int] = {}
    usages: list[float] = []
    buckets: dict[str, dict[float, float]] = {name: {} for name in _HISTOGRAMS}
    cache_tokens = 0.0
    for sample in samples:
        name, labels, value = sample.name.removeprefix("vllm:"), sample.labels, float(sample.value)
        if model is not None and labels.get("model_name", model) != model:
            continue
        if name in counts:
            counts[name] += value
        elif name == _USAGE:
            usages.append(value)
        elif name == _FINISHED:
            reason = labels.get("finished_reason", "")
            finished[reason] = finished.get(reason, 0) + int(value)
        elif name == _CACHE:
            cache_tokens += _number(labels.get("kv_cache_size_tokens", "")) or 0
        elif (bound := _number(labels.get("le", ""), infinite=True)) is not None:
            series = buckets[name.removesuffix("_bucket")]
            series[bound] = series.get(bound, 0) + value
    first_token, reply, queue = (_histogram(buckets[name]) for name in _HISTOGRAMS)
    running, waiting, prompts, generated, queries, hits, preemptions = (int(counts[name]) for name in _COUNTS)
    return VllmMetrics(
        running=running,
        waiting=waiting,
        kv_cache_usage=sum(usages) / len(usages) if usages else None,
        prompt_tokens=prompts,
        generation_tokens=generated,
        prefix_queries=queries,
        prefix_hits=hits,
        preemptions=preemptions,
        finished=finished,
        kv_cache_tokens=int(cache_tokens) or None,
        first_token_seconds=first_token,
        reply_seconds=reply,
        queue_seconds=queue,
    )


async def fetch_metrics(
    session: aiohttp.ClientSession,
    endpoint: Endpoint,
    model: str | None = None,
    answered: Callable[[], None] = lambda: None,
) -> VllmMetrics | None:
    """Return the current numbers of the server behind `endpoint`; None if it is down or has no metrics of vLLM.

    `answered` is called when the server answers, whatever it says.
    """
    url = endpoint.server_url("metrics")
    try:
        status, text = await fetch(session, endpoint, url, time_limit=TIME_LIMIT, largest=LARGEST_TEXT)
    except (CallFailed, *FAULTS):
        return None
    answered()
    return parse_metrics(text.decode("utf-8", "replace"), model) if status == 200 else None


def _samples(text: str) -> Iterator[Sample]:
    """Parse the lines that are needed, each on its own, so that a malformed one costs nothing but itself."""
    from prometheus_client.parser import text_string_to_metric_families

    lines = [line for line in _LINE.findall(text) if len(line) <= LONGEST_LINE]
    if sum(map(len, lines)) > LARGEST_SELECTION:
        return
    for line in lines:
        try:
            for family in text_string_to_metric_families(line):
                yield from (sample for sample in family.samples if abs(sample.value) < LARGEST_VALUE)
        except (ValueError, IndexError, OverflowError):
            continue


def _histogram(series: dict[float, float]) -> Histogram:
    bounds = sorted(series)
    return Histogram(tuple(bounds), tuple(series[bound] for bound in bounds))


def _number(text: str, *, infinite: bool = False) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") or (infinite and value > 0) else None
