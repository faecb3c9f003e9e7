"""A batch service with OpenAI's files and batches: send the files of a written batch, ask for their state, fetch.

What was submitted is kept beside the requests, so that each later command finds it. Keys come from the config alone.
Source: https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec

from engine.batch.parts import URL
from engine.batch.writing import BatchFile, read_manifest, request_files
from engine.bench.atomic import atomic_file, write_file
from engine.config.model import Config
from engine.errors import ArenaError, BenchError, CallFailed, UsageProblem
from engine.models.connection import FAULTS, failure_of, fetch, open_session, proxy_for, read_error
from engine.models.endpoint import Endpoint
from engine.models.refusal import error_text, failure_of_status, readable
from engine.opening import read_whole
from engine.serving.listing import endpoints_of

T = TypeVar("T")

SUBMITTED = "submitted.json"
WINDOW = "24h"
TIME_LIMIT = 120.0  # seconds for a small request
UPLOAD_SECONDS = 3600.0
_LARGEST_REPLY = 1 << 20  # bytes
_CHUNK = 1 << 18  # bytes of a file of results read at once
ENDED = ("completed", "failed", "expired", "cancelled")


class ServiceFailed(ArenaError):
    """The batch service refused a request or could not be reached."""

    exit_code = 1


class SubmittedFile(msgspec.Struct, frozen=True):
    """A file of requests at the service, its batch and how far that is. `results` names the files fetched so far."""

    file: str
    model: str
    batch: str
    address: str
    status: str = "validating"
    requests: int = 0
    completed: int = 0
    failed: int = 0
    error: str = ""
    output_file_id: str | None = None
    error_file_id: str | None = None
    results: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether the service will make nothing more of it."""
        return self.status in ENDED


class _Counts(msgspec.Struct):
    total: int = 0
    completed: int = 0
    failed: int = 0


class _Batch(msgspec.Struct):
    id: str
    status: str = "validating"
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None
    errors: Any = None


class _File(msgspec.Struct):
    id: str


def submitted_files(folder: Path) -> dict[str, SubmittedFile]:
    """Return what was submitted of a folder, by file. Raises BenchError for a damaged record."""
    path = folder / SUBMITTED
    if not path.exists():
        return {}
    try:
        listed = msgspec.json.decode(read_whole(path, 16 << 20), type=list[SubmittedFile])
    except (OSError, msgspec.DecodeError) as error:
        raise BenchError(
            f"{path}: cannot be read: {error}", "it names the batches at the service: restore it"
        ) from error
    return {each.file: each for each in listed}


async def submit(config: Config, folder: Path) -> list[SubmittedFile]:
    """Send every file of a folder that was not sent yet, and start a batch for each; return all of them.

    Each batch is written down before the next file is sent. Raises ServiceFailed, UsageProblem and BenchError.
    """
    known = submitted_files(folder)
    async with open_session() as session:
        for path, file in request_files(folder, read_manifest(folder)):
            if file.file in known:
                continue
            endpoint = _endpoint(config, file)
            sent = await _upload(session, endpoint, path)
            asked = {"input_file_id": sent.id, "endpoint": URL, "completion_window": WINDOW}
            batch = _decoded(await _request(session, endpoint, "batches", asked), _Batch, endpoint)
            known[file.file] = _with(SubmittedFile(file.file, file.model, batch.id, endpoint.address), batch)
            _keep(folder, known)
    return list(known.values())


async def status(config: Config, folder: Path) -> list[SubmittedFile]:
    """Ask the service for the state of every batch of a folder that has not ended; return all of them.

    Raises ServiceFailed, UsageProblem (nothing was submitted) and BenchError.
    """
    known = submitted_files(folder)
    if not known:
        raise UsageProblem(f"{folder}: nothing of it was submitted", "submit it first")
    files = {file.file: file for file in read_manifest(folder).files}
    async with open_session() as session:
        for name, each in known.items():
            if each.has_ended or name not in files:
                continue
            endpoint = _endpoint(config, files[name])
            batch = _decoded(await _request(session, endpoint, f"batches/{each.batch}"), _Batch, endpoint)
            known[name] = _with(each, batch)
    _keep(folder, known)
    return list(known.values())


