"""One writer per bench: a lock that is released when its owner exits."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from types import TracebackType

from filelock import FileLock, Timeout

from engine.bench.atomic import storage_error, write_file
from engine.bench.layout import BenchPaths
from engine.errors import ArenaError, BenchError, BenchLocked
from engine.opening import check_tree, read_whole

LOOK_SECONDS = 0.2


class BenchLock:
    """Holds a bench for writing, as a context manager.

    The system releases the lock when its process ends, however it ends. Entering raises BenchLocked if another process
    (or another lock in this one) holds it, with its pid and host, BenchError for a folder with links that lead out of
    it, and StorageError if the folder cannot be written.
    """

    def __init__(self, paths: BenchPaths) -> None:
        self._paths = paths
        self._owner_file = paths.lock.with_name(paths.lock.name + ".owner")
        self._lock = FileLock(paths.lock, thread_local=False)

    def __enter__(self) -> BenchLock:
        check_tree(self._paths.root, self._paths.root, self._paths.root.parent)
        paths = self._paths
        for file in (paths.lock, self._owner_file, paths.errors, paths.journal, paths.settings, paths.probes):
            if file.is_symlink():
                raise BenchError(f"{file}: is a link, which is never written through", "remove it")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise self._locked() from None
        except OSError as error:
            raise storage_error(self._paths.lock, error) from error
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        try:
            write_file(self._owner_file, json.dumps(owner).encode())
        except ArenaError:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner_file.unlink(missing_ok=True)
        self._lock.release()

    def _locked(self) -> BenchLocked:
        title = f"another process is writing to the bench {self._paths.name}"
        try:
            owner = json.loads(read_whole(self._owner_file, 1 << 16, pipes=False))
            title += f": pid {int(owner['pid'])} on {str(owner['host'])[:80]!r} since {str(owner['since'])[:20]}"
        except (OSError, ValueError, KeyError, TypeError):
            pass  # the owner has only just taken the lock, or its file cannot be read
        return BenchLocked(title, "wait for it to end, or stop it; this one has changed nothing")


def writer_of(paths: BenchPaths) -> BenchLocked | None:
    """Return the error that a writer would get because another process holds the bench; None if it is free.

    The lock is tried only where a file names an owner, so that readers never keep a writer out.
    """
    if not paths.lock.with_name(paths.lock.name + ".owner").exists():
        return None
    try:
        with BenchLock(paths):
            return None
    except BenchLocked as error:
        return error
    except ArenaError:  # the folder cannot be written, by this process at least
        return None


async def until_free(paths: BenchPaths) -> None:
    """Wait until no other process holds a bench. A lock gives no sign, so it is looked at a few times a second."""
    while await asyncio.to_thread(writer_of, paths) is not None:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)
