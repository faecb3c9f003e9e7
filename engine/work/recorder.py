"""From finished parts to records on disk: the one place where a run gives results to the writer of the bench."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from msgspec.structs import replace

from engine.bench.generation_2 import answer_of_generation_2, is_generation_2, judgment_of_generation_2
from engine.bench.layout import BenchPaths
from engine.bench.writer import BenchWriter
from engine.errors import CallFailed
from engine.events import RecordFailed, RecordSaved, TaskKey
from engine.records import AnswerPart, Failure, GamePart
from engine.repeats import FIRST
from engine.work.jobs import AnswerJob, JudgeJob, OpenChoice, OpenGame, OpenPart


class Recorder:
    """Keeps every finished part: in the journal while its record is not whole, then as the record itself.

    A record is written in the generation of the bench. Its event is given to the writer with it, and emitted after the
    record is saved.
    """

    def __init__(self, paths: BenchPaths, writer: BenchWriter, now: Callable[[], float] = time.time) -> None:
        self._paths = paths
        self._writer = writer
        self._now = now
        self._is_generation_2 = is_generation_2(paths.questions)
        self._files: dict[TaskKey, Path] = {}
        self.unfinished: set[int] = set()  # jobs with parts in the journal that are not in a record yet

    def keep_answer(self, job: AnswerJob, part: AnswerPart) -> None:
        """Keep a choice of `job`, finished or not."""
        job.parts[part.choice.index] = part
        if not job.is_whole:
            self.unfinished.add(id(job))
            self._writer.append(self._paths.journal, part)
            return
        self.unfinished.discard(id(job))
        record = job.record(uuid4().hex[:22], self._now())
        saved = RecordSaved(job.task, job.question.id, truncated=record.finish_reason == "length")
        line = answer_of_generation_2(record, job.question) if self._is_generation_2 else record
        self._writer.append(self._file(job.task), line, saved)
        job.drop_reasoning()

    def keep_game(self, job: JudgeJob, part: GamePart) -> None:
        """Keep a game of `job`, with its label or without one so far."""
        job.parts[part.number] = part
        if not job.is_whole:
            self.unfinished.add(id(job))
            self._writer.append(self._paths.journal, without_prompt(part))
            return
        self.unfinished.discard(id(job))
        record = job.record(self._now())
        saved = RecordSaved(
            job.task,
            job.question.id,
            truncated=any(game is not None and game.finish_reason == "length" for game in record.games),
            labels=tuple(game.score if game is not None else None for game in record.games),
            conflicts=sum(game is not None and game.unparsed == "conflict" for game in record.games),
            is_first=job.replicate == FIRST,
        )
        line = judgment_of_generation_2(record, job.question) if self._is_generation_2 else record
        file = self._file(job.task) if saved.is_first else self._paths.repeats(job.task.judge, job.task.model)
        self._writer.append(file, line, saved)
        job.drop_games()

    def _file(self, task: TaskKey) -> Path:
        """Return the file of a task's records."""
        if task not in self._files:
            is_judged = task.stage == "judgments"
            self._files[task] = (
                self._paths.judgments(task.judge, task.model) if is_judged else self._paths.answers(task.model)
            )
        return self._files[task]

    def fail(self, part: OpenPart, error: CallFailed) -> None:
        """Write a call that failed for good to errors.jsonl; its record counts as failed once."""
        job = part.job
        first = not job.failed
        job.failed = True
        replicate = job.replicate if isinstance(job, JudgeJob) else FIRST
        failure = Failure(
            stage=job.task.stage,
            model=job.task.model,
            question_id=job.question.id,
            kind=error.kind.value,
            message=error.title,
            hint=error.hint or None,
            attempts=error.attempts,
            tstamp=self._now(),
            judge=job.task.judge or None,
            game=part.number if isinstance(part, OpenGame) else None,
            choice=part.index if isinstance(part, OpenChoice) else replicate.choice or None,
            repeat=replicate.repeat or None,
            status=error.status,
            endpoint=error.endpoint or None,
            baseline=job.task.baseline or None,
        )
        named = job.task, job.question.id, failure.kind, failure.message
        announced = RecordFailed(*named, is_first=replicate == FIRST) if first else None
        self._writer.append(self._paths.errors, failure, announced)


def without_prompt(part: GamePart) -> GamePart:
    """Return the part as the journal keeps it: its prompt, most of its bytes, follows from the inputs (see `tasks`)."""
    return replace(part, game=replace(part.game, user_prompt=""))
