"""The one writer of a bench: results go to disk in batches, and are announced only once they are synced."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import msgspec

from engine.bench.appender import Appender, Disk, OtherChange, Written
from engine.bench.layout import BenchPaths
from engine.bench.lines import encode_line

BATCH_SECONDS = 0.05
BATCH_BYTES = 1 << 20

OnSaved = Callable[[Sequence[object]], None]
OnChange = Callable[[OtherChange], None]


class BenchWriter:
    """Appends records to the files of a bench. The caller holds the `BenchLock`.

        async with BenchWriter(paths, on_saved) as writer:
            writer.append(paths.answers("aya-23-8B"), record, token)

    `append` only encodes and buffers. A task collects for `BATCH_SECONDS` (less if much comes at once), a thread writes
    and syncs, then `on_saved` gets the tokens in the order of their appends. Killed at any moment, the process leaves
    everything that was announced, and at most one torn line at the end of a file. Leaving the context writes what is
    still buffered, even while being cancelled.

    `on_change` gets what other programs do to the files meanwhile, see `engine.bench.appender`.

    Once a write failed, `append`, `flush` and leaving raise its StorageError, and likewise an exception of `on_saved`.
    What was buffered before is still written, as far as possible.
    """

    def __init__(
        self,
        paths: BenchPaths,
        on_saved: OnSaved | None = None,
        on_change: OnChange | None = None,
        disk: Disk | None = None,
    ) -> None:
        self.paths = paths
        self.failure: Exception | None = None
        self._on_saved = on_saved
        self._on_change = on_change
        self._appender = Appender(disk)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bench-writer")
        self._filling = _Batch()
        self._writing: _Batch | None = None
        self._some = asyncio.Event()  # there is something to write, or the writer is closing
        self._at_once = asyncio.Event()  # ... and it should not wait for more
        self._closing = False
        self._task: asyncio.Task[None]

    def append(self, path: Path, record: msgspec.Struct | Mapping[str, object], token: object = None) -> None:
        """Buffer a record as a line of `path`. `token`, unless None, is announced once the line is on disk."""
        self._raise_failure()
        if self._closing:
            raise RuntimeError("the writer of the bench is closed")
        batch = self._filling
        batch.add(path, encode_line(record), token)
        self._some.set()
        if batch.size >= BATCH_BYTES:
            self._at_once.set()

    async def flush(self) -> None:
        """Wait until everything appended so far is on disk and announced."""
        batch = self._filling if self._filling.lines else self._writing
        if batch is not None and self.failure is None:
            self._at_once.set()
            await batch.settled.wait()
        self._raise_failure()

    async def __aenter__(self) -> BenchWriter:
        self._task = asyncio.create_task(self._write_batches(), name="bench-writer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._some.set()
        self._at_once.set()
        try:
            await asyncio.shield(self._task)
            self._report(self._appender.changes_by_others())
        except asyncio.CancelledError:  # a second one while leaving, or the loop is being torn down with all its tasks
            self._write_now()
            self._task.cancel()
            raise
        finally:
            self._thread.shutdown()
            self._appender.close()
        if raised is None:
            self._raise_failure()

    async def _write_batches(self) -> None:
        while True:
            await self._some.wait()
            if not self._closing:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._at_once.wait(), BATCH_SECONDS)
            self._some.clear()
            self._at_once.clear()
            if self._filling.lines:
                batch = self._hand_over()
                await asyncio.wait([asyncio.wrap_future(batch.outcome)])
                self._settle(batch)
            if self._closing and not self._filling.lines:
                return

    def _hand_over(self) -> _Batch:
        """Give the filled batch to the thread and start a new one."""
        batch, self._filling = self._filling, _Batch()
        batch.outcome = self._thread.submit(self._appender.write, batch.by_path())
        self._writing = batch
        return batch

    def _settle(self, batch: _Batch) -> None:
        """Announce what a batch wrote. Does nothing the second time."""
        if batch.settled.is_set():
            return
        self._writing = None
        try:
            written = batch.outcome.result()  # waits for the thread
            self.failure = self.failure or written.error
            self._report(written.changes)
            tokens = batch.tokens(written)
            if tokens and self._on_saved is not None:
                self._on_saved(tokens)
        except Exception as error:
            self.failure = self.failure or error
        finally:
            batch.settled.set()

    def _write_now(self) -> None:
        """Settle everything without the event loop, which no longer waits for this writer."""
        if self._writing is not None:
            self._settle(self._writing)
        if self._filling.lines:
            self._settle(self._hand_over())

    def _report(self, changes: Sequence[OtherChange]) -> None:
        if self._on_change is not None:
            for change in changes:
                self._on_change(change)

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure


class _Batch:
    """Lines on their way to the disk, in the order of their appends."""

    def __init__(self) -> None:
        self.lines: list[tuple[Path, bytes, object]] = []
        self.size = 0  # bytes
        self.settled = asyncio.Event()
        self.outcome: Future[Written] = Future()

    def add(self, path: Path, line: bytes, token: object) -> None:
        self.lines.append((path, line, token))
        self.size += len(line)

    def by_path(self) -> dict[Path, list[bytes]]:
        grouped: dict[Path, list[bytes]] = {}
        for path, line, _ in self.lines:
            grouped.setdefault(path, []).append(line)
        return grouped

    def tokens(self, written: Written) -> list[object]:
        """Return the tokens of the lines that are on disk; of each file these are its first ones."""
        left = Counter(written.lines)
        tokens = []
        for path, _, token in self.lines:
            left[path] -= 1
            if left[path] >= 0 and token is not None:
                tokens.append(token)
        return tokens
