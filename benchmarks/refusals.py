"""What a few refusals (429 with `Retry-After: 1`) cost: the speed of calls with some, as a part of that without.

    python benchmarks/refusals.py [--calls 20000] [--latency 0.5]

256 calls are in flight at a server in a process of its own that refuses calls at random. The sides take turns; the time
is that until 95 % of the calls have ended, so that the last ones, which wait a second, do not hide the speed.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from pathlib import Path

import uvloop

from engine.models.client import ModelClient
from engine.models.connection import open_session
from engine.models.endpoint import Endpoint

PARALLEL = 256
SHARES = (0.0, 0.002, 0.01, 0.03)
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds that a call takes")
    options = parser.parse_args()
    print(f"{'refused':>8}{'calls/s':>10}{'of the speed without':>22}")
    without = 0.0
    for share in SHARES:
        speed = measure(share, options.latency, options.calls)
        without = without or speed
        print(f"{share:8.1%}{speed:10.0f}{speed / without:22.2f}", flush=True)


def measure(share: float, latency: float, calls: int) -> float:
    server = subprocess.Popen(
        [sys.executable, HERE / "reply_server.py", str(latency), str(share), "429"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        return uvloop.run(speed_of(int(server.stdout.readline()), calls))
    finally:
        server.stdin.close()
        server.wait(10)


async def speed_of(port: int, calls: int) -> float:
    """Return the calls per second until 95 % of the calls have ended."""
    body = {"model": "judge", "messages": [{"role": "user", "content": "Hello"}]}
    ended: list[float] = []
    async with open_session() as session:
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1")
        client = ModelClient("judge", [endpoint], parallel=PARALLEL, session=session, emit=lambda _: None)

        async def call() -> None:
            await client.complete(body)
            ended.append(time.perf_counter())

        started = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(calls)))
    most = int(calls * 0.95)
    return most / (ended[most - 1] - started)


if __name__ == "__main__":
    main()