async def fetch_results(config: Config, folder: Path) -> tuple[list[SubmittedFile], list[Path]]:
    """Fetch the results and the errors of every batch that has ended; return all batches and the files of results.

    Raises what `status` raises, and StorageError.
    """
    known = {each.file: each for each in await status(config, folder)}
    files = {file.file: file for file in read_manifest(folder).files}
    async with open_session() as session:
        for name, each in known.items():
            if each.results or not each.has_ended or name not in files:
                continue
            endpoint = _endpoint(config, files[name])
            fetched = []
            for kind, file_id in (("results", each.output_file_id), ("errors", each.error_file_id)):
                if file_id:
                    target = folder / f"{name.removesuffix('.jsonl')}.{kind}.jsonl"
                    await _download(session, endpoint, file_id, target)
                    fetched.append(target.name)
            known[name] = msgspec.structs.replace(each, results=tuple(fetched))
            _keep(folder, known)
    return list(known.values()), [folder / name for each in known.values() for name in each.results]


def _endpoint(config: Config, file: BatchFile) -> Endpoint:
    found = endpoints_of(config, file.model) if file.model in config.models else []
    if not found:
        raise UsageProblem(
            f"{file.model} has no endpoint to submit {file.file} to",
            f'add endpoints = [{{ base_url = "https://...", api_key = "${{...}}" }}] to [models."{file.model}"]',
        )
    return found[0]


def _with(each: SubmittedFile, batch: _Batch) -> SubmittedFile:
    counts = batch.request_counts or _Counts()
    return msgspec.structs.replace(
        each,
        status=readable(batch.status),
        requests=counts.total,
        completed=counts.completed,
        failed=counts.failed,
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        error=error_text(_first_error(batch.errors)) if batch.errors else "",
    )


def _first_error(errors: Any) -> Any:
    """Return the first of OpenAI's list of errors (`{"data": [...]}`), or what there is instead."""
    data = errors.get("data") if isinstance(errors, dict) else None
    return data[0] if isinstance(data, list) and data else errors


def _keep(folder: Path, known: Mapping[str, SubmittedFile]) -> None:
    write_file(folder / SUBMITTED, msgspec.json.format(msgspec.json.encode(list(known.values()))))


async def _request(
    session: aiohttp.ClientSession, endpoint: Endpoint, path: str, body: dict[str, Any] | None = None
) -> bytes:
    with _as_service(endpoint):
        code, reply = await fetch(
            session,
            endpoint,
            endpoint.url(path),
            time_limit=TIME_LIMIT,
            largest=_LARGEST_REPLY,
            body=None if body is None else msgspec.json.encode(body),
        )
        if code != 200:
            raise failure_of_status(code, reply)
    return reply


async def _upload(session: aiohttp.ClientSession, endpoint: Endpoint, path: Path) -> _File:
    url = endpoint.url("files")
    with _as_service(endpoint), path.open("rb") as stream:
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", stream, filename=path.name, content_type="application/jsonl")
        async with session.post(
            url,
            data=form,
            headers=endpoint.headers(),
            proxy=proxy_for(url),
            timeout=aiohttp.ClientTimeout(total=UPLOAD_SECONDS),
            allow_redirects=False,
        ) as response:
            reply = await read_error(response)
            if response.status != 200:
                raise failure_of_status(response.status, reply)
    return _decoded(reply, _File, endpoint)


async def _download(session: aiohttp.ClientSession, endpoint: Endpoint, file_id: str, target: Path) -> None:
    url = endpoint.url(f"files/{file_id}/content")
    with _as_service(endpoint):
        async with session.get(
            url,
            headers=endpoint.headers(),
            proxy=proxy_for(url),
            timeout=aiohttp.ClientTimeout(total=UPLOAD_SECONDS),
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                raise failure_of_status(response.status, await read_error(response))
            with atomic_file(target) as stream:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    stream.write(chunk)


def _decoded(reply: bytes, kind: type[T], endpoint: Endpoint) -> T:
    try:
        return msgspec.json.decode(reply, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = endpoint.redact(readable(str(error)))
        raise ServiceFailed(
            f"{endpoint.address}: the reply is none of a batch service ({message})",
            "check that base_url names a service with OpenAI's files and batches",
        ) from None


@contextmanager
def _as_service(endpoint: Endpoint) -> Iterator[None]:
    """Raise every failure of a request as one of the service, without secrets."""
    redact = endpoint.redact
    try:
        yield
    except CallFailed as refused:
        failure = refused
    except FAULTS as error:
        failure = failure_of(error, 0.0)
    else:
        return
    raise ServiceFailed(f"{endpoint.address}: {redact(failure.title)}", redact(failure.hint))
