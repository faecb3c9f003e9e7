"""What the terminal UI costs: engine speed, event-loop lag, terminal traffic, and the time to its first frame.

    python benchmarks/ui_cost.py [--calls 6000] [--rounds 5] [--only engine|lag|frame] [--screen leaderboard]

- engine: the same judging run, once as `arena-tui run` does it and once under the UI, as processes of their own, each
  with a local server; once as fast as the machine can, in turns, and once with 50 ms a reply, both at the same time, so
  that whatever else the machine does slows down both. Calls/s count from the first call to the last; traffic is what
  the UI wrote to its terminal in that time (a pty of 120x40, which shows the panels beside the lists).
- lag: 1,000 made-up events a second (calls and saved records of 12 tasks at 4 endpoints) into the UI alone; how late a
  sleep of 5 ms ends, and the traffic.
- frame: from the start of the process to the first text on the terminal, beside an empty Textual app, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from engine_cost import HERE, PARALLEL, write_bench

SIZE = (40, 120)  # lines, columns
LAG_SECONDS, EVENTS_PER_SECOND = 10.0, 1000
# What the project asks of itself: calls/s with the UI against without, kB/s, milliseconds, and times the empty app.
SHARE_ASKED, TRAFFIC_ASKED, LAG_ASKED, FRAME_ASKED = 0.98, 16, 50, 1.25
EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("FIRST FRAME")
Empty().run()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["engine", "lag", "frame"])
    parser.add_argument("--latency", type=float, nargs="*", default=[0.0, 0.05], help="seconds a reply, of each part")
    parser.add_argument("--screen", choices=["run", "leaderboard"], default="run", help="to watch the engine on")
    parser.add_argument("--child", choices=["headless", "ui", "lag"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        options.report.write_text(json.dumps(run_child(options.child, options.port, options.calls, options.screen)))
        return
    if options.only in (None, "engine"):
        for latency in options.latency:
            compare_engines(latency, options.calls, options.rounds, options.screen)
    if options.only in (None, "lag"):
        tell_lag(options.rounds)
    if options.only in (None, "frame"):
        compare_first_frames(3 * options.rounds)


def compare_engines(latency: float, calls: int, rounds: int, screen: str) -> None:
    sides: dict[str, list[dict[str, float]]] = {"headless": [], "ui": []}
    for _ in range(rounds):
        with ThreadPoolExecutor(2 if latency else 1) as pool:
            measured = {side: pool.submit(measure_engine, side, latency, calls, screen) for side in sides}
        for side, result in measured.items():
            sides[side].append(result.result())
    print(f"\nlatency {latency * 1000:.0f} ms, {PARALLEL} in flight, {calls} calls, {rounds} rounds (medians)")
    print(f"{'':10}{'calls/s':>10}{'CPU ms/call':>13}{'kB/s to the terminal':>22}   asked: under {TRAFFIC_ASKED}")
    for side, results in sides.items():
        row = {key: statistics.median(result[key] for result in results) for key in results[0]}
        print(f"{side:10}{row['per_second']:10.0f}{row['cpu_ms']:13.3f}{row['traffic'] / 1000:22.1f}")
    shares = [ui["per_second"] / plain["per_second"] for plain, ui in zip(sides["headless"], sides["ui"], strict=True)]
    each = " ".join(f"{share:.3f}" for share in shares)
    print(f"calls/s, ui / headless, round by round: {each}")
    print(f"median {statistics.median(shares):.3f}, asked: at least {SHARE_ASKED}")


def measure_engine(side: str, latency: float, calls: int, screen: str) -> dict[str, float]:
    server = subprocess.Popen(
        [sys.executable, HERE / "reply_server.py", str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = server.stdout.readline().strip()
        told, writes = in_terminal(
            [sys.executable, __file__, "--child", side, "--port", port, "--calls", str(calls), "--screen", screen]
        )
        written = sum(size for at, size in writes if told["began"] <= at <= told["ended"])
        return {**told, "traffic": written / (told["ended"] - told["began"])}
    finally:
        server.stdin.close()
        server.wait(10)


def tell_lag(rounds: int) -> None:
    print(f"\n{EVENTS_PER_SECOND} events/s into the UI for {LAG_SECONDS:.0f} s, {rounds} rounds")
    print(f"{'':10}{'lag p50 ms':>12}{'p99 ms':>10}{'worst ms':>10}{'CPU share':>11}{'kB/s':>8}")
    print(f"{'asked':10}{'':12}{f'< {LAG_ASKED}':>10}{'':21}{f'< {TRAFFIC_ASKED}':>8}")
    for number in range(rounds):
        told, writes = in_terminal([sys.executable, __file__, "--child", "lag"])
        written = sum(size for at, size in writes if told["began"] <= at <= told["ended"])
        traffic = written / (told["ended"] - told["began"]) / 1000
        print(
            f"round {number + 1:<4}{told['p50']:12.1f}{told['p99']:10.1f}{told['worst']:10.1f}"
            f"{told['cpu']:11.0%}{traffic:8.1f}"
        )


def compare_first_frames(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_bench(Path(folder) / "data" / "bench", 1000)
        config = Path(folder) / "config.toml"
        config.write_text('bench = "bench"\n[judge]\nmodel = "judge"\nbaseline = "model-0"\n[models.judge]\n')
        sides = {
            "empty app": ([sys.executable, "-c", EMPTY_APP], b"FIRST"),
            "arena-tui": ([sys.executable, "-m", "arena_tui"], b"reading"),
        }
        costs: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for number in range(rounds + 1):
            for side, (command, mark) in sides.items():
                cost = first_frame(command, mark, Path(folder))
                if number:  # the first start compiles
                    costs[side].append(cost)
    print(f"\nfirst text on the terminal, {rounds} starts each (medians, then the least)")
    for name, which in (("seconds", 0), ("CPU seconds", 1)):
        taken = {side: [cost[which] for cost in found] for side, found in costs.items()}
        for side, values in taken.items():
            print(f"{side:12}{name:12}{statistics.median(values) * 1000:6.0f} ms{min(values) * 1000:8.0f} ms")
        ratio, least = (of(taken["arena-tui"]) / of(taken["empty app"]) for of in (statistics.median, min))
        print(f"ratio of {name}: {ratio:.2f}, of the least {least:.2f}; asked: at most {FRAME_ASKED}")


def first_frame(command: list[str], mark: bytes, folder: Path) -> tuple[float, float]:
    """Seconds, and CPU seconds, from the start of `command` until it has written `mark` to its terminal.

    Both start in `folder` and keep their compiled modules in it, as installed programs do.
    """
    began = time.perf_counter()
    process, terminal = start_in_terminal(
        command, folder, PYTHONPYCACHEPREFIX=str(folder / "bytecode"), PYTHONDONTWRITEBYTECODE=""
    )
    seen = b""
    try:
        while mark not in seen:
            if not select.select([terminal], [], [], 20)[0]:
                raise TimeoutError(f"{mark!r} never came: {seen[-500:]!r}")
            seen += os.read(terminal, 1 << 16)
        took = time.perf_counter() - began
        used = cpu_of(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(terminal)
    return took, used


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and its children so far: the terminal UI runs in a child of the program."""
    family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    threads = [thread for each in family for thread in Path(f"/proc/{each}/task").glob("*/schedstat")]
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def in_terminal(command: list[str]) -> tuple[dict[str, float], list[tuple[float, int]]]:
    """Run `command` in a terminal to its end; gives its report, and when it wrote how many bytes to the terminal."""
    with tempfile.NamedTemporaryFile() as report:
        process, terminal = start_in_terminal([*command, "--report", report.name])
        writes = []
        while True:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # the other side has closed it
                break
            writes.append((time.time(), len(data)))
        os.close(terminal)
        if process.wait(60):
            raise RuntimeError(f"{command} ended with {process.returncode}")
        return json.loads(Path(report.name).read_text()), writes


