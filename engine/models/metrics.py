"""What vLLM's `/metrics` says of a server: how busy it is, how well its prefix cache does, how long replies take.

Names are those of vLLM 0.30 and later. A server has a series per model and per engine (data parallelism): numbers are
summed, shares averaged over the engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import aiohttp

from engine.errors import CallFailed
from engine.events import Histogram, VllmMetrics
from engine.models.connection import FAULTS, proxy_for, read_body
from engine.models.endpoint import Endpoint

__all__ = ["Histogram", "VllmMetrics", "fetch_metrics", "parse_metrics"]

TIME_LIMIT = 5.0  # seconds
LARGEST_TEXT = 8 * 2**20  # bytes

_LINE = re.compile(r"(vllm:[a-zA-Z0-9_:]+)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


def parse_metrics(text: str, model: str | None = None) -> VllmMetrics | None:
    """The numbers of `model` (None: of all models together) in Prometheus text; None when it holds none of vLLM's.

    Lines that are not understood are passed over. vLLM counts all names of a model under the first of them: where there
    is no series of `model`, all are meant.
    """
    totals: dict[str, float] = {}
    finished: dict[str, int] = {}
    usages: list[float] = []
    buckets: dict[str, dict[float, float]] = {}
    cache_tokens: float | None = None
    known = False
    samples = list(_samples(text))
    if not any(labels.get("model_name") == model for _, labels, _ in samples):
        model = None
    for name, labels, value in samples:
        if model is not None and labels.get("model_name", model) != model:
            continue
        known = True
        if name == "vllm:kv_cache_usage_perc":
            usages.append(value)
        elif name == "vllm:request_success_total":
            reason = labels.get("finished_reason", "")
            finished[reason] = finished.get(reason, 0) + int(value)
        elif name == "vllm:cache_config_info":
            cache_tokens = (cache_tokens or 0) + (_number(labels.get("kv_cache_size_tokens", "")) or 0)
        elif name.endswith("_bucket"):
            series = buckets.setdefault(name.removesuffix("_bucket"), {})
            bound = _number(labels.get("le", ""), infinite=True)
            if bound is not None:
                series[bound] = series.get(bound, 0) + value
        else:
            totals[name] = totals.get(name, 0) + value
    if not known:
        return None

    def count(name: str) -> int:
        return int(totals.get(f"vllm:{name}", 0))

    def histogram(name: str) -> Histogram:
        series = sorted(buckets.get(f"vllm:{name}", {}).items())
        return Histogram(tuple(bound for bound, _ in series), tuple(reached for _, reached in series))

    return VllmMetrics(
        running=count("num_requests_running"),
        waiting=count("num_requests_waiting"),
        kv_cache_usage=sum(usages) / len(usages) if usages else None,
        prompt_tokens=count("prompt_tokens_total"),
        generation_tokens=count("generation_tokens_total"),
        prefix_queries=count("prefix_cache_queries_total"),
        prefix_hits=count("prefix_cache_hits_total"),
        preemptions=count("num_preemptions_total"),
        finished=finished,
        kv_cache_tokens=int(cache_tokens) if cache_tokens else None,
        first_token_seconds=histogram("time_to_first_token_seconds"),
        reply_seconds=histogram("e2e_request_latency_seconds"),
        queue_seconds=histogram("request_queue_time_seconds"),
    )


async def fetch_metrics(
    session: aiohttp.ClientSession, endpoint: Endpoint, model: str | None = None
) -> VllmMetrics | None:
    """The numbers of the server behind `endpoint` now; None when it is not there, is no vLLM, or says nothing."""
    url = endpoint.server_url("metrics")
    try:
        async with session.get(
            url,
            headers=endpoint.headers(),
            proxy=proxy_for(url),
            timeout=aiohttp.ClientTimeout(total=TIME_LIMIT),
            allow_redirects=False,
        ) as response:
            text = await read_body(response, LARGEST_TEXT)
    except (CallFailed, *FAULTS):
        return None
    return parse_metrics(text.decode("utf-8", "replace"), model) if response.status == 200 else None


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """vLLM's samples in Prometheus text format 0.0.4: name, labels, finite value."""
    for line in text.split("\n"):
        match = _LINE.fullmatch(line) if line.startswith("vllm:") else None
        value = _number(match[3]) if match else None
        if match and value is not None:
            labels = {name: _ESCAPED.sub(_unescape, told) for name, told in _LABEL.findall(match[2] or "")}
            yield match[1], labels, value


def _unescape(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]


def _number(text: str, *, infinite: bool = False) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") or (infinite and value > 0) else None
