"""The server's numbers as Prometheus text, with vLLM's names and a few of its own.

`simulator:requests_total{status}` counts the chat calls by the status of their reply ("closed" where a fault closed the
connection), `simulator:faults_total{kind}` the faults; `simulator:requests_held_max` is the maximum of calls at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class LatencyHistogram:
    """A Prometheus histogram of seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str, labels: str) -> list[str]:
        lines, reached = [], 0
        for bound, count in zip((*map(str, _SECONDS), "+Inf"), self._counts, strict=True):
            reached += count
            lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {reached}')
        return [*lines, f"{name}_sum{{{labels}}} {self._sum}", f"{name}_count{{{labels}}} {reached}"]


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
        """Return everything as Prometheus text."""
        lines: list[str] = []
        for name, seen in self.models.items():
            labels = f'engine="0",model_name="{_escaped(name)}"'
            lines += [
                f"vllm:num_requests_running{{{labels}}} {seen.running}",
                f"vllm:num_requests_waiting{{{labels}}} {seen.waiting}",
                f"vllm:kv_cache_usage_perc{{{labels}}} {min(1.0, seen.tokens_held / self._kv_cache_tokens)}",
                f"vllm:prompt_tokens_total{{{labels}}} {seen.prompt_tokens}",
                f"vllm:generation_tokens_total{{{labels}}} {seen.generation_tokens}",
                f"vllm:prefix_cache_queries_total{{{labels}}} {seen.prefix_queries}",
                f"vllm:prefix_cache_hits_total{{{labels}}} {seen.prefix_hits}",
                f"vllm:num_preemptions_total{{{labels}}} 0",
            ]
            lines += [
                f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {count}'
                for reason, count in seen.finished.items()
            ]
            lines += seen.first_token.lines("vllm:time_to_first_token_seconds", labels)
            lines += seen.whole_reply.lines("vllm:e2e_request_latency_seconds", labels)
        lines.append(f'vllm:admission_rejections_total{{engine="0"}} {self.refused}')
        lines += [f'simulator:requests_total{{status="{status}"}} {n}' for status, n in sorted(self.statuses.items())]
        lines += [f'simulator:faults_total{{kind="{kind}"}} {n}' for kind, n in sorted(self.faults.items())]
        lines += [f"simulator:requests_held {self._held}", f"simulator:requests_held_max {self._most_held}"]
        return "\n".join((*_typed(lines), ""))


def _typed(lines: list[str]) -> list[str]:
    """Return the lines grouped by family, each family under its `# TYPE` line."""
    families: dict[str, list[str]] = {}
    for line in lines:
        name = line.partition("{")[0].partition(" ")[0]
        for suffix in ("_bucket", "_sum", "_count"):
            if name.endswith(f"_seconds{suffix}"):
                name = name.removesuffix(suffix)
        families.setdefault(name, []).append(line)
    typed = []
    for name, members in families.items():
        kind = "counter" if name.endswith("_total") else "histogram" if name.endswith("_seconds") else "gauge"
        typed += [f"# TYPE {name} {kind}", *members]
    return typed


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
