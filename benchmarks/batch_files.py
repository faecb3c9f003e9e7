"""10,000 judge calls by batch files and online: is the leaderboard the same, and how fast are the files written?

    python benchmarks/batch_files.py [--models 10] [--questions 500] [--characters 2000]

Both get their replies from one function of the request. The batch is made by a runner of this file alone, which knows
the published format of batches and nothing of the program: it fails 5 % of the requests, shuffles the results and
writes some of them twice. A second round makes what failed. The online run calls a server in another process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from hashlib import blake2b
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp import web

ARENA = [sys.executable, "-m", "arena_tui"]
LABELS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
FAILED = 0.05  # share of the requests of a first round
TWICE = 0.03  # share of the results that are written twice


def reply(body: dict[str, Any]) -> dict[str, Any]:
    """The verdict of a judge without a mind: a label drawn by the digest of the prompt."""
    draw = blake2b(body["messages"][-1]["content"].encode(), digest_size=2).digest()
    label = LABELS[int.from_bytes(draw, "big") % len(LABELS)]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": f"Both were read.\n\n[[{label}]]"},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 900, "completion_tokens": 12, "total_tokens": 912}
    return {"id": "x", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}


def serve(started: Connection) -> None:
    """Answer chat calls over HTTP until killed."""

    async def chat(request: web.Request) -> web.Response:
        return web.json_response(reply(json.loads(await request.read())))

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "judge", "object": "model"}]})

    async def announce(app: web.Application) -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        started.send(runner.addresses[0][1])

    async def run() -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        await announce(app)
        await asyncio.Event().wait()

    import asyncio

    asyncio.run(run())


def make_bench(folder: Path, models: int, questions: int, characters: int, url: str) -> None:
    """Write a bench whose answers are there and whose judgments are missing."""
    bench = folder / "data" / "large"
    (bench / "model_answer").mkdir(parents=True)
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(2000)]

    def text() -> str:
        return " ".join(draw.choices(words, k=characters // 6))

    def write(path: Path, lines: list[dict[str, Any]]) -> None:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    ids = [f"q{number}" for number in range(questions)]
    write(bench / "question.jsonl", [{"question_id": each, "turns": [{"content": text()[:300]}]} for each in ids])
    names = ["base", *(f"model-{number}" for number in range(models))]
    for name in names:
        lines = [
            {"question_id": each, "model_id": name, "choices": [{"index": 0, "turns": [{"content": text()}]}]}
            for each in ids
        ]
        write(bench / "model_answer" / f"{name}.jsonl", lines)
    (folder / "config.toml").write_text(
        'bench = "large"\n[judge]\nmodel = "judge"\nbaseline = "base"\n'
        f'[models.judge]\nparallel = 64\nendpoints = [{{ base_url = "{url}" }}]\n'
    )


def arena(folder: Path, *arguments: object) -> tuple[str, float]:
    """Run the program; return what it printed and its seconds of wall time."""
    started = time.perf_counter()
    ended = subprocess.run(
        [*ARENA, "-c", str(folder / "config.toml"), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{arguments}: exit code {ended.returncode}\n{ended.stderr}")
    return ended.stdout, time.perf_counter() - started


def run_batch(folder: Path, seed: int, failed: float) -> tuple[Path, int]:
    """Make a folder of requests as a service would; return the file of results and how many requests failed."""
    draw = random.Random(seed)
    results, failures = [], 0
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            request = json.loads(line)
            result = {"id": "r", "custom_id": request["custom_id"], "error": None}
            if draw.random() < failed:
                failures += 1
                error = {"error": {"message": "overloaded", "code": 503}}
                result["response"] = {"status_code": 503, "request_id": "x", "body": error}
            else:
                result["response"] = {"status_code": 200, "request_id": "x", "body": reply(request["body"])}
            results += [result] * (2 if draw.random() < TWICE else 1)
    draw.shuffle(results)
    out = folder.with_name(f"{folder.name}-results.jsonl")
    out.write_text("".join(json.dumps(result) + "\n" for result in results), "utf-8")
    return out, failures


def write_rate(folder: Path) -> float:
    """Requests written per second of CPU time, in one process without its start: the median of three."""
    from engine.batch.writing import write_batch
    from engine.bench import Bench
    from engine.config.load import load_config
    from engine.work.plan import Scope, make_plan

    config = load_config(folder / "config.toml")
    plan = make_plan(config, Bench.open(config.data, config.bench), Scope())
    rates = []
    for number in range(3):
        started = time.process_time()
        manifest = write_batch(config, plan, folder / f"rate-{number}")
        rates.append(manifest.requests / (time.process_time() - started))
    return sorted(rates)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--characters", type=int, default=2000)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    with tempfile.TemporaryDirectory() as scratch:
        batch, online = Path(scratch, "batch"), Path(scratch, "online")
        for folder in (batch, online):
            make_bench(folder, options.models, options.questions, options.characters, url)
        rate = write_rate(batch)
        for number, failed in enumerate((FAILED, 0.0)):
            _, seconds = arena(batch, "batch", "write", batch / f"round-{number}")
            results, failures = run_batch(batch / f"round-{number}", number, failed)
            report, reading = arena(batch, "batch", "read", results, "--json")
            counts = json.loads(report)
            print(
                f"round {number + 1}: written in {seconds:.1f} s, {failures} failed, read in {reading:.1f} s: "
                f"{counts['taken']} taken, {counts['repeated']} repeated, {counts['left']} left"
            )
        _, running = arena(online, "run", "--json")
        boards = [arena(folder, "leaderboard", "--format", "json")[0] for folder in (batch, online)]
        games = sum(
            len(path.read_text().splitlines())
            for path in (batch / "data" / "large" / "model_judgment" / "judge").glob("*.jsonl")
        )
        size = sum(path.stat().st_size for path in (batch / "rate-0").glob("*.jsonl"))
        print(f"online: {running:.1f} s; judgments by batch: {games} of {options.models * options.questions}")
        print(f"leaderboards {'equal' if boards[0] == boards[1] else 'DIFFERENT'}, byte for byte")
        print(f"written: {rate:,.0f} requests per second of CPU time ({size / 1e6:.0f} MB in all)")
    server.kill()
    if boards[0] != boards[1] or games != options.models * options.questions or counts["left"]:
        raise SystemExit("not as it should be")


if __name__ == "__main__":
    main()
