"""vLLM's numbers, read from its Prometheus text."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from model_servers import Handler

from engine.events import Histogram, VllmMetrics
from engine.models.endpoint import Endpoint
from engine.models.metrics import LARGEST_SELECTION, LONGEST_LINE, fetch_metrics, parse_metrics

Serve = Callable[[Handler], Awaitable[str]]
INF = float("inf")

TEXT = r"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_running{engine="1",model_name="tiny"} 4.0
vllm:num_requests_running{engine="0",model_name="an \"odd\" {name}\\"} 50.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 2.0 1795458124000
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="tiny"} 0.75
vllm:prompt_tokens_total{engine="0",model_name="tiny"} 1.2e+06
vllm:generation_tokens_total{engine="0",model_name="tiny"} 340.0
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 1000.0
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 540.0
vllm:num_preemptions_total{engine="0",model_name="tiny"} 1.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="tiny"} 10.0
vllm:request_success_total{engine="1",finished_reason="stop",model_name="tiny"} 5.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"} 1.0
vllm:cache_config_info{block_size="128",engine="0",kv_cache_size_tokens="32768",num_gpu_blocks="256"} 1.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="1.0",model_name="tiny"} 10.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="2.0",model_name="tiny"} 19.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="+Inf",model_name="tiny"} 20.0
vllm:e2e_request_latency_seconds_count{engine="0",model_name="tiny"} 20.0
vllm:something_new{engine="0"} NaN
python_info{version="3.11"} 1.0
vllm:broken
"""


def parsed(text: str, model: str | None = None) -> VllmMetrics:
    metrics = parse_metrics(text, model)
    assert metrics is not None
    return metrics


def test_a_model_that_goes_by_another_of_its_names_has_the_numbers_of_the_first():
    text = 'vllm:num_requests_waiting{model_name="first"} 3\nvllm:num_requests_running{model_name="second"} 2\n'
    assert parsed(text, "alias").waiting == 3
    assert (parsed(text, "second").waiting, parsed(text, "second").running) == (0, 2)


def test_the_numbers_of_one_model_are_summed_over_its_engines():
    metrics = parsed(TEXT, "tiny")
    assert (metrics.running, metrics.waiting, metrics.kv_cache_usage) == (7, 2, 0.5)
    assert (metrics.prompt_tokens, metrics.generation_tokens, metrics.preemptions) == (1_200_000, 340, 1)
    assert metrics.finished == {"stop": 15, "length": 1}
    assert metrics.prefix_hit_rate == 0.54
    assert metrics.kv_cache_tokens == 32768
    assert metrics.reply_seconds == Histogram((1.0, 2.0, INF), (10, 19, 20))


def test_names_with_quotes_and_braces_are_distinguished():
    assert parsed(TEXT, 'an "odd" {name}\\').running == 50
    assert parsed(TEXT).running == 57


def test_the_text_of_another_program_holds_nothing():
    assert parse_metrics('python_info{version="3.11"} 1.0\n') is None
    assert parse_metrics("<html></html>") is None


def test_quantiles_are_linear_within_a_bucket():
    histogram = Histogram((1.0, 2.0, INF), (10, 19, 20))
    assert histogram.quantile(0.25) == 0.5
    assert histogram.quantile(0.5) == 1.0
    assert histogram.quantile(0.95) == 2.0
    assert histogram.quantile(1.0) == 2.0
    assert Histogram().quantile(0.5) is None
    assert Histogram((1.0, INF), (0, 0)).quantile(0.5) is None


