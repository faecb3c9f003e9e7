"""Calls per second of a run against `vllm bench serve`: the same prompts, the same concurrency, one real vLLM server.

    python benchmarks/vllm_bench.py --vllm $(.ci/vllm-env) [--model FOLDER] [--calls 384] [--parallel 64] [--rounds 3]

`vllm bench` needs pandas beside vLLM (`pip install vllm[bench]`), which `.ci/vllm-env` leaves out. Without --model a
tiny random model is made, which a CPU serves; on a GPU, name a model of your own and more --calls. The server runs
without a prefix cache, so that no side finds what the other one left. Both sides go in turns, ask for the same number
of tokens at temperature 0, and their rate is that of the requests between the first start and the last end, as each
side reports it. The run of the first round starts together with the server: "first call" is the time from the first
good answer of `/health`, asked for every 10 ms by this script, to its first request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = ("base", "one", "two")
NAME = "judge"
START_LIMIT = 600.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vllm", type=Path, default=os.environ.get("ARENA_TUI_VLLM"), help="the `vllm` command")
    parser.add_argument("--model", type=Path, help="a folder or the name of a model; made if not named")
    parser.add_argument("--calls", type=int, default=384)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=16, help="of each reply, at most")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.vllm is None:
        sys.exit("name the `vllm` command with --vllm, or in ARENA_TUI_VLLM")
    with tempfile.TemporaryDirectory() as scratch:
        compare(options, Path(scratch))


def compare(options: argparse.Namespace, scratch: Path) -> None:
    model = options.model or tiny_model(options.vllm, scratch / "model")
    prompts = write_prompts(scratch, options.calls)
    bench: list[float] = []
    engine: list[float] = []
    port = free_port()
    with serving(options.vllm, model, port, scratch):
        first = asyncio.run(with_first_call(port, scratch, options))
        engine.append(first["per_second"])
        bench.append(bench_serve(options, model, port, prompts, scratch))
        for number in range(1, options.rounds):
            write_bench(scratch / f"round-{number}" / "bench", options.calls)
            for side in ("bench", "engine") if number % 2 else ("engine", "bench"):
                if side == "bench":
                    bench.append(bench_serve(options, model, port, prompts, scratch))
                else:
                    engine.append(asyncio.run(judge(port, scratch / f"round-{number}", options))["per_second"])
    print(
        f"{options.calls} calls, {options.parallel} in flight, {options.tokens} tokens a reply, {options.rounds} rounds"
    )
    for side, rates in (("vllm bench serve", bench), ("arena-tui run", engine)):
        print(f"{side:18}{statistics.median(rates):8.2f} calls/s   ({' '.join(f'{rate:.2f}' for rate in rates)})")
    ratios = [ours / theirs for ours, theirs in zip(engine, bench, strict=True)]
    print(f"run / bench serve, round by round: {' '.join(f'{ratio:.3f}' for ratio in ratios)}", end="")
    print(f" (median {statistics.median(ratios):.3f})")
    print(f"first call {first['first_call']:.3f} s after the server was ready")


def tiny_model(vllm: Path, folder: Path) -> Path:
    script = HERE.parent / "tests" / "integration" / "tiny_model.py"
    subprocess.run([vllm.with_name("python"), script, folder], check=True, capture_output=True)
    return folder


def write_prompts(scratch: Path, calls: int) -> Path:
    """Write the bench of the run, and its prompts as a data set of `vllm bench serve`, in the order of the run."""
    from engine.bench import Bench
    from engine.judging.prompts import custom_prompt, game_messages
    from engine.work.plan import seeded_order

    write_bench(scratch / "round-0" / "bench", calls)
    bench = Bench.open(scratch / "round-0", "bench")
    answers = {name: bench.answers(name).items for name in MODELS}
    prompt = custom_prompt("", TEMPLATE)
    rows = [
        game_messages(prompt, question, answers["base"][question.id].turns, answers[name][question.id].turns, number)
        for question in seeded_order(bench.questions().items)
        for number in (1, 2)
        for name in MODELS[1:]
    ]
    path = scratch / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": row[-1]["content"]}) + "\n" for row in rows), encoding="utf-8")
    return path


TEMPLATE = (
    "Question: {QUESTION}\n\nA: {ANSWER_A}\n\nB: {ANSWER_B}\n\nWhich is better? Write [[A>B]], [[A=B]] or [[B>A]]."
)


def write_bench(root: Path, calls: int) -> None:
    (root / "model_answer").mkdir(parents=True)
    ids = [f"q{number:05}" for number in range(max(1, calls // (2 * (len(MODELS) - 1))))]
    asked = [{"question_id": name, "turns": [{"content": f"What is {name}? " + "Say why. " * 8}]} for name in ids]
    (root / "question.jsonl").write_text("".join(json.dumps(each) + "\n" for each in asked))
    for model in MODELS:
        answers = [
            {
                "question_id": name,
                "answer_id": name,
                "model_id": model,
                "choices": [{"index": 0, "turns": [{"content": f"{name} is it, by {model}. " * 12}]}],
            }
            for name in ids
        ]
        (root / "model_answer" / f"{model}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in answers))


async def with_first_call(port: int, scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Judge from before the server is ready; return also how long after that the first request went out."""
    ready: list[float] = []

    def wait_for_health() -> None:
        while not ready:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    ready.append(time.perf_counter())
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)

    watching = asyncio.create_task(asyncio.to_thread(wait_for_health))
    found = await judge(port, scratch / "round-0", options)
    await watching
    return {**found, "first_call": found["first"] - ready[0]}


