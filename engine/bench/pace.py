"""How fast records were made here: calls per second, from the times in the files of a bench."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from engine.bench.decoding import answer_lines, judgment_lines
from engine.bench.lines import ProblemLog

_FEWEST = 20  # records of one stretch of work; fewer say little about its pace
_LONGEST_PAUSE = 60.0  # seconds without a record that surely are a pause, unless records always take that long


def judging_pace(files: Iterable[Path]) -> float | None:
    """Judge calls per second over all these files, made side by side; None if they do not tell.

    Only this program's own records count: it alone writes `settings`, and times of others are not from here. Raises
    BenchError if a file cannot be read.
    """
    finished: list[tuple[float, int]] = []
    for file in files:
        for _, _, line in judgment_lines.read(file, ProblemLog(file)):
            if line.settings and line.tstamp and line.games:
                finished.append((line.tstamp, sum((game and game.asks) or 1 for game in line.games)))
    return calls_per_second(finished)


def answering_pace(files: Iterable[Path]) -> float | None:
    """The same for answers: choices per second (a choice of several turns counts once)."""
    finished: list[tuple[float, int]] = []
    for file in files:
        for _, _, line in answer_lines.read(file, ProblemLog(file)):
            if line.settings and line.tstamp and line.choices:
                finished.append((line.tstamp, len(line.choices)))
    return calls_per_second(finished)


def calls_per_second(finished: Sequence[tuple[float, int]]) -> float | None:
    """The pace while there was work, from (when a record was finished, calls it took) in any order.

    Pauses between runs are left out: a gap far longer than is usual ends a stretch of work. The first record of each
    stretch only marks its beginning. None if no stretch has enough records.
    """
    ordered = sorted(finished)
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(ordered)]
    if not gaps:
        return None
    pause = max(_LONGEST_PAUSE, 20.0 * median(gaps))
    seconds, calls = 0.0, 0
    begin = 0
    for at in range(1, len(ordered) + 1):
        if at < len(ordered) and gaps[at - 1] <= pause:
            continue
        if at - begin >= _FEWEST:
            seconds += ordered[at - 1][0] - ordered[begin][0]
            calls += sum(record_calls for _, record_calls in ordered[begin + 1 : at])
        begin = at
    return calls / seconds if seconds > 0.0 else None
