"""One process that makes a batch, from its start to its end, under a warden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from engine.serving.process import ServerProcess, record_server
from engine.serving.server import LAST_LINES
from engine.serving.server_log import Cause, ServerLog, exit_cause

GRACE_SECONDS = 30.0  # that it has to end when it is stopped


async def run_to_its_end(
    line: Sequence[str],
    environment: dict[str, str],
    name: str,
    logs: Path,
    on_line: Callable[[str], None],
    log: ServerLog,
) -> Cause | None:
    """Run a command under a warden; return why it failed, None where it did not."""
    process = await ServerProcess.start(line, environment, GRACE_SECONDS, on_line)
    ledger_file = None
    try:
        await process.has_begun.wait()
        if process.session:
            ledger_file = record_server(logs, name, process.session, process.warden_pid, process.mark)
        await process.has_exited.wait()
        await process.wait_gone()
    finally:
        await process.close()
        if ledger_file is not None:
            ledger_file.unlink(missing_ok=True)
    if process.failure is not None:
        return Cause(f"{line[0]!r} cannot be run: {process.failure}", "see [vllm] command")
    return None if process.exit_code == 0 else exit_cause(process.exit_code, list(log.lines)[-LAST_LINES:])
