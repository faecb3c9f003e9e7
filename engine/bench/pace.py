"""How fast records of a bench were made: calls per second, from the times in its files.

Only this program's own records count: it alone writes `settings`, and times of others are not from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from engine.bench.index import BenchIndex, Table

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.ratings.power import MeasuredPace

_FEWEST = 20  # records of one stretch of work whose pace is measured
_LONGEST_PAUSE = 60.0  # seconds without a record that surely are a pause, unless records always take that long


def measured_pace(bench: Bench | None, judges: Iterable[str]) -> MeasuredPace:
    """Measure the pace of judges and of all answering models of a bench; unknown without a bench. Raises BenchError."""
    from engine.ratings.power import MeasuredPace

    if bench is None:
        return MeasuredPace()
    return MeasuredPace(judging_pace(bench.index, judges), answering_pace(bench.index, bench.models_with_answers()))


def judging_pace(index: BenchIndex, judges: Iterable[str]) -> float | None:
    """Return the calls per second of the judges, made side by side; None if it is not known.

    Raises BenchError if a file cannot be read.
    """
    tables = (index.judgments(judge, model) for judge in judges for model in index.paths.judged_models(judge))
    return _pace(tables, "asks")


def answering_pace(index: BenchIndex, models: Iterable[str]) -> float | None:
    """Return the same for answers: choices per second (a choice of several turns counts once)."""
    return _pace(map(index.answers, models), "choices")


def calls_per_second(finished: Sequence[tuple[float, int]]) -> float | None:
    """Return the pace while there was work, from (when a record was finished, calls it took) in any order.

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


def _pace(tables: Iterable[Table], calls: str) -> float | None:
    import polars as pl

    finished: list[tuple[float, int]] = []
    for table in tables:
        own = table.frame.filter((pl.col("settings") != "") & (pl.col("tstamp") != 0.0) & (pl.col(calls) > 0))
        finished += own.select("tstamp", calls).iter_rows()
    return calls_per_second(finished)