@given(st.lists(st.floats(0, 30), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float):
    bounds = (0.5, 1.0, 2.0, 5.0, 10.0, INF)
    histogram = Histogram(bounds, tuple(sum(value <= bound for value in values) for bound in bounds))
    rank = max(1, -(-int(share * len(values) * 1e9) // 10**9))
    true = sorted(values)[min(rank, len(values)) - 1]
    found = histogram.quantile(share)
    assert found is not None
    above = min(bound for bound in bounds if true <= bound)
    assert found <= (above if above < INF else 10.0) + 1e-9


def test_what_came_since_is_the_difference_and_all_after_a_restart():
    bounds = (1.0, INF)
    assert Histogram(bounds, (5, 9)).since(Histogram(bounds, (4, 6))) == Histogram(bounds, (1, 3))
    assert Histogram(bounds, (1, 2)).since(Histogram(bounds, (4, 6))) == Histogram(bounds, (1, 2))
    assert Histogram(bounds, (1, 2)).since(Histogram()) == Histogram(bounds, (1, 2))
    before, after = VllmMetrics(prefix_queries=100, prefix_hits=10), VllmMetrics(prefix_queries=200, prefix_hits=90)
    assert after.prefix_hit_rate_since(before) == 0.8
    assert after.prefix_hit_rate_since(after) is None
    assert before.prefix_hit_rate_since(after) == 0.1


samples = st.lists(
    st.sampled_from(TEXT.split("\n"))
    | st.text(max_size=40).map("vllm:num_requests_running{".__add__)
    | st.text('"\\,={} x1\t', max_size=40).map("vllm:num_requests_running{".__add__)
    | st.text()
)


@given(samples)
def test_any_text_is_numbers_or_nothing(lines: list[str]):
    metrics = parse_metrics("\n".join(lines))
    assert metrics is None or metrics.running >= 0


def test_malformed_lines_cost_nothing_but_themselves():
    malformed = (
        "vllm:num_requests_running{",
        'vllm:num_requests_running{engine="0} 9',
        'vllm:num_requests_running{engine="0"} many',
        'vllm:num_requests_running{ ="0"} 9',
        'vllm:num_requests_running{engine="0"} ' + "9" * 5000,
        'vllm:num_requests_running{engine="0"} 1' + "0" * 400,
        'vllm:num_requests_running{engine="0"} +Inf',
        'vllm:num_requests_running{engine="' + "x" * LONGEST_LINE + '"} 9',
    )
    lines = iter(TEXT.splitlines())
    mixed = [line for broken in malformed for line in (broken, next(lines), next(lines))]
    assert parse_metrics("\n".join((*mixed, *lines)), "tiny") == parse_metrics(TEXT, "tiny")


RUNNING = "vllm:num_requests_running"
LONGEST = RUNNING + '{engine="' + r"\"" * (LONGEST_LINE // 2 - 40) + '"} 0\n'
HOSTILE = {
    "a long name": RUNNING + "{" + "a" * 150_000,
    "a long label": RUNNING + "{" + "a" * 150_000 + '="x"} 1',
    "many labels": RUNNING + "{" + ",".join(f'a{n}="x"' for n in range(500_000)) + "} 1",
    "many quotes": RUNNING + '{a="' + r"\"" * 5_000_000 + '"} 1',
    "10 MB of good lines": (RUNNING + '{engine="0"} 1\n') * 300_000,
    "10 MB of the longest lines": LONGEST * (10_000_000 // len(LONGEST)),
    "as much as is parsed": LONGEST * (LARGEST_SELECTION // len(LONGEST)),
    "10 MB of bad lines": (RUNNING + '{engine="0\n') * 300_000,
    "10 MB of nothing": "\n" * 10_000_000,
    "10 MB of others": "vllm:others 1\n" * 700_000,
}

TOO_MUCH = {"10 MB of good lines", "10 MB of the longest lines", "10 MB of bad lines"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_time_in_proportion_to_its_length(name: str):
    good = RUNNING + '{model_name="tiny"} 3\n'
    began = time.process_time()
    metrics = parse_metrics(good + HOSTILE[name], "tiny")
    assert time.process_time() - began < 15  # at most half a second; quadratic time would be minutes
    assert (metrics.running if metrics else None) == (None if name in TOO_MUCH else 3)


async def test_metrics_lie_beside_the_api(serve: Serve, session: aiohttp.ClientSession):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=TEXT) if request.path == "/metrics" else web.Response(status=404)

    metrics = await fetch_metrics(session, Endpoint(await serve(handler)), "tiny")
    assert metrics is not None
    assert metrics.running == 7


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_a_server_without_metrics_costs_nothing(serve: Serve, session: aiohttp.ClientSession, status: int):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=TEXT, status=status)

    assert await fetch_metrics(session, Endpoint(await serve(handler))) is None


async def test_a_closed_port_costs_nothing(session: aiohttp.ClientSession, unused_tcp_port: int):
    assert await fetch_metrics(session, Endpoint(f"http://127.0.0.1:{unused_tcp_port}/v1")) is None
