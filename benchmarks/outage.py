"""What an outage costs beyond the time that it lasts: the same run undisturbed, and with its server gone for a while.

    python benchmarks/outage.py                  60 seconds away, after a third of the calls
    python benchmarks/outage.py --seconds 5      a quick look

The server is the simulator of the project, in this process, stopped (connections refused, those in flight cut) and
started again on its port. Prints both times, the cost of the outage, and what it did to the results: nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from engine.config.load import parse_config
from engine.config.model import Config
from engine.events import CallEnded, Event
from engine.run import Run
from engine.simulator import SimulatedJudge, SimulatedModel, SimulatorConfig, running_simulator

QUESTIONS = 200
MODELS = ("base", "good", "poor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the server is away")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds that a call takes")
    options = parser.parse_args()
    calm = asyncio.run(timed_run(options.latency, away=0.0))
    rough = asyncio.run(timed_run(options.latency, away=options.seconds))
    print(f"undisturbed                     {calm:6.1f} s")
    print(f"with {options.seconds:3.0f} s of outage          {rough:6.1f} s")
    print(f"cost of the outage              {rough - calm:6.1f} s, {(rough - calm) / options.seconds:.2f} of its time")


async def timed_run(latency: float, *, away: float) -> float:
    """Seconds of a whole run, its server away for `away` seconds after a third of the calls. Nothing may be lost."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    cast = SimulatorConfig(
        models=tuple(SimulatedModel(name=name) for name in MODELS),
        judges=(SimulatedJudge(name="judge"),),
        latency=latency,
    )
    third, ended = asyncio.Event(), 0

    def count(event: Event) -> None:
        nonlocal ended
        ended += isinstance(event, CallEnded)
        if ended == QUESTIONS * 7 // 3:
            third.set()

    with tempfile.TemporaryDirectory() as folder:
        run = Run(make_bench(Path(folder), port))
        run.listen(count)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running_simulator(cast, port=port))
            started = time.monotonic()
            running = asyncio.create_task(run.execute())
            if away:
                await third.wait()
                await stack.aclose()
                await asyncio.sleep(away)
                await stack.enter_async_context(running_simulator(cast, port=port))
            state = await running
            seconds = time.monotonic() - started
    assert (state.phase, state.failed) == ("done", 0), f"{state.failed} records failed"
    return seconds


def make_bench(folder: Path, port: int) -> Config:
    bench = folder / "bench"
    bench.mkdir()
    rows = ({"question_id": str(n), "turns": [{"content": f"What is {n} + {n}?"}]} for n in range(QUESTIONS))
    (bench / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    entry = {"endpoints": [{"base_url": f"http://127.0.0.1:{port}/v1"}], "parallel": 16}
    document = {
        "bench": "bench",
        "data": str(folder),
        "judge": {"model": "judge", "baseline": "base"},
        "models": dict.fromkeys((*MODELS, "judge"), entry),
    }
    return parse_config(document, None, {})


if __name__ == "__main__":
    main()
