"""The files of a round made on a Ray cluster by Ray Data: one job for each model, which writes its results in parts.

The job is `ray_job`, run by the Python of vLLM's environment, which needs `ray[data]` too; the same environment must be
on all nodes. A job that ends early leaves its parts, which the next round reads.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.batch import ray_job
from engine.batch.failed import BatchFailed
from engine.batch.process import run_to_its_end
from engine.batch.writing import BatchFile
from engine.bench.names import file_stem
from engine.config.model import Config
from engine.config.secrets import secrets_of
from engine.errors import UsageProblem, as_line
from engine.redaction import argument_secrets, masked
from engine.serving.nodes import disconnect
from engine.serving.place import server_environment
from engine.serving.plan import PlannedServer, flag_value, server_plan
from engine.serving.server_log import ServerLog, batch_share, inherited_secrets

_SHEBANG = 256  # bytes of a program that are looked at


def cluster_servers(config: Config, model: str) -> list[PlannedServer]:
    """Return the servers that the cluster has room for. Blocks. Raises ConfigError, and UsageProblem without one."""
    if config.cluster.engine != "ray":
        raise UsageProblem("no Ray cluster is configured", 'set engine = "ray" in [cluster]')
    try:
        return server_plan(config, [model], []).of(model)
    finally:
        disconnect()


async def make_on_cluster(
    config: Config,
    servers: Sequence[PlannedServer],
    files: Sequence[tuple[Path, BatchFile]],
    logs: Path,
    on_share: Callable[[float], None],
) -> list[Path]:
    """Make the files of one model, and return the parts of their results. Raises BatchFailed."""
    server, spec = servers[0], servers[0].spec
    if spec.adapters:
        raise BatchFailed(f"{server.name}: adapters are not made by Ray Data", "run these calls online")
    if (spec.serve.data_parallel or 1) > 1:
        raise BatchFailed(f"{server.name}: Ray Data takes no data_parallel", "set `replicas` instead")
    first = files[0][0]
    results = first.with_name(first.name.removesuffix(".jsonl"))
    template, arguments = _without_template(spec.arguments)
    order = f"{results.resolve()}.job.json"
    job = {
        "address": config.cluster.address,
        "model": spec.model,
        "requests": [str(path.resolve()) for path, _ in files],
        "results": str(results.resolve()),
        "count": sum(file.requests for _, file in files),
        "replicas": len(servers),
        "devices": spec.gpus_each,
        "resource": config.cluster.resource,
        "arguments": arguments,
        "chat_template": template,
        "variables": sorted({*spec.environment, "HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS"}),
    }
    await asyncio.to_thread(Path(order).write_text, json.dumps(job), "utf-8")
    line = [vllm_python(config.vllm.command), ray_job.__file__, order]
    hidden = [*spec.environment.values(), *argument_secrets(arguments), *secrets_of(config), *inherited_secrets()]
    log = ServerLog(logs / f"{file_stem(spec.name)}.batch.log", hidden)
    log.begin(" ".join(masked(line)))

    def on_line(text: str) -> None:
        log.write(text)
        if (share := batch_share(text)) is not None:
            on_share(share)

    environment = server_environment(server) | {"RAY_USAGE_STATS_ENABLED": "0"}
    cause = await run_to_its_end(line, environment, spec.name, logs, on_line, log)
    if cause is not None:
        raise BatchFailed(f"{spec.name}: {cause.title}", as_line(cause.hint, f"log: {log.path}"))
    return parts_of(results)


def parts_of(results: Path) -> list[Path]:
    """Return the parts that a job has written."""
    return sorted(results.parent.glob(f"{results.name}.part-*.results.jsonl"))


def vllm_python(command: Sequence[str]) -> str:
    """Return the Python that runs `vllm`: the command, what the program's first line names, or that of this process."""
    program = shutil.which(command[0])
    if program is None:
        hint = "pip install 'arena-tui[vllm]', or name another environment's program in [vllm] command"
        raise BatchFailed(f"{command[0]!r} not found", hint)
    if Path(program).name.startswith("python"):
        return program
    with Path(program).open("rb") as stream:
        first = stream.read(_SHEBANG).partition(b"\n")[0]
    named = first.removeprefix(b"#!").strip().decode("utf-8", "replace") if first.startswith(b"#!") else ""
    return named if Path(named).name.startswith("python") and Path(named).is_file() else sys.executable


def _without_template(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the text of --chat-template, which is no argument of the engine, and the other arguments."""
    given = flag_value(arguments, "--chat-template")
    if given is None:
        return None, list(arguments)
    kept, skips = [], False
    for argument in arguments:
        flag, equals, _ = argument.partition("=")
        if skips or flag.replace("_", "-") == "--chat-template":
            skips = not skips and not equals
        else:
            kept.append(argument)
    path = Path(given)
    return path.read_text("utf-8") if "{" not in given and path.is_file() else given, kept
