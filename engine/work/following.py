"""Follow a run of another process by the files it appends to, as events of the same kinds as an own run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec

from engine.bench import Bench
from engine.bench.decoding import answer_lines, judgment_lines
from engine.bench.lock import writer_of
from engine.events import Event, RecordFailed, RecordSaved, Stage, StageEnded, StageStarted, TaskKey, steady_now
from engine.opening import open_regular
from engine.records import Failure
from engine.work.plan import Plan

POLL_SECONDS = 1.0
_LARGEST_READ = 32 << 20  # bytes of one file at one look


class Follower:
    """Reads what is appended to the files of a plan's tasks. Create it before the plan, so that no record is missed.

    Records that exist at creation emit no event. `poll` reads files: call it in a thread.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._read_to: dict[Path, int] = {path: path.stat().st_size for path in bench.paths.appended_files()}
        self._left: dict[Stage, int] = {}  # records still expected of each stage that has begun

    async def follow(self, plan: Plan, emit: Callable[[Event], None]) -> None:
        """Emit an event for each record that the other process saves, until it releases the bench."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            writer = await asyncio.to_thread(writer_of, self._bench.paths)
            for event in await asyncio.to_thread(self.poll, plan):
                emit(event)
            if writer is None:
                return

    def poll(self, plan: Plan) -> list[Event]:
        """Return the events of what was saved or failed since the last poll."""
        tasks = [task.key for task in plan.tasks]
        events: list[Event] = []
        for key in tasks:
            if key.stage == "answers":
                path = self._bench.paths.answers(key.model)
                saved = [_answer_saved(key, line) for line in self._new_lines(path)]
            else:
                paths = self._bench.paths
                files = paths.judgments(key.judge, key.model), paths.repeats(key.judge, key.model)
                saved = [_judgment_saved(key, tasks, line) for file in files for line in self._new_lines(file)]
            if saved:
                events += self._with_stage(plan, key.stage, saved)
        for line in self._new_lines(self._bench.paths.errors):
            events += _failed(tasks, line)
        return events

    def _with_stage(self, plan: Plan, stage: Stage, saved: list[Event]) -> Iterator[Event]:
        """Add the events of the start and the end of the stage to those of its records."""
        if stage not in self._left:
            self._left[stage] = sum(task.total - task.cached for task in plan.tasks if task.key.stage == stage)
            yield StageStarted(stage, steady_now())
        yield from saved
        if self._left[stage] > 0 >= self._left[stage] - len(saved):
            yield StageEnded(stage, steady_now())
        self._left[stage] -= len(saved)

    def _new_lines(self, path: Path) -> Iterator[bytes]:
        """Yield the complete lines appended since the last poll; a file that shrank is read from its new end."""
        read_to = self._read_to.get(path, 0)
        try:
            with open_regular(path) as stream:
                size = stream.seek(0, 2)
                if size < read_to:
                    read_to = size
                stream.seek(read_to)
                appended = stream.read(_LARGEST_READ)
        except OSError:
            return
        whole, newline, _ = appended.rpartition(b"\n")
        self._read_to[path] = read_to + len(whole) + len(newline)
        if newline:
            yield from whole.split(b"\n")


def _answer_saved(task: TaskKey, line: bytes) -> Event:
    record, _ = answer_lines.decode(line)
    if record is None:
        return RecordSaved(task, "")
    return RecordSaved(task, record.key, truncated=record.finish_reason == "length")


def _judgment_saved(task: TaskKey, tasks: Collection[TaskKey], line: bytes) -> Event:
    """Return the event of a new line in the file of `task`; with several baselines it may be of another of `tasks`."""
    record, _ = judgment_lines.decode(line)
    if record is None:
        return RecordSaved(task, "")
    own = TaskKey(task.stage, task.model, task.judge, record.baseline or "")
    task = own if own in tasks else msgspec.structs.replace(own, baseline="")
    labels = tuple(game.label() if game else None for game in record.games or ())
    return RecordSaved(task, record.key, labels=labels, is_first=not (record.choice or record.repeat))


def _failed(tasks: Collection[TaskKey], line: bytes) -> Iterator[Event]:
    try:
        failure = msgspec.json.decode(line, type=Failure)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    task = TaskKey(failure.stage, failure.model, failure.judge or "", failure.baseline or "")
    if task in tasks:
        is_first = failure.stage == "answers" or not (failure.choice or failure.repeat)
        yield RecordFailed(task, failure.question_id, failure.kind, failure.message, is_first)