async def judge(port: int, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """A judging run with one call a game; `first` is the moment of its first request."""
    from engine.config.load import parse_config
    from engine.events import CallEnded, CallStarted, Event
    from engine.run import Run
    from engine.work.plan import Scope

    document = {
        "bench": "bench",
        "data": str(folder),
        "judge": {
            "model": NAME,
            "baseline": MODELS[0],
            "max_tokens": options.tokens,
            "temperature": 0.0,
            "retries": 1,
            "prompt": {"system": "", "template": TEMPLATE},
        },
        "models": {NAME: {"endpoints": [{"base_url": f"http://127.0.0.1:{port}/v1"}], "parallel": options.parallel}},
    }
    run = Run(parse_config(document, None, {}), Scope(wait=START_LIMIT))
    started: list[float] = []
    ended: list[float] = []

    def see(event: Event) -> None:
        if isinstance(event, CallStarted):
            started.append(time.perf_counter())
        elif isinstance(event, CallEnded):
            ended.append(time.perf_counter())

    run.listen(see)
    await run.execute()
    return {"per_second": len(ended) / (ended[-1] - started[0]), "first": started[0]}


def bench_serve(options: argparse.Namespace, model: Path, port: int, prompts: Path, scratch: Path) -> float:
    """Return the request throughput that `vllm bench serve` reports."""
    result = scratch / "result.json"
    command = [options.vllm, "bench", "serve", "--backend", "openai-chat", "--endpoint", "/v1/chat/completions"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--model", str(model), "--served-model-name", NAME]
    command += ["--dataset-name", "custom", "--dataset-path", prompts, "--disable-shuffle", "--skip-chat-template"]
    command += ["--custom-output-len", str(options.tokens), "--num-prompts", str(options.calls), "--temperature", "0"]
    command += ["--max-concurrency", str(options.parallel), "--num-warmups", "0", "--disable-tqdm"]
    command += ["--save-result", "--result-dir", scratch, "--result-filename", result.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(scratch))
    if done.returncode:
        sys.exit(f"{done.stderr[-2000:]}\n`vllm bench serve` failed; it needs what `pip install vllm[bench]` brings")
    found = json.loads(result.read_text())
    assert found["completed"] == options.calls, found["completed"]
    return float(found["request_throughput"])


def environment(scratch: Path) -> dict[str, str]:
    local = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CACHE_ROOT": str(scratch / "cache")}
    return {"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ, **local}


@contextmanager
def serving(vllm: Path, model: Path, port: int, scratch: Path) -> Iterator[None]:
    command = [vllm, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", NAME]
    command += ["--no-enable-prefix-caching", "--disable-uvicorn-access-log"]
    with (scratch / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment(scratch), start_new_session=True
        )
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
