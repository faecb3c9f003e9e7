"""A long run under load: memory stays flat, nothing is left behind, every call is accounted for.

    python benchmarks/soak.py                         1,000 calls in flight for 10 minutes, 200,000 calls
    python benchmarks/soak.py --seconds 60            the same load for a minute, 20,000 calls
    python benchmarks/soak.py --faults 0.05           ... while a twentieth of the calls fails

A run of the engine judges a made-up bench; the server, a process of its own, answers after as many seconds as it takes
for the load to last so long. Prints how the run and its memory went, and ends with 1 if the memory grew by a tenth or
more after the first minute (the first tenth of a shorter run), if a task, socket, file or thread was left, or if a call
is unaccounted for. The load ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import uvloop

from engine.config.load import parse_config
from engine.events import CallEnded, Event
from engine.run import Run

HERE = Path(__file__).resolve().parent
CONTESTANTS = 20
SAMPLES = 20  # of the memory, over the run
WARM_UP_CALLS = 200  # of a run before, so that what is opened once and for all is open
PAGE = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    seconds: float
    memory: int  # bytes, resident
    in_flight: int
    calls: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long it lasts, about")
    parser.add_argument("--in-flight", type=int, default=1000)
    parser.add_argument("--calls", type=int, help="calls in all (default: 333 for each second)")
    parser.add_argument("--faults", type=float, default=0.0, help="share of the calls that the server fails")
    options = parser.parse_args()
    calls = options.calls or round(options.seconds * 200_000 / 600)
    latency = options.in_flight * options.seconds / calls
    held_up = load(WARM_UP_CALLS, 0.0, options.in_flight, options.faults, 10.0, quiet=True)
    before = left_over()
    held_up &= load(calls, latency, options.in_flight, options.faults, options.seconds)
    after = left_over()
    print(f"left behind: {'nothing' if after == before else f'{before} before, {after} after'}")
    sys.exit(0 if held_up and after == before else 1)


def load(calls: int, latency: float, in_flight: int, faults: float, seconds: float, *, quiet: bool = False) -> bool:
    """One run from its made-up bench to its end; whether it held up."""
    server = subprocess.Popen(
        [sys.executable, HERE / "reply_server.py", str(latency), str(faults)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server, tempfile.TemporaryDirectory() as folder:
        port = int(server.stdout.readline())
        bench = Path(folder) / "bench"
        write_bench(bench, calls)
        run, counts, samples, stray = uvloop.run(soak(Path(folder), port, in_flight, seconds, quiet))
        server.stdin.close()
        gc.collect()
        return report(run, counts, samples, stray, bench, seconds, quiet)


async def soak(
    folder: Path, port: int, in_flight: int, seconds: float, quiet: bool
) -> tuple[Run, Counter[str], list[Sample], int]:
    """Carry out the run; gives it, its events counted, its memory, and the tasks that it left."""
    entry = {"endpoints": [{"base_url": f"http://127.0.0.1:{port}/v1"}], "parallel": in_flight, "attempts": 20}
    document = {
        "bench": "bench",
        "data": str(folder),
        "judge": {"model": "judge", "baseline": "m0"},
        "models": {"judge": entry},
    }
    run = Run(parse_config(document, folder / "config.toml", {}))
    counts: Counter[str] = Counter()
    samples: list[Sample] = []

    def count(event: Event) -> None:
        counts[type(event).__name__] += 1
        if isinstance(event, CallEnded) and event.usage is None:
            counts["failed"] += 1

    run.listen(count)
    before = asyncio.all_tasks()
    sampling = asyncio.create_task(sample(run, seconds / SAMPLES, samples, quiet))
    cpu = time.process_time()
    await run.execute()
    counts["cpu_ms"] = round((time.process_time() - cpu) * 1000)
    sampling.cancel()
    await asyncio.gather(sampling, return_exceptions=True)
    await asyncio.sleep(1.0)  # closed connections have had their time
    return run, counts, samples, len(asyncio.all_tasks() - before)


async def sample(run: Run, pause: float, samples: list[Sample], quiet: bool) -> None:
    """Look at the memory from time to time, and say what was seen."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(pause)
        state = run.state
        seen = Sample(time.monotonic() - began, memory_now(), state.in_flight, state.calls)
        samples.append(seen)
        if not quiet:
            memory = seen.memory / 2**20
            print(
                f"{seen.seconds:6.0f} s {state.calls:8} calls {seen.in_flight:6} in flight {memory:8.1f} MiB",
                flush=True,
            )


