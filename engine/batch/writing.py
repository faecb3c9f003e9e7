"""All next calls of a plan as files of requests in OpenAI's batch format, which other services and vLLM read too.

A file holds the calls of one model, because services take no mixed ones (entries of the config that differ in prompts
or sampling share it), and either answers or judgments. The manifest beside them is for people and for `service`;
results are read without it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import msgspec

from engine.batch.parts import (
    URL,
    CustomId,
    NextCallNeeded,
    PartMakers,
    body_digest,
    caller_of,
    calls_made,
    name_of,
    open_parts,
)
from engine.bench.atomic import atomic_folder, write_file
from engine.bench.names import file_stem
from engine.config.model import Config
from engine.config.secrets import secret_fields
from engine.errors import BenchError, UsageProblem
from engine.events import Stage
from engine.opening import read_whole
from engine.records import AnswerPart, GamePart
from engine.work.jobs import AnswerJob, JudgeJob, OpenPart
from engine.work.plan import Plan
from engine.work.tasks import CHARACTERS_PER_TOKEN

MANIFEST = "manifest.json"
MOST_REQUESTS = 50_000  # in one file: OpenAI's limit
MOST_BYTES = 200_000_000  # of one file: OpenAI's limit
_LARGEST_MANIFEST = 16 << 20  # bytes


class BatchFile(msgspec.Struct, frozen=True):
    """One file of requests to `model` (and entries of the config that share its server), named `served_name` there.

    `prompt_tokens` is estimated from the text, `max_completion_tokens` the sum of what the requests allow.
    """

    file: str
    model: str
    served_name: str
    stage: Stage
    requests: int
    bytes: int
    prompt_tokens: int
    max_completion_tokens: int


class Manifest(msgspec.Struct, frozen=True):
    """What a folder of requests holds. `awaited` judgments are of answers that are still to be made."""

    bench: str
    created: float
    files: tuple[BatchFile, ...]
    awaited: int = 0
    format: str = "arena-tui batch 1"

    @property
    def requests(self) -> int:
        """The requests of all files."""
        return sum(file.requests for file in self.files)


def write_batch(
    config: Config,
    plan: Plan,
    folder: Path,
    *,
    max_requests: int = MOST_REQUESTS,
    max_bytes: int = MOST_BYTES,
) -> Manifest:
    """Write the next call of every open part of `plan` into a new folder, and return its manifest.

    Where no call is missing, no folder is made. `max_requests` and `max_bytes` bound one file. Raises UsageProblem for
    a folder that is not empty or a request that is larger than `max_bytes`, and StorageError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageProblem(f"{folder}: exists and is not an empty folder", "name a new one for each round")
    awaited = sum(len(task.awaited) for task in plan.judgments)
    if next(open_parts(plan), None) is None:
        return Manifest(config.bench, time.time(), (), awaited)
    with atomic_folder(folder) as unfinished:
        with ExitStack() as stack:
            files = _Files(config, unfinished, stack, max_requests, max_bytes)
            makers = PartMakers(config, plan, _NothingMade())
            for part in open_parts(plan):
                makers.make(part, partial(files.write, part))
        manifest = Manifest(config.bench, time.time(), files.listed, awaited)
        write_file(unfinished / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder of requests. Raises BenchError where there is none."""
    path = folder / MANIFEST
    try:
        return msgspec.json.decode(read_whole(path, _LARGEST_MANIFEST), type=Manifest)
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
    except msgspec.DecodeError as error:
        why = f"not the manifest of a batch ({error})"
    raise BenchError(f"{path}: {why}", "name the folder of a written batch")


class _NothingMade:
    """Stands for the recorder where no reply is given."""

    def keep_answer(self, job: AnswerJob, part: AnswerPart) -> None:
        raise AssertionError("nothing is made while requests are written")

    def keep_game(self, job: JudgeJob, part: GamePart) -> None:
        raise AssertionError("nothing is made while requests are written")


class _Files:
    """The files of a folder: one after the other for each model and stage, none above the limits."""

    def __init__(self, config: Config, folder: Path, stack: ExitStack, max_requests: int, max_bytes: int) -> None:
        self._config = config
        self._folder = folder
        self._stack = stack
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._open: dict[tuple[str, Stage], tuple[BinaryIO, BatchFile]] = {}
        self._listed: list[BatchFile] = []
        self._first: dict[str, str] = {}
        self._servers: dict[tuple[object, ...], str] = {}
        self._encode = msgspec.json.Encoder().encode

    def write(self, part: OpenPart, body: dict[str, Any]) -> NoReturn:
        """Write the next call of a part. Raises NextCallNeeded always, and UsageProblem for a call that is too long."""
        model, stage = self._first_at_server(caller_of(part)), part.job.task.stage
        if (model, stage) not in self._open and (named := secret_fields(body)):
            raise UsageProblem(
                f"requests to {model} hold a secret in {', '.join(named)}, which would be written to a file",
                "remove it from extra_body, or run these calls online",
            )
        encoded = self._encode(body)
        custom_id = CustomId(name_of(part), calls_made(part), body_digest(encoded))
        line = b'{"custom_id":"%s","method":"POST","url":"%s","body":%s}\n' % (
            str(custom_id).encode(),
            URL.encode(),
            encoded,
        )
        if len(line) > self._max_bytes:
            raise UsageProblem(
                f"a request to {model} has {len(line)} bytes, more than a file may have", "allow larger files"
            )
        stream, file = self._file_for(model, stage, len(line))
        stream.write(line)
        self._open[model, stage] = stream, _with_request(file, len(line), _tokens(encoded), _limit(body))
        raise NextCallNeeded

    def _first_at_server(self, model: str) -> str:
        """Return the first entry of the config that the same server answers as the same model: they share files."""
        if model not in self._first:
            entry = self._config.models[model]
            environment = sorted((k, v.get_secret_value()) for k, v in entry.serve.env.items()) if entry.serve else ()
            server = (self._config.served_name(model), repr(entry.endpoints), repr(entry.serve), tuple(environment))
            self._first[model] = self._servers.setdefault(server, model)
        return self._first[model]

    @property
    def listed(self) -> tuple[BatchFile, ...]:
        """All files, in the order of their names."""
        every = [*self._listed, *(file for _, file in self._open.values())]
        return tuple(sorted(every, key=lambda file: file.file))

    def _file_for(self, model: str, stage: Stage, size: int) -> tuple[BinaryIO, BatchFile]:
        number = 1
        if (current := self._open.get((model, stage))) is not None:
            stream, file = current
            if file.requests < self._max_requests and file.bytes + size <= self._max_bytes:
                return current
            stream.close()
            self._listed.append(file)
            number = 1 + sum((each.model, each.stage) == (model, stage) for each in self._listed)
        name = f"{stage}-{file_stem(model)}-{number:04}.jsonl"
        opened = self._stack.enter_context((self._folder / name).open("xb", buffering=1 << 20))
        return opened, BatchFile(name, model, self._config.served_name(model), stage, 0, 0, 0, 0)


def _with_request(file: BatchFile, size: int, prompt_tokens: int, most: int) -> BatchFile:
    return BatchFile(
        file.file,
        file.model,
        file.served_name,
        file.stage,
        file.requests + 1,
        file.bytes + size,
        file.prompt_tokens + prompt_tokens,
        file.max_completion_tokens + most,
    )


def _tokens(encoded: bytes) -> int:
    """Estimate the tokens of a request from its bytes; a character of another alphabet than Latin has two or three."""
    characters = len(encoded) - sum(encoded.count(lead) for lead in (b"\xd0", b"\xd1"))
    return round(characters / CHARACTERS_PER_TOKEN)


def _limit(body: dict[str, Any]) -> int:
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or 0
    return limit if isinstance(limit, int) else 0


def request_files(folder: Path, manifest: Manifest) -> Iterator[tuple[Path, BatchFile]]:
    """Yield the files of a folder of requests. Raises BenchError for one that is missing."""
    for file in manifest.files:
        path = folder / Path(file.file).name
        if not path.is_file():
            raise BenchError(f"{path}: missing, though the manifest lists it", "write the batch again")
        yield path, file
