"""Rounds on this machine: write what is missing, let `vllm run-batch` make it without any HTTP, read the results.

A round makes the next call of every open part: first answers, then their judgments, then games that are asked for
again. `vllm run-batch` writes its results when it has made all of a file: a round that is killed loses the file it was
at, and the next command reads what finished files there are and continues.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.batch.failed import BatchFailed
from engine.batch.process import run_to_its_end
from engine.batch.reading import ReadReport, read_batch
from engine.batch.writing import BatchFile, read_manifest, request_files, write_batch
from engine.bench import Bench
from engine.bench.names import file_stem
from engine.config.model import Config
from engine.config.secrets import secrets_of
from engine.config.servers import ClusterConfig
from engine.errors import UsageProblem, as_line
from engine.redaction import argument_secrets, masked
from engine.serving.gpus import wait_for_memory
from engine.serving.model_folder import folder_problems
from engine.serving.place import MEMORY_SECONDS, server_environment
from engine.serving.plan import PlannedServer, server_plan
from engine.serving.process import stop_orphans
from engine.serving.server_log import Cause, ServerLog, batch_share, inherited_secrets
from engine.work.plan import Scope, make_plan

MOST_ROUNDS = 100
_ROUND = "round-"
_RESULTS = ".results.jsonl"


@dataclass(frozen=True)
class Progress:
    """How far a round is: `share` (0..1) of the requests of `file` are made, as vLLM reports."""

    round: int
    file: BatchFile
    share: float


@dataclass(frozen=True)
class RoundEnded:
    """What a round came to."""

    round: int
    report: ReadReport


Listener = Callable[[Progress | RoundEnded | str], None]


async def run_batches(
    config: Config,
    folder: Path,
    scope: Scope,
    listen: Listener,
    *,
    max_requests: int,
    max_bytes: int,
    on_cluster: bool = False,
) -> int:
    """Make rounds in `folder` until no call is left that vLLM can make here; return the calls that are left.

    With `on_cluster` they are made on the Ray cluster of the config, else on this machine.
    `listen` gets progress, the end of each round, and warnings as text. Raises UsageProblem where no model with calls
    has a [serve] table, BatchFailed, and what writing and reading raise.
    """
    bench = Bench.open(config.data, config.bench)
    for name in await asyncio.to_thread(stop_orphans, bench.paths.logs):
        listen(f"{name}: stopped a server that an earlier run had left running")
    if finished := list(_finished(folder)):
        listen(f"{folder}: reading {len(finished)} files of results that are there from before")
        listen(RoundEnded(0, await read_batch(config, finished, scope)))
    first = 1 + max((int(path.name.removeprefix(_ROUND)) for path in _rounds(folder)), default=0)
    for number in range(first, first + MOST_ROUNDS):
        plan = await asyncio.to_thread(make_plan, config, bench, scope)
        round_folder = folder / f"{_ROUND}{number:03}"
        manifest = await asyncio.to_thread(
            write_batch, config, plan, round_folder, max_requests=max_requests, max_bytes=max_bytes
        )
        served = {file.model for file in manifest.files if _is_served(config, file.model)}
        if not served:
            await asyncio.to_thread(shutil.rmtree, round_folder, ignore_errors=True)
            if manifest.requests and number == first:
                names = ", ".join(sorted({file.model for file in manifest.files}))
                raise UsageProblem(
                    f"no model with calls to make has a [serve] table: {names}",
                    "add one, or write the batch and have it made elsewhere",
                )
            return manifest.requests
        make = _make_round_on_cluster if on_cluster else _make_round
        made = await make(config, round_folder, number, served, bench.paths.logs, listen)
        report = await read_batch(config, made, scope)
        listen(RoundEnded(number, report))
        if not report.taken:
            raise BatchFailed(
                f"{round_folder}: no result of this round could be taken", f"the reasons are in {bench.paths.errors}"
            )
    return 0


def _is_served(config: Config, model: str) -> bool:
    return model in config.models and config.models[model].serve is not None


def _rounds(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob(f"{_ROUND}*")):
        if path.is_dir() and path.name.removeprefix(_ROUND).isdecimal():
            yield path


def _finished(folder: Path) -> Iterator[Path]:
    for path in _rounds(folder):
        yield from sorted(path.glob(f"*{_RESULTS}"))


def _files_by_model(folder: Path, served: set[str]) -> dict[str, list[tuple[Path, BatchFile]]]:
    by_model: dict[str, list[tuple[Path, BatchFile]]] = {}
    for path, file in request_files(folder, read_manifest(folder)):
        if file.model in served:
            by_model.setdefault(file.model, []).append((path, file))
    return by_model


async def _make_round_on_cluster(
    config: Config, folder: Path, number: int, served: set[str], logs: Path, listen: Listener
) -> list[Path]:
    """Make the files of a round by Ray Data, one model after the other; return the parts of the results."""
    from engine.batch.cluster import cluster_servers, make_on_cluster

    results = []
    for model, files in _files_by_model(folder, served).items():
        servers = await asyncio.to_thread(cluster_servers, config, model)

        def on_share(share: float, file: BatchFile = files[0][1]) -> None:
            listen(Progress(number, file, share))

        results += await make_on_cluster(config, servers, files, logs, on_share)
    return results


async def _make_round(
    config: Config, folder: Path, number: int, served: set[str], logs: Path, listen: Listener
) -> list[Path]:
    """Make the files of a round, one model after the other; return the files of results."""
    results = []
    here = config.model_copy(update={"cluster": ClusterConfig()})
    for model, files in _files_by_model(folder, served).items():
        planned = (await asyncio.to_thread(server_plan, here, [model], [])).of(model)
        waiting = list(reversed(files))

        async def work(server: PlannedServer, waiting: list[tuple[Path, BatchFile]] = waiting) -> None:
            """Make one file after another, as long as there is one."""
            while waiting:
                path, file = waiting.pop()
                result = path.with_name(path.name.removesuffix(".jsonl") + _RESULTS)

                def on_share(share: float, file: BatchFile = file) -> None:
                    listen(Progress(number, file, share))

                await _make_file(config, server, path, result, logs, on_share, listen)
                results.append(result)

        try:
            async with asyncio.TaskGroup() as group:
                for server in planned[: len(files)]:
                    group.create_task(work(server))
        except ExceptionGroup as failed:  # the others were cancelled, and nothing of them is left
            raise failed.exceptions[0] from None
    return results


async def _make_file(
    config: Config,
    server: PlannedServer,
    requests: Path,
    results: Path,
    logs: Path,
    on_share: Callable[[float], None],
    listen: Listener,
) -> None:
    """Run `vllm run-batch` on one file. Raises BatchFailed."""
    spec, command = server.spec, config.vllm.command
    if shutil.which(command[0]) is None:
        raise BatchFailed(
            f"{command[0]!r} not found",
            "pip install 'arena-tui[vllm]', or name another environment's program in [vllm] command",
        )
    if problem := await asyncio.to_thread(lambda: next(folder_problems(spec), None)):
        raise BatchFailed(as_line(f"{server.name}: {problem.title}"), problem.hint)
    if server.gpus and (used := await wait_for_memory(server.gpus, server.share, MEMORY_SECONDS)):
        listen(f"{server.name}: {used}; starting anyway")
    unfinished = results.with_name(f".{results.name}.{secrets.token_hex(4)}")
    line = [*command, "run-batch", "-i", str(requests), "-o", str(unfinished), "--model", spec.model]
    line += ["--served-model-name", *spec.served_names, *spec.arguments]
    hidden = [*spec.environment.values(), *argument_secrets(line), *secrets_of(config), *inherited_secrets()]
    log = ServerLog(logs / f"{file_stem(server.name)}.batch.log", hidden)
    log.begin(" ".join(masked(line)))

    def on_line(text: str) -> None:
        log.write(text)
        if (share := batch_share(text)) is not None:
            on_share(share)

    try:
        cause = await run_to_its_end(line, server_environment(server), server.name, logs, on_line, log)
        if cause is None and not unfinished.is_file():
            cause = Cause("it ended without results", "see its log")
        if cause is not None:
            raise BatchFailed(f"{server.name}: {cause.title}", as_line(cause.hint, f"log: {log.path}"))
        unfinished.replace(results)
    finally:
        unfinished.unlink(missing_ok=True)