def start_in_terminal(
    command: list[str], folder: Path | None = None, **variables: str
) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(HERE.parent)}
    environment |= variables
    process = subprocess.Popen(
        command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    return process, ours


def run_child(which: str, port: int, calls: int, screen: str) -> dict[str, float]:
    os.environ.update(TEXTUAL_ANIMATIONS="none", TEXTUAL_FPS="30")  # as arena_tui.commands.ui sets them
    if which == "lag":
        return asyncio.run(lag())
    with tempfile.TemporaryDirectory() as folder:
        models = write_bench(Path(folder) / "data" / "bench", calls)
        config = Path(folder) / "config.toml"
        config.write_text(
            f'bench = "bench"\n[judge]\nmodel = "judge"\nbaseline = "{models[0]}"\n'
            f'[models.judge]\nparallel = {PARALLEL}\nendpoints = [{{ base_url = "http://127.0.0.1:{port}/v1" }}]\n'
        )
        if which == "ui":
            return asyncio.run(judged_under_ui(config, screen))
        from arena_tui.headless import run_loop

        return run_loop(judged_headless(config))


class Clock:
    """Marks the first and the last call of a run, in wall and CPU time."""

    def __init__(self) -> None:
        self.calls = 0
        self.began = self.ended = self._cpu_began = self._cpu_ended = 0.0

    def __call__(self, event: object) -> None:
        from engine.events import CallEnded, StageStarted

        if isinstance(event, StageStarted):
            self.began, self._cpu_began = time.time(), time.process_time()
        elif isinstance(event, CallEnded):
            self.calls += 1
            self.ended, self._cpu_ended = time.time(), time.process_time()

    def report(self) -> dict[str, float]:
        return {
            "per_second": self.calls / (self.ended - self.began),
            "cpu_ms": (self._cpu_ended - self._cpu_began) / self.calls * 1000,
            "began": self.began,
            "ended": self.ended,
        }


async def judged_headless(config: Path) -> dict[str, float]:
    from arena_tui.headless import execute
    from engine.config.load import load_config
    from engine.run import Run

    run, clock = Run(load_config(config)), Clock()
    run.listen(clock)
    await execute(run)
    return clock.report()


async def judged_under_ui(config: Path, screen: str) -> dict[str, float]:
    from arena_tui.app import ArenaApp
    from arena_tui.invocation import Invocation
    from arena_tui.session.arena_session import ArenaSession

    session, clock = ArenaSession(Invocation(config)), Clock()
    app = ArenaApp(session, screen)

    async def drive() -> None:
        while session.plan is None:  # noqa: ASYNC110 - the session has no event for what only this script waits for
            await asyncio.sleep(0.05)
        session.start()
        session.run.listen(clock)
        await session.finished()
        await asyncio.sleep(0.5)
        app.exit()

    driving = asyncio.create_task(drive())
    await app.run_async()
    await driving
    await session.close()
    return clock.report()


async def lag() -> dict[str, float]:
    """The UI on a session that is fed events instead of a run."""
    from arena_tui.app import ArenaApp
    from arena_tui.invocation import Invocation
    from arena_tui.session.arena_session import ArenaSession
    from engine.work.reducer import reduce

    with tempfile.TemporaryDirectory() as folder:
        write_bench(Path(folder) / "data" / "bench", 1000)
        config = Path(folder) / "config.toml"
        endpoints = ", ".join(f'{{ base_url = "http://127.0.0.1:{9 + number}/v1" }}' for number in range(4))
        judge = f'[judge]\nmodel = "judge"\nbaseline = "model-0"\n[models.judge]\nendpoints = [{endpoints}]\n'
        config.write_text(f'bench = "bench"\n{judge}')

        class FedSession(ArenaSession):
            """Says that it follows a run, so that the screen paints all the time."""

            @property
            def status(self) -> str:
                return "following" if self.plan is not None else super().status

            @property
            def read_only(self) -> bool:
                return self.plan is not None

            def feed(self, event: object) -> None:
                self._state = reduce(self._state, event)
                self.watch(event)

        session = FedSession(Invocation(config))
        app = ArenaApp(session)
        late: list[float] = []
        told: dict[str, float] = {}

        async def watch() -> None:
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.005)
                late.append((time.perf_counter() - before - 0.005) * 1000)

        async def drive() -> None:
            while session.plan is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
            feeding = asyncio.create_task(feed(session))
            await asyncio.sleep(2.0)
            watching = asyncio.create_task(watch())
            told["began"], cpu = time.time(), time.process_time()
            await asyncio.sleep(LAG_SECONDS)
            told["ended"] = time.time()
            told["cpu"] = (time.process_time() - cpu) / LAG_SECONDS
            for task in (watching, feeding):
                task.cancel()
            app.exit()

        driving = asyncio.create_task(drive())
        await app.run_async()
        await driving
        await session.close()
    late.sort()
    return {**told, "p50": late[len(late) // 2], "p99": late[int(len(late) * 0.99)], "worst": late[-1]}


async def feed(session: object) -> None:
    """Events as a judging run of 12 models at 4 endpoints sends them, at an even pace."""
    from engine.events import CallEnded, CallStarted, RecordSaved, StageStarted, TaskKey, TaskPlanned
    from engine.records import Usage

    tasks = [TaskKey("judgments", f"model-{number}", "judge") for number in range(12)]
    for task in tasks:
        session.feed(TaskPlanned(task, 100_000, 0))
    session.feed(StageStarted("judgments", time.time()))
    usage, began, sent = Usage(900, 12), time.perf_counter(), 0
    while True:
        while sent < (time.perf_counter() - began) * EVENTS_PER_SECOND:
            task, url = tasks[sent // 5 % 12], f"http://127.0.0.1:{9 + sent // 5 % 4}/v1"
            game = (CallStarted("judge", url), CallEnded("judge", url, 0.2, usage, task=task))
            for event in (*game, *game, RecordSaved(task, str(sent), labels=("A>B", "B>A"))):
                session.feed(event)
                sent += 1
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    main()
