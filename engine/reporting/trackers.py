"""The side of the run of `[track]`: a process of its own gets metrics and files, and can neither stop nor slow it.

Libraries of trackers take seconds to import, block, print, and wait minutes for a server that is down. So they live in
a process with a session of its own (`engine.reporting.tracking_process`) that is written to without waiting: if it
falls behind by more than a mebibyte, progress is left out. At the end it has the seconds of `[track] limit`, then it is
killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from engine.bench import Bench
from engine.bench.atomic import write_file
from engine.bench.layout import BenchPaths
from engine.config.model import Config
from engine.config.secrets import secrets_of
from engine.errors import ArenaError, StorageError
from engine.events import steady_now
from engine.opening import open_to_write
from engine.ratings.curve_result import CurveReport
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions
from engine.redaction import Redactor, can_be_secret
from engine.reporting.metrics import of_curves, of_leaderboard, of_progress
from engine.reporting.wire import Begin, End, Log, TrackerMessage, Upload, decode_problem, encode, settings_of
from engine.results import judged_bench, rate
from engine.version import __version__
from engine.watching.ledger import known_steps
from engine.work.progress import RunState

PROGRESS_SECONDS = 10.0
_MOST_WAITING = 1 << 20  # bytes on the way to the process
_LONGEST_PROBLEM = 1 << 16
_OF_TRACKERS = ("WANDB_", "MLFLOW_", "TRACKIO_", "HF_", "AWS_", "GOOGLE_", "AZURE_")  # variables that hold their keys


class Trackers:
    """The trackers of one run: `open`, then messages, then `close`.

    Args:
        warn: called with a text when a tracker fails, once for each.
    """

    def __init__(self, config: Config, bench: Bench, run: str, warn: Callable[[str], None]) -> None:
        self._config = config
        self._bench = bench
        self._run = run
        self._warn = warn
        self._redact = Redactor(secrets_of(config))
        self._process: asyncio.subprocess.Process | None = None
        self._reports: asyncio.Task[None] | None = None
        self._warned: set[str] = set()
        self._shown: tuple[RunState, float] = RunState(), time.monotonic()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def open(self) -> None:
        """Start the process. What goes wrong is reported, not raised."""
        paths = self._bench.paths
        try:
            log = _open_log(paths, self._run)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "engine.reporting.tracking_process"),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    env=_environment(self._config),
                    limit=_LONGEST_PROBLEM,
                )
            finally:
                os.close(log)
        except (OSError, ArenaError) as error:
            self._report("all trackers", str(error))
            return
        self._reports = asyncio.create_task(self._read_reports(self._process))
        judge = self._config.judge
        facts = {
            "bench": self._bench.name,
            "judge": ", ".join(judge.model),
            "baseline": ", ".join(judge.baselines),
            "run": self._run,
            "arena_tui": __version__,
        }
        run = f"{self._bench.name} {self._run}"
        track = self._config.track
        self._send(Begin(track.to, settings_of(track, run, str(paths.root.absolute())), facts))

    def progress(self, state: RunState) -> None:
        """Send the progress of a run, if the last one is some seconds old; leave it out if the process is behind."""
        before, since = self._shown
        now = time.monotonic()
        if now - since >= PROGRESS_SECONDS and state.started_at:
            self._shown = state, now
            self._send(Log(of_progress(before, state, now - since, steady_now()), is_needed=False))

    async def results(self, record: str | None = None) -> None:
        """Rate what the bench holds, in a thread, and send it with the record of the run, and texts if wanted."""
        try:
            board, steps = await asyncio.to_thread(self._rate)
        except ArenaError as error:
            self._report("results", error.title)
        else:
            self._send_board(board, steps)
        for path, name in self._files(record):
            if path.is_file():
                self._send(Upload(str(path.absolute()), name))

    def leaderboard(self, board: Leaderboard) -> None:
        """Send a leaderboard and its file."""
        self._send_board(board, known_steps(self._bench.paths, [row.model for row in board.rows], self._config))

    def curve(self, report: CurveReport) -> None:
        """Send the curves of trainings and their file."""
        for point in of_curves(report):
            self._send(Log(point))
        self._send_file("curve.json", msgspec.json.encode(report, enc_hook=str))

    async def close(self, outcome: str, limit: float) -> None:
        """End the process: in order within `limit` seconds, then by force."""
        process = self._process
        if process is not None and process.stdin is not None:
            self._send(End(outcome))
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), limit)
            except TimeoutError:
                self._report("limit", f"not done {limit:g} s after the end of the run; results may be missing there")
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if self._reports is not None:
            await asyncio.gather(self._reports, return_exceptions=True)
        if self._folder is not None:
            self._folder.cleanup()

    def _rate(self) -> tuple[Leaderboard, Mapping[str, int]]:
        judge = self._config.judge
        judged = judged_bench(self._bench, judge.model, judge.pairing)
        board, _ = rate(judged, LeaderboardOptions(baseline=judged.facts.baselines[0]))
        return board, known_steps(self._bench.paths, [row.model for row in board.rows], self._config)

    def _send_board(self, board: Leaderboard, steps: Mapping[str, int]) -> None:
        for point in of_leaderboard(board, steps):
            self._send(Log(point))
        self._send_file("leaderboard.json", msgspec.json.encode(board, enc_hook=str))

    def _send_file(self, name: str, content: bytes) -> None:
        try:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="arena-tui-", ignore_cleanup_errors=True)
            path = Path(self._folder.name, name)
            write_file(path, self._redact(content.decode()).encode())
        except (OSError, StorageError) as error:
            self._report("files", f"{name}: {error}")
            return
        self._send(Upload(str(path), name))

    def _files(self, record: str | None) -> list[tuple[Path, str]]:
        """Return the record of the run, and the texts where they are wanted."""
        paths = self._bench.paths
        found = [(paths.runs / f"{record}.json", f"{record}.json")] if record else []
        if not self._config.track.texts:
            return found
        texts = [*paths.answers_dir.glob("*.jsonl"), *paths.judgments_dir.glob("*/*.jsonl")]
        return found + [(path, str(path.relative_to(paths.root))) for path in sorted(texts)]

    def _send(self, message: TrackerMessage) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return
        behind = process.stdin.transport.get_write_buffer_size() > _MOST_WAITING
        if behind and isinstance(message, Log) and not message.is_needed:
            return
        process.stdin.write(self._redact(encode(message).decode()).encode() + b"\n")

    async def _read_reports(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):  # a line that is too long
            while line := await process.stdout.readline():
                with contextlib.suppress(msgspec.DecodeError):
                    problem = decode_problem.decode(line)
                    self._report(problem.tracker, problem.text)

    def _report(self, tracker: str, text: str) -> None:
        if tracker not in self._warned:
            self._warned.add(tracker)
            self._warn(f"[track] {tracker}: {self._redact(text)}")


def _environment(config: Config) -> dict[str, str]:
    """Return the variables of this process without the secrets of the config, but for those of trackers."""
    secrets = set(filter(can_be_secret, secrets_of(config)))
    return {name: value for name, value in os.environ.items() if value not in secrets or name.startswith(_OF_TRACKERS)}


def _open_log(paths: BenchPaths, run: str) -> int:
    """Open the file for what the libraries of trackers print."""
    paths.runs.mkdir(exist_ok=True)
    return open_to_write(paths.runs / f"{run}.track.log", os.O_WRONLY | os.O_APPEND)
