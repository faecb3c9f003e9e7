"""Benches on disk: `data/<bench>/` in the layout of arena-hard, read in both published generations, appended to in one.

`Bench` reads. Writing takes a `lock.BenchLock`, then `repair.recover`, then a `writer.BenchWriter`.

Paths
    layout      where the files of a bench are
    names       names of models as file names, and names that are easily confused
Reading
    lines       JSONL files: lines, byte ranges, problems
    packed      names compressed files and tables, which are not read
    decoding    one decoder for each kind of record, of both generations
    generation_2    new records as a folder of generation 2 holds them
    shapes      records in the shapes of other tools, as the fields that decoding reads
    stored      questions, answers, judgments and replies, whole or as much as a computation needs
    digest      fingerprints of texts
    index       a table of each file under `.index/`, so that no line is parsed twice; tables has their columns
    snapshot    what was computed from many files, kept in the index
    current     which judgments are of today's texts
    judgment_rows   all judgments as rows to list and filter
    pace        calls per second, from the times in the files
    store       `Bench`: all of it together
Writing
    writer      the one writer: batches, announced only once they are synced
    appender    appends whole lines; notices changes by other programs
    atomic      writes or replaces files and folders in one step
    lock        one writer per bench
    repair      cuts torn lines off before a run; mends damaged files on request
    run_files   journal, failures, and what each run was made with
    settings    the settings behind the digests in the records
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.bench.store import Bench, benches

__all__ = ["Bench", "benches"]


def __getattr__(name: str) -> Any:
    """Load the facade, and Polars with it, only where it is used: paths, locks and the writer do without."""
    if name in __all__:
        from engine.bench import store

        return getattr(store, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
