"""Judgments as several screens need them: read once, and again only when a file has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.pairing import Pairing
    from engine.results import JudgedBench

_Stamp: TypeAlias = tuple[tuple[Path, int, int], ...]
_Key: TypeAlias = "tuple[tuple[str, ...], Pairing, str, bool]"  # judges, baselines, settings of the judges, strict
KEPT = 4  # combinations of judges and baseline


class JudgedCache:
    """Keeps the judgments read last, by judges and baselines. The same object means that no file has changed."""

    def __init__(self) -> None:
        self._held: dict[_Key, tuple[_Stamp, JudgedBench]] = {}
        self._reading = asyncio.Lock()  # screens that load at once share one read

    async def load(
        self,
        bench: Bench,
        judges: Sequence[str],
        pairing: Pairing,
        config: Config | None = None,
        *,
        strict: bool = False,
    ) -> JudgedBench:
        """Return the current judgments of `judges` against their baselines, with today's probes of the judges.

        With `strict`, only judgments that can be checked. Raises BenchError if there are no judgments.
        """
        key = tuple(judges), pairing, config.judge.model_dump_json() if config is not None else "", strict
        async with self._reading:
            stamp = await asyncio.to_thread(_stamp, bench)
            held = self._held.pop(key, None)
            if held is None or held[0] != stamp:
                held = stamp, await asyncio.to_thread(_read, bench, key[0], key[1], config, strict)
            self._held[key] = held
            while len(self._held) > KEPT:
                del self._held[next(iter(self._held))]
            return held[1]


def _read(bench: Bench, judges: tuple[str, ...], pairing: Pairing, config: Config | None, strict: bool) -> JudgedBench:
    from engine.auditing.known_bad import with_known_bad
    from engine.results import judged_bench

    return with_known_bad(judged_bench(bench, judges, pairing, strict=strict), bench, config)


def _stamp(bench: Bench) -> _Stamp:
    """Return size and time of each file that a leaderboard rests on."""
    paths = bench.paths
    other = {paths.journal, paths.errors, paths.settings}
    stamps = []
    for path in (paths.questions, *paths.appended_files()):
        if path in other or path.parent == paths.review_dir:
            continue
        try:
            status = path.stat()
        except OSError:
            continue
        stamps.append((path, status.st_mtime_ns, status.st_size))
    return tuple(stamps)
