"""Files of results, in any order, partial, twice or of another tool, into records: by the checks of an online reply.

A result is taken only for the request that would be written today. Every other one is counted by the reason why it is
left out, and nothing of it is lost: the files stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from engine.batch.parts import (
    CustomId,
    PartMakers,
    all_parts,
    body_digest,
    caller_of,
    calls_made,
    is_open,
    name_of,
    open_parts,
    part_name,
)
from engine.bench import Bench
from engine.bench.lines import ProblemLog, json_lines
from engine.bench.lock import BenchLock
from engine.bench.repair import recover
from engine.bench.writer import BenchWriter
from engine.config.model import Config
from engine.config.secrets import secrets_of
from engine.errors import BenchError, CallFailed, FailureKind
from engine.events import RecordSaved, Stage, TaskKey
from engine.models.client import echo_warning
from engine.models.connection import bound_of
from engine.models.context import ReplyGuard
from engine.models.refusal import error_text, refusal
from engine.models.reply import read_reply
from engine.models.tokens import load_counter
from engine.records import Completion
from engine.redaction import Redactor
from engine.work.jobs import GAME_NUMBERS, OpenPart
from engine.work.plan import Plan, Scope, make_plan
from engine.work.recorder import Recorder

FLUSH_LINES = 500  # results between two waits for the disk
MAX_WARNINGS = 20


class _Result(msgspec.Struct):
    """A line of results: OpenAI's fields, which Azure, Mistral, Together and vLLM share; `body` as some tools write."""

    custom_id: Any = None
    response: Any = None
    body: Any = None
    error: Any = None


class _OtherRequest(Exception):
    """The result is of another request than today's."""


@dataclass
class ReadReport:
    """What reading came to: counts of results (lines), and of the records that are whole now.

    `repeated` results are of calls that were answered before, `changed` ones of requests that would be written
    differently today, `unknown` ones of no request of this bench. `left` parts still need a call.
    """

    taken: int = 0
    saved: Counter[Stage] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    changed: int = 0
    unknown: int = 0
    left: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """All results that were read."""
        return self.taken + sum(self.failed.values()) + self.repeated + self.changed + self.unknown

    def warn(self, text: str) -> None:
        """Keep a warning once."""
        if text not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(text)


