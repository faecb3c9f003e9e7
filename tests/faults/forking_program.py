"""Lives the headless program again and again, each time in a fork that has imported everything.

Run as a process of its own. For each line on stdin, a JSON object with `config` (a file), `told` (a file that gets a
line for each record the moment it is announced) and `memory` (bytes that the life may still take, or null), it starts a
life, prints its pid, and, after another line on stdin, how it ended: its exit code, or the negative of a signal.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

import polars  # noqa: F401 - imported before the forks
import uvloop  # noqa: F401

from arena_tui.headless import execute, run_loop
from engine.config.load import load_config
from engine.errors import ArenaError
from engine.events import Event, RecordSaved
from engine.run import Run

ORDERLY_ENDS = {"done": 0, "failed": 1, "interrupted": 130}


def live(order: dict[str, Any]) -> int:
    """One run of the program, from its config to its end."""
    told = os.open(order["told"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def tell(event: Event) -> None:
        if isinstance(event, RecordSaved):
            os.write(told, f"{event.task.stage} {event.task.model} {event.question_id}\n".encode())

    if order["memory"] is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + order["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    async def main() -> int:
        run = Run(load_config(Path(order["config"])), grace=order["grace"])
        run.listen(tell)
        return ORDERLY_ENDS[(await execute(run)).phase]

    try:
        return run_loop(main())
    except ArenaError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            code = 70
            try:
                code = live(order)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        print(pid, flush=True)
        sys.stdin.readline()  # until then the pid is nobody else's
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
