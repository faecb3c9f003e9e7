"""What the engine costs on top of a bare aiohttp loop: CPU, instructions and system calls per judge call.

    python benchmarks/engine_cost.py [--calls 6000] [--rounds 5] [--parallel 64 256] [--latency 0 50] [--instructions]

Both sides are processes of their own that send the same bodies, in turns, to the same server, which is a third
process. `bare` does the least that any program can: `session.post` of bytes made beforehand, `read`, `json.loads`.
`engine` is `engine.run.Run` with everything on: a key, retries, metrics of the server, every result synced to disk, and
a state that is read ten times a second. CPU is user and system time of all threads of the process, from the first call
to the last byte on disk. "reads" and "writes" are system calls of the process, by `/proc/self/io`; "functions" are
Python functions and built-ins entered, counted in a run of its own. With `--instructions`, valgrind counts those of the
user's code: they hold on a busy machine. "slots full" is the share of the time, from the first call to the start of
the last one, in which all slots were taken; "at the server" the mean number of requests that it holds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARALLEL = 64
CONTESTANTS = 6
KEY = "sk-benchmark-0123456789abcdef"
HERE = Path(__file__).resolve().parent
COLUMNS = {
    "cpu_ms": ("CPU ms/call", "{:.3f}"),
    "per_second": ("calls/s", "{:.0f}"),
    "full": ("slots full", "{:.1%}"),
    "held": ("at the server", "{:.1f}"),
    "reads": ("reads/call", "{:.2f}"),
    "writes": ("writes/call", "{:.2f}"),
    "sent": ("bytes sent/call", "{:.0f}"),
    "written": ("to disk/call", "{:.0f}"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parallel", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 50], help="of the server, in milliseconds")
    parser.add_argument("--instructions", action="store_true", help="count them with valgrind, in place of seconds")
    parser.add_argument("--side", choices=["bare", "engine"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=["time", "functions", "instructions"], default="time", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        import uvloop

        side = {"bare": bare, "engine": engine}[options.side]
        watch = Watch(options.mode)
        made = uvloop.run(side(options.port, options.calls, options.parallel[0], watch))
        print(json.dumps(watch.per_call(made)))
        return
    for parallel in options.parallel:
        if options.instructions:
            count_instructions(options.calls, parallel)
        else:
            for latency in options.latency:
                compare(latency / 1000, options.calls, options.rounds, parallel)


def compare(latency: float, calls: int, rounds: int, parallel: int) -> None:
    sides: dict[str, list[dict[str, float]]] = {"bare": [], "engine": []}
    for number in range(rounds):
        for side in sorted(sides, reverse=bool(number % 2)):
            sides[side].append(measure(side, latency, calls, parallel))
    print(f"\nlatency {latency * 1000:.0f} ms, {parallel} in flight, {calls} calls, {rounds} rounds (medians)")
    print(" " * 8 + "".join(f"{title:>20}" for title, _ in COLUMNS.values()))
    for side, results in sides.items():
        row = {key: statistics.median(result.get(key, 0.0) for result in results) for key in COLUMNS}
        print(f"{side:8}" + "".join(f"{form.format(row[key]):>20}" for key, (_, form) in COLUMNS.items()))
    sent = {result["sent"] for results in sides.values() for result in results}
    ratios = [e["cpu_ms"] / b["cpu_ms"] for b, e in zip(sides["bare"], sides["engine"], strict=True)]
    each = " ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"CPU, engine / bare, round by round: {each} (median {statistics.median(ratios):.2f})")
    print("same bodies on both sides" if len(sent) == 1 else f"the bodies differ: {sorted(sent)} bytes a call")


def count_instructions(calls: int, parallel: int) -> None:
    counted = {side: measure(side, 0.0, calls, parallel, "instructions") for side in ("bare", "engine")}
    bare, engine = (each["instructions"] / 1000 for each in counted.values())
    print(
        f"{parallel} in flight, {calls} calls: {bare:.0f} k instructions a call bare, {engine:.0f} k engine: ", end=""
    )
    print(f"{engine / bare:.2f} times")


def measure(side: str, latency: float, calls: int, parallel: int, mode: str = "time") -> dict[str, float]:
    """Run one side against a new server; return its figures per call."""
    server = subprocess.Popen(
        [sys.executable, HERE / "reply_server.py", str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(server.stdout.readline())
        command = [sys.executable, __file__, "--side", side, "--port", str(port), "--calls", str(calls)]
        command += ["--parallel", str(parallel), "--mode", mode]
        with tempfile.TemporaryDirectory() as folder:
            counts = Path(folder, "counts")
            if mode == "instructions":
                command = [
                    "valgrind",
                    "--tool=callgrind",
                    "--instr-atstart=no",
                    f"--callgrind-out-file={counts}",
                    *command,
                ]
            done = subprocess.run(
                command,
                check=True,
                stdout=subprocess.PIPE,
                stderr=None if mode == "time" else subprocess.DEVNULL,
                text=True,
            )
            figures: dict[str, float] = json.loads(done.stdout)
            if mode == "instructions":
                totals = [line for line in counts.read_text().splitlines() if line.startswith(("summary:", "totals:"))]
                figures["instructions"] = int(totals[-1].split()[1]) / figures["made"]
        seen = asked(port, "/stats")
        seconds = {int(held): spent for held, spent in seen["seconds"].items() if int(held)}
        figures["held"] = sum(count * spent for count, spent in seconds.items()) / (sum(seconds.values()) or 1.0)
        sent = seen["bytes"] / seen["posts"]
        written = max(0.0, figures["written"] - seen["received"] / seen["posts"])  # what did not go to the server
        return {**figures, "sent": sent, "written": written, "connections": seen["connections"]}
    finally:
        server.stdin.close()
        server.wait(10)


def asked(port: int, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as reply:
        return json.load(reply)


class Watch:
    """Measures this process between `begin` and `end`."""

    def __init__(self, mode: str) -> None:
        self.full = 0.0  # seconds in which all slots were taken
        self.last_start = 0.0  # of a call: after it there are fewer calls than slots
        self._mode = mode
        self._functions = 0

    def begin(self) -> None:
        if self._mode == "instructions":
            subprocess.run(
                [shutil.which("callgrind_control"), "-i", "on", str(os.getpid())], check=True, stdout=subprocess.DEVNULL
            )
        if self._mode == "functions":
            sys.setprofile(self._entered)
        self._before = self._now()

    def end(self) -> None:
        self._after = self._now()
        sys.setprofile(None)
        if self._mode == "instructions":
            subprocess.run(
                [shutil.which("callgrind_control"), "-i", "off", str(os.getpid())],
                check=True,
                stdout=subprocess.DEVNULL,
            )

    def per_call(self, made: int) -> dict[str, float]:
        """Return the figures per call, of `made` calls."""
        spent = {key: value - self._before[key] for key, value in self._after.items()}
        return {
            "made": made,
            "cpu_ms": spent["cpu"] / made * 1000,
            "per_second": made / spent["wall"],
            "full": self.full / (self.last_start - self._before["wall"]) if self.full else 0.0,
            "functions": self._functions / made,
            "blocks": spent["blocks"] / made,
            "reads": spent["syscr"] / made,
            "writes": spent["syscw"] / made,
            "written": spent["wchar"] / made,
        }

    def _entered(self, _frame: object, kind: str, _what: object) -> None:
        self._functions += kind in ("call", "c_call")

    @staticmethod
    def _now() -> dict[str, float]:
        counts: dict[str, float] = {"syscr": 0.0, "syscw": 0.0, "wchar": 0.0}
        if Path("/proc/self/io").exists():
            lines = (line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
            counts |= {name: float(value) for name, value in lines if name in counts}
        return {**counts, "wall": time.perf_counter(), "cpu": time.process_time(), "blocks": sys.getallocatedblocks()}


async def bare(port: int, calls: int, parallel: int, watch: Watch) -> int:
    """The same requests on one aiohttp session, replies read as JSON and dropped."""
    import aiohttp

    with tempfile.TemporaryDirectory() as folder:
        bodies = judge_bodies(Path(folder) / "bench", calls)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    left = iter(bodies)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for body in left:
                async with session.post(url, data=body, headers=headers) as reply:
                    json.loads(await reply.read())

        watch.begin()
        await asyncio.gather(*(work() for _ in range(parallel)))
        watch.end()
    return len(bodies)


def judge_bodies(root: Path, calls: int) -> list[bytes]:
    """The bodies that the engine sends for the same bench."""
    import msgspec

    from engine.bench import Bench
    from engine.config.load import parse_config
    from engine.judging.prompts import game_messages, judge_prompt
    from engine.work.calls import judge_requests

    baseline, *models = write_bench(root, calls)
    bench, prompt = Bench.open(root.parent, root.name), judge_prompt("simple")
    config = parse_config(document(root, baseline, 1, 1), root / "config.toml", {"KEY": KEY})
    requests = judge_requests(config, "judge")["text"]
    theirs = bench.answers(baseline).items
    answers = {model: bench.answers(model).items for model in models}
    return [
        msgspec.json.encode(
            requests.body(game_messages(prompt, q, theirs[q.id].turns, answers[model][q.id].turns, number))
        )
        for q in bench.questions().items
        for number in (1, 2)
        for model in models
    ]


def document(root: Path, baseline: str, port: int, parallel: int) -> dict[str, object]:
    """The config of the run."""
    endpoint = {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "${KEY}"}
    return {
        "bench": root.name,
        "data": str(root.parent),
        "judge": {"model": "judge", "baseline": baseline},
        "models": {"judge": {"endpoints": [endpoint], "parallel": parallel}},
    }


async def engine(port: int, calls: int, parallel: int, watch: Watch) -> int:
    """A judging run of the engine on a made-up bench with all answers in place."""
    from engine.config.load import parse_config
    from engine.events import CallEnded, CallStarted, StageStarted
    from engine.run import Run

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bench"
        models = write_bench(root, calls)
        config = parse_config(document(root, models[0], port, parallel), Path(folder) / "config.toml", {"KEY": KEY})
        run = Run(config)
        made = 0
        was_full, since = False, 0.0

        def see(event: object) -> None:
            nonlocal made, was_full, since
            if isinstance(event, CallStarted | CallEnded):
                now = time.perf_counter()
                watch.full += (now - since) * was_full
                was_full, since = run.clients["judge"].in_flight >= parallel, now
                if isinstance(event, CallStarted):
                    watch.last_start = now
                made += isinstance(event, CallEnded)
            elif isinstance(event, StageStarted):
                watch.begin()
                since = time.perf_counter()

        run.listen(see)
        ticker = asyncio.create_task(_read_states(lambda: run.state))
        state = await run.execute()
        watch.end()
        ticker.cancel()
        assert state.phase == "done", state.notices
    return made


async def _read_states(state: Callable[[], object]) -> None:
    while True:
        state()
        await asyncio.sleep(0.1)


def text(number: int) -> str:
    """Return 1,650 characters of English and Russian (2.2 kB), another text for every number."""
    half = "The answer is here. Ответ здесь. " * 25
    return f"{number} {half}{number * 7919 % 1000003} {half}"


def write_bench(root: Path, calls: int) -> list[str]:
    """A bench with as many questions as it takes for `calls` judge calls (two per question and contestant)."""
    count = max(1, calls // (2 * CONTESTANTS))
    (root / "model_answer").mkdir(parents=True)
    ids = [f"{number:032x}" for number in range(count)]
    questions = [
        {"question_id": q, "category": "c", "cluster": "t", "turns": [{"content": text(number)[:600]}]}
        for number, q in enumerate(ids)
    ]
    write_lines(root / "question.jsonl", questions)
    models = [f"model-{number}" for number in range(CONTESTANTS + 1)]
    for at, model in enumerate(models, start=1):
        rows = [
            {
                "question_id": q,
                "answer_id": q,
                "model_id": model,
                "choices": [{"index": 0, "turns": [{"content": text(at * count + number), "token_len": 300}]}],
                "tstamp": 0.0,
            }
            for number, q in enumerate(ids)
        ]
        write_lines(root / "model_answer" / f"{model}.jsonl", rows)
    return models


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