async def read_batch(
    config: Config,
    files: Sequence[Path],
    scope: Scope | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> ReadReport:
    """Take the results in `files` into the bench of `config`; `progress` gets the number of results so far.

    Raises BenchError (another process owns the bench, a file is not there), ConfigError and StorageError. What was
    announced by `progress` is on disk.
    """
    for file in files:
        if not file.is_file():
            raise BenchError(f"{file}: no such file", "name files of results, as a batch runner writes them")
    bench = Bench.open(config.data, config.bench)
    report = ReadReport()

    def saved(announced: Sequence[object]) -> None:
        for event in announced:
            if isinstance(event, RecordSaved):
                report.saved[event.task.stage] += 1

    with BenchLock(bench.paths):
        report.warnings.extend(str(cut) for cut in recover(bench.paths))
        bench.compact_journal()
        plan = make_plan(config, bench, scope or Scope())
        for warning in plan.warnings:
            report.warn(warning)
        bench.register_settings(plan.settings)
        async with BenchWriter(bench.paths, saved) as writer:
            recorder = Recorder(bench.paths, writer)
            counter = await load_counter() if any(task.jobs for task in plan.answers) else None
            makers = PartMakers(config, plan, recorder, counter, report.warn)
            reader = _Reader(config, plan, makers, recorder, report)
            for file in files:
                log = ProblemLog(file)
                for number, line in json_lines(file, log):
                    reader.take(line, number, log)
                    if report.lines % FLUSH_LINES == 0:
                        await writer.flush()
                        progress(report.lines)
                report.problems.extend(map(str, log.result()))
            await writer.flush()
        bench.compact_journal()
        report.left = reader.left()
    return report


class _Reader:
    """Finds the part of each result, and carries out its call with the result."""

    def __init__(self, config: Config, plan: Plan, makers: PartMakers, recorder: Recorder, report: ReadReport) -> None:
        self._config = config
        self._plan = plan
        self._makers = makers
        self._recorder = recorder
        self._report = report
        self._open = {name_of(part): part for part in open_parts(plan)}
        self._failed: set[CustomId] = set()
        self._guards: dict[str, ReplyGuard] = {}
        self._secrets = Redactor(secrets_of(config))
        self._echoing: set[TaskKey] = set()  # for which it is reported that replies hold a secret
        self._decoder = msgspec.json.Decoder(_Result)
        self._encode = msgspec.json.Encoder().encode

    def left(self) -> int:
        """Return how many parts still need a call."""
        return sum(map(is_open, self._open.values()))

    def take(self, line: bytes, number: int, log: ProblemLog) -> None:
        """Take one line; what is no result is reported to `log`."""
        try:
            result = self._decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            log.add(number, f"no result of a batch ({error})")
            return
        custom_id = CustomId.parse(result.custom_id)
        if custom_id is None:
            self._report.unknown += 1
            return
        part = self._open.get(custom_id.part)
        if part is None:
            self._count_left_out(custom_id)
        elif not is_open(part) or custom_id.step < calls_made(part) or custom_id in self._failed:
            self._report.repeated += 1
        elif custom_id.step > calls_made(part):
            self._report.changed += 1
        else:
            self._take(part, custom_id, result)

    def _take(self, part: OpenPart, custom_id: CustomId, result: _Result) -> None:
        def answer(body: dict[str, Any]) -> Completion:
            payload = self._encode(body)
            if body_digest(payload) != custom_id.body:
                raise _OtherRequest
            completion = _completion_of(result, body)
            limit = body.get("max_tokens") or body.get("max_completion_tokens")
            doubts = self._guard(caller_of(part)).verify(completion, payload, limit)
            for warning in (*completion.warnings, *doubts):
                self._report.warn(f"{caller_of(part)}: {warning}")
            self._report_echo(part, completion)
            return completion

        try:
            self._makers.make(part, answer)
        except _OtherRequest:
            self._report.changed += 1
        except CallFailed as failure:
            self._failed.add(custom_id)
            self._report.failed[failure.kind.value] += 1
            self._recorder.fail(part, failure)
        else:
            self._report.taken += 1

    def _guard(self, model: str) -> ReplyGuard:
        if model not in self._guards:
            self._guards[model] = ReplyGuard(counts_exactly=self._config.provider(model).counts_tokens)
        return self._guards[model]

    def _report_echo(self, part: OpenPart, completion: Completion) -> None:
        """Warn once per task that a reply holds a secret of the config: results are stored as the model wrote them."""
        task = part.job.task
        if task in self._echoing or not self._secrets.finds(completion.content, completion.reasoning):
            return
        self._echoing.add(task)
        self._report.warn(f"{caller_of(part)}: {echo_warning('a key of the config', task, part.job.question.id)}")

    def _count_left_out(self, custom_id: CustomId) -> None:
        if custom_id.part in self._awaited:
            self._report.changed += 1  # an answer was taken away since: its judgment waits for a new one
        elif custom_id.part in self._all:
            self._report.repeated += 1
        else:
            self._report.unknown += 1

    @cached_property
    def _all(self) -> set[str]:
        return set(all_parts(self._plan))

    @cached_property
    def _awaited(self) -> set[str]:
        return {
            part_name(task.key, question.id, number, replicate)
            for task in self._plan.judgments
            for question in task.awaited
            for replicate in self._plan.repeats.replicates(self._plan.repeats.answers)
            for number in GAME_NUMBERS
        }


def _completion_of(result: _Result, body: dict[str, Any]) -> Completion:
    """Return the reply in a result. Raises CallFailed as an online call would."""
    status, reply = _reply_of(result)
    if result.error and (reply is None or (status == 200 and not _has_choices(reply))):
        raise _failure_of(result.error, status)
    if reply is None:
        raise CallFailed(FailureKind.MALFORMED, "the result has neither a response nor an error")
    encoded = reply.encode() if isinstance(reply, str) else msgspec.json.encode(reply)
    if len(encoded) > bound_of(body):
        raise CallFailed(FailureKind.MALFORMED, f"the reply has {len(encoded)} bytes, far more than was asked for")
    return read_reply(status, encoded)


def _reply_of(result: _Result) -> tuple[int, Any]:
    """Return the status and the body of a reply; None as the body where there is none."""
    response = result.response
    if not isinstance(response, dict):
        return 200, result.body if response is None else response
    if "choices" in response:
        return 200, response
    status = response.get("status_code")
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        status = 200
    return status, response.get("body", result.body)


def _has_choices(reply: Any) -> bool:
    return isinstance(reply, str) or (isinstance(reply, dict) and bool(reply.get("choices")))


def _failure_of(error: Any, status: int) -> CallFailed:
    code = error.get("code") if isinstance(error, dict) else None
    text = error_text(error)
    if status != 200:
        return refusal(status, error, text)
    if isinstance(code, int) and 400 <= code <= 599:
        return refusal(code, error, text)
    return CallFailed(FailureKind.ABORTED, f"the batch has no reply to this request: {text}")
