"""Removes a bench: what is lost is named before, and results only go where that was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from engine.bench import Bench
from engine.bench.atomic import storage_error
from engine.bench.lock import BenchLock
from engine.errors import Advice, AdviceKind, UsageProblem


class HeldResults(msgspec.Struct, frozen=True):
    """A folder or file of a bench that took calls or people's time to make: its path, records and bytes."""

    path: Path
    records: int
    size: int


def held_results(bench: Bench) -> list[HeldResults]:
    """Return what removing a bench would destroy beside its question set: answers, judgments and labels of people."""
    paths = bench.paths
    by_judge = [*paths.judgments_dir.glob("*"), *paths.repeats_dir.glob("*")]
    judged = sorted(folder for folder in by_judge if folder.is_dir())
    found = [_held(folder) for folder in (paths.answers_dir, *judged, paths.review_dir)]
    if paths.probes.is_file():
        found.append(HeldResults(paths.probes, _lines(paths.probes), paths.probes.stat().st_size))
    return [each for each in found if each.size]


def remove_bench(bench: Bench, *, with_results: bool) -> None:
    """Delete a bench from the disk; of a folder that is a link, only the link.

    Raises UsageProblem for a bench with results unless they are to go too, BenchLocked while a run writes to it,
    StorageError.
    """
    root = bench.paths.root
    if root.is_symlink():
        root.unlink()
        return
    held = held_results(bench)
    if held and not with_results:
        raise UsageProblem(
            f"{root}: holds {sum(each.records for each in held)} answers, judgments and labels; nothing was removed",
            Advice("move them away, or remove them too", AdviceKind.WITH_RESULTS),
        )
    try:
        with BenchLock(bench.paths):
            # The question set goes first: what an interruption leaves is listed as no bench any more.
            bench.paths.questions.unlink(missing_ok=True)
            for path in sorted(root.iterdir()):
                if path.name.startswith(bench.paths.lock.name):
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        shutil.rmtree(root)
    except OSError as error:
        raise storage_error(root, error) from error


def _held(folder: Path) -> HeldResults:
    files = [path for path in folder.rglob("*.jsonl") if path.is_file() and not path.is_symlink()]
    return HeldResults(folder, sum(map(_lines, files)), sum(path.stat().st_size for path in files))


def _lines(path: Path) -> int:
    count = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            count += block.count(b"\n")
    return count
