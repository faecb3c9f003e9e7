"""What the engine costs on top of bare aiohttp: CPU per call, and how full it keeps its slots. Side by side, in turns.

    python benchmarks/engine_cost.py [--calls 6000] [--rounds 5]

Each side is a process of its own against the same local server (a third process). `bare` sends the same judge prompts
from 64 workers and reads the replies; `engine` is `engine.run.Run` with its bench, caches and events.
CPU is that of the client process from its first call to its last byte on disk. "slots full" is the share of the time in
which all 64 slots were taken; "requests out" and "at the server" are means over time, seen from either end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PARALLEL = 64
QUESTIONS, CONTESTANTS = 500, 6
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=["bare", "engine"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        import uvloop

        measured = uvloop.run({"bare": bare, "engine": engine}[options.side](options.port, options.calls))
        print(json.dumps(measured))
        return
    for latency in (0.0, 0.05):
        compare(latency, options.calls, options.rounds)


def compare(latency: float, calls: int, rounds: int) -> None:
    sides: dict[str, list[dict[str, float]]] = {"bare": [], "engine": []}
    for _ in range(rounds):
        for side, results in sides.items():
            results.append(measure(side, latency, calls))
    print(f"\nlatency {latency * 1000:.0f} ms, {PARALLEL} in flight, {calls} calls, {rounds} rounds (medians)")
    print(f"{'':8}{'CPU ms/call':>12}{'calls/s':>10}{'slots full':>12}{'requests out':>14}{'at the server':>15}")
    for side, results in sides.items():
        row = {key: statistics.median(result[key] for result in results) for key in results[0]}
        full = f"{row['full']:.1%}" if row["full"] else "-"
        out = f"{row['out']:.1f}" if row["out"] else "-"
        print(f"{side:8}{row['cpu_ms']:12.3f}{row['per_second']:10.0f}{full:>12}{out:>14}{row['held']:15.1f}")
    ratios = [e["cpu_ms"] / b["cpu_ms"] for b, e in zip(sides["bare"], sides["engine"], strict=True)]
    each = " ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"CPU, engine / bare, round by round: {each} (median {statistics.median(ratios):.2f})")


def measure(side: str, latency: float, calls: int) -> dict[str, float]:
    server = subprocess.Popen(
        [sys.executable, HERE / "reply_server.py", str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(server.stdout.readline())
        command = [sys.executable, __file__, "--side", side, "--port", str(port), "--calls", str(calls)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats") as reply:
            seconds = {int(held): spent for held, spent in json.load(reply).items() if int(held)}
        held = sum(count * spent for count, spent in seconds.items()) / sum(seconds.values())
        return {**json.loads(done.stdout), "held": held}
    finally:
        server.stdin.close()
        server.wait(10)


async def bare(port: int, calls: int) -> dict[str, float]:
    """The same requests from 64 workers on one aiohttp session, replies read as JSON and dropped."""
    import aiohttp
    import msgspec

    with tempfile.TemporaryDirectory() as folder:
        bodies = judge_bodies(Path(folder) / "bench", calls)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    left = iter(range(len(bodies)))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for number in left:
                data = msgspec.json.encode(bodies[number])
                async with session.post(url, data=data, headers={"Content-Type": "application/json"}) as reply:
                    msgspec.json.decode(await reply.read())

        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(PARALLEL)))
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"cpu_ms": cpu / len(bodies) * 1000, "per_second": len(bodies) / wall, "full": 0.0, "out": 0.0}


def judge_bodies(root: Path, calls: int) -> list[dict[str, object]]:
    """The requests that the engine sends for the same bench, made before the clock starts."""
    from engine.bench import Bench
    from engine.judging.prompts import game_messages, judge_prompt

    baseline, *models = write_bench(root, calls)
    bench, prompt = Bench.open(root.parent, root.name), judge_prompt("simple")
    theirs = bench.answers(baseline).items
    answers = {model: bench.answers(model).items for model in models}
    return [
        {
            "model": "judge",
            "messages": game_messages(prompt, q, theirs[q.id].turns, answers[model][q.id].turns, number),
            "temperature": 0.0,
            "max_tokens": 512,
        }
        for q in bench.questions().items
        for number in (1, 2)
        for model in models
    ]


async def engine(port: int, calls: int) -> dict[str, float]:
    """A judging run of the engine on a made-up bench with all answers in place."""
    from engine.config.load import parse_config
    from engine.events import CallEnded, CallStarted, StageStarted
    from engine.run import Run

    with tempfile.TemporaryDirectory() as folder:
        models = write_bench(Path(folder) / "bench", calls)
        document = {
            "bench": "bench",
            "data": folder,
            "judge": {"model": "judge", "baseline": models[0]},
            "models": {
                "judge": {"endpoints": [{"base_url": f"http://127.0.0.1:{port}/v1"}], "parallel": PARALLEL},
            },
        }
        run = Run(parse_config(document, Path(folder) / "config.toml", {}))
        marks = {"full": 0.0, "out": 0.0, "ended": 0.0, "since": 0.0}
        now_out = now_held = 0

        def watch(event: object) -> None:
            nonlocal now_out, now_held
            now = time.perf_counter()
            if isinstance(event, CallStarted | CallEnded):
                spent = now - marks["since"]
                marks["full"] += spent * (now_held >= PARALLEL)
                marks["out"] += spent * now_out
                marks["since"] = now
                now_out += 1 if isinstance(event, CallStarted) else -1
                now_held = run.clients["judge"].in_flight
                marks["ended"] += isinstance(event, CallEnded)
            elif isinstance(event, StageStarted):
                marks["started"], marks["cpu"], marks["since"] = now, time.process_time(), now

        run.listen(watch)
        state = await run.execute()
        ended = marks["since"]  # of the last call; what follows is the writer's
        wall, cpu = time.perf_counter() - marks["started"], time.process_time() - marks["cpu"]
        assert state.phase == "done", state.notices
        made = int(marks["ended"])
    return {
        "cpu_ms": cpu / made * 1000,
        "per_second": made / wall,
        "full": marks["full"] / (ended - marks["started"]),
        "out": marks["out"] / (ended - marks["started"]),
    }


def text(rng: random.Random) -> str:
    return " ".join("слово" if rng.random() < 0.5 else "answer" for _ in range(300))


def write_bench(root: Path, calls: int) -> list[str]:
    """A bench with as many questions as it takes for `calls` judge calls (two per question and contestant)."""
    rng = random.Random(0)
    count = max(1, calls // (2 * CONTESTANTS))
    (root / "model_answer").mkdir(parents=True)
    ids = [f"{number:032x}" for number in range(count)]
    questions = [{"question_id": q, "category": "c", "cluster": "t", "turns": [{"content": text(rng)}]} for q in ids]
    write_lines(root / "question.jsonl", questions)
    models = [f"model-{number}" for number in range(CONTESTANTS + 1)]
    for model in models:
        rows = [
            {
                "question_id": q,
                "answer_id": q,
                "model_id": model,
                "choices": [{"index": 0, "turns": [{"content": text(rng), "token_len": 300}]}],
                "tstamp": 0.0,
            }
            for q in ids
        ]
        write_lines(root / "model_answer" / f"{model}.jsonl", rows)
    return models


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