def report(
    run: Run, counts: Counter[str], samples: list[Sample], stray: int, bench: Path, seconds: float, quiet: bool
) -> bool:
    """Say how it went; whether it held up."""
    state = run.state
    took, ended, failed = state.ended_at - state.started_at, counts["CallEnded"], counts["failed"]
    games = sum(2 * task.total for task in state.tasks.values())
    errors = lines_of([bench / "errors.jsonl"])
    records = lines_of(bench.glob("model_judgment/judge/*.jsonl"))
    is_whole = (
        counts["CallStarted"] == ended == state.calls
        and ended - failed == games - errors
        and failed == counts["CallRetried"] + errors
        and records == counts["RecordSaved"]
        and records + counts["RecordFailed"] == games // 2
        and state.in_flight == 0
    )
    if quiet:
        return is_whole and not stray
    first, last = growth(samples, seconds)
    print(
        f"{ended} calls in {took:.0f} s, {ended / took:.0f} a second, {counts['cpu_ms'] / ended:.2f} ms of CPU each; "
        f"{failed} failed, {counts['CallRetried']} of them were tried again"
    )
    print(f"most in flight: {max(seen.in_flight for seen in samples)}")
    print(f"memory: {first / 2**20:.1f} MiB warm, then at most {last / 2**20:.1f} MiB: {last / first - 1:+.1%}")
    print(f"accounted for: {'every call' if is_whole else f'NOT ALL: {counts}, {records} records, {errors} errors'}")
    print(f"tasks left: {stray}")
    return is_whole and not stray and last < 1.1 * first


def growth(samples: list[Sample], seconds: float) -> tuple[int, int]:
    """Memory when the load had lasted a minute and turned over twice, and the most after that."""
    warm_at, turned_over = min(60.0, seconds / 10), 2 * max(seen.in_flight for seen in samples)
    loaded = [seen for seen in samples if seen.in_flight and seen.calls >= turned_over] or samples[-1:]
    warm = [seen.memory for seen in loaded if seen.seconds >= warm_at]
    return warm[0], max(warm)


def memory_now() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def left_over() -> tuple[int, int]:
    """Open descriptors (sockets and files), and threads that do not end by themselves."""
    threads = [thread for thread in threading.enumerate() if not thread.daemon]
    return len(list(Path("/proc/self/fd").iterdir())), len(threads)


def lines_of(paths: Iterable[Path]) -> int:
    return sum(path.read_bytes().count(b"\n") for path in paths if path.exists())


def write_bench(root: Path, calls: int) -> None:
    """A bench with answers of a baseline and CONTESTANTS models, whose judging takes about so many calls."""
    questions = -(-calls // (2 * CONTESTANTS))
    (root / "model_answer").mkdir(parents=True)
    write_lines(
        root / "question.jsonl",
        ({"question_id": f"q{n}", "turns": [{"content": f"Question {n}?"}]} for n in range(questions)),
    )
    for model in (f"m{n}" for n in range(CONTESTANTS + 1)):
        turns = ({"content": f"{model} to {n}. " + "слово " * 40, "token_len": 60} for n in range(questions))
        write_lines(
            root / "model_answer" / f"{model}.jsonl",
            (
                {
                    "question_id": f"q{n}",
                    "answer_id": f"{model}-{n}",
                    "model_id": model,
                    "choices": [{"index": 0, "turns": [turn]}],
                    "tstamp": 0.0,
                }
                for n, turn in enumerate(turns)
            ),
        )


def write_lines(path: Path, rows: Iterable[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
