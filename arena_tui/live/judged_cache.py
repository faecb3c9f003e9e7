"""The judgments of a bench as several screens want them: read once, and again only when a file has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.results import JudgedBench

_Stamp: TypeAlias = tuple[tuple[Path, int, int], ...]
KEPT = 4  # combinations of judges and baseline


class JudgedCache:
    """Holds what was read of one bench, by the judges and the baselines that were asked for."""

    def __init__(self) -> None:
        self._held: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[_Stamp, JudgedBench]] = {}
        self._reading = asyncio.Lock()  # screens that ask at once share one reading

    async def load(self, bench: Bench, judges: Sequence[str], baselines: Sequence[str]) -> JudgedBench:
        """The current judgments of `judges` against `baselines`. Raises BenchError if there is none."""
        from engine.results import judged_bench

        asked = tuple(judges), tuple(baselines)
        async with self._reading:
            stamp = await asyncio.to_thread(_stamp, bench)
            held = self._held.pop(asked, None)
            if held is None or held[0] != stamp:
                held = stamp, await asyncio.to_thread(judged_bench, bench, *asked)
            self._held[asked] = held
            while len(self._held) > KEPT:
                del self._held[next(iter(self._held))]
            return held[1]


def _stamp(bench: Bench) -> _Stamp:
    """What changes whenever a file that a leaderboard rests on does."""
    paths = bench.paths
    other = {paths.journal, paths.errors, paths.settings}
    stamps = []
    for path in (paths.questions, *paths.appended_files()):
        if path in other or path.parent == paths.review_dir:
            continue
        try:
            told = path.stat()
        except OSError:
            continue
        stamps.append((path, told.st_mtime_ns, told.st_size))
    return tuple(stamps)
