"""The server's numbers as Prometheus text, with vLLM's names and a few of its own.

`simulator:requests_total{status}` counts the chat calls by the status of their reply ("closed" where a fault closed the
connection), `simulator:faults_total{kind}` the faults; `simulator:requests_held_max` is the maximum of calls at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class LatencyHistogram:
    """A Prometheus histogram of seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield each upper bound with the number of values up to it."""
        return zip((*map(str, _SECONDS), "+Inf"), accumulate(self._counts), strict=True)


class ModelMetrics:
    """The numbers of one model of the server."""

    def __init__(self) -> None:
        self.running = 0
        self.waiting = 0
        self.tokens_held = 0  # of the requests that are running
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.prefix_queries = 0
        self.prefix_hits = 0
        self.finished: Counter[str] = Counter({"stop": 0, "length": 0, "abort": 0})
        self.first_token = LatencyHistogram()
        self.whole_reply = LatencyHistogram()


class ServerMetrics:
    """The numbers of all models of a server."""

    def __init__(self, models: list[str], kv_cache_tokens: int) -> None:
        self.models = {name: ModelMetrics() for name in models}
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.refused = 0
        self._kv_cache_tokens = kv_cache_tokens
        self._held = 0
        self._most_held = 0

    def arrive(self) -> None:
        """Count a chat call in."""
        self._held += 1
        self._most_held = max(self._most_held, self._held)

    def leave(self) -> None:
        """Count it out."""
        self._held -= 1

    def text(self) -> str:
        """Return everything as Prometheus text, each family under its `# TYPE` line."""
        families: dict[str, list[str]] = {}

        def add(name: str, value: float, labels: str = "", suffix: str = "") -> None:
            braced = f"{{{labels}}}" if labels else ""
            families.setdefault(name, []).append(f"{name}{suffix}{braced} {value}")

        for model, seen in self.models.items():
            labels = f'engine="0",model_name="{_escaped(model)}"'
            add("vllm:num_requests_running", seen.running, labels)
            add("vllm:num_requests_waiting", seen.waiting, labels)
            add("vllm:kv_cache_usage_perc", min(1.0, seen.tokens_held / self._kv_cache_tokens), labels)
            add("vllm:prompt_tokens_total", seen.prompt_tokens, labels)
            add("vllm:generation_tokens_total", seen.generation_tokens, labels)
            add("vllm:prefix_cache_queries_total", seen.prefix_queries, labels)
            add("vllm:prefix_cache_hits_total", seen.prefix_hits, labels)
            add("vllm:num_preemptions_total", 0, labels)
            for reason, count in seen.finished.items():
                add("vllm:request_success_total", count, f'{labels},finished_reason="{reason}"')
            for name, latency in (("time_to_first_token", seen.first_token), ("e2e_request_latency", seen.whole_reply)):
                family, count = f"vllm:{name}_seconds", 0
                for bound, count in latency.buckets():
                    add(family, count, f'{labels},le="{bound}"', "_bucket")
                add(family, latency.total, labels, "_sum")
                add(family, count, labels, "_count")
        add("vllm:admission_rejections_total", self.refused, 'engine="0"')
        for status, count in sorted(self.statuses.items()):
            add("simulator:requests_total", count, f'status="{status}"')
        for kind, count in sorted(self.faults.items()):
            add("simulator:faults_total", count, f'kind="{kind}"')
        add("simulator:requests_held", self._held)
        add("simulator:requests_held_max", self._most_held)
        lines = (line for name, samples in families.items() for line in (f"# TYPE {name} {_kind_of(name)}", *samples))
        return "\n".join((*lines, ""))


def _kind_of(family: str) -> str:
    return "counter" if family.endswith("_total") else "histogram" if family.endswith("_seconds") else "gauge"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
