"""Splits a bench in two, so that nothing is tuned on the questions that a result is reported on.

The parts are benches of their own, `<bench>-dev` and `<bench>-test`. A question's place follows from the seed and its
id alone: within each category the questions are ordered by a hash of both, and the first ones are the dev part, in
proportion to the categories. Near-duplicates stay together. Where the parts exist already, every question keeps its
part, and only new ones are placed: what was once tuned on is never reported on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.bench import Bench
from engine.bench.appender import append_lines
from engine.bench.atomic import make_folder, storage_error, write_file
from engine.bench.layout import BenchPaths
from engine.bench.lines import ProblemLog, json_lines
from engine.bench.lock import BenchLock
from engine.bench.question_source import QuestionSource, SplitRecord, read_source, write_source
from engine.bench.settings import load_settings, register_settings
from engine.bench.stored import load_questions
from engine.errors import UsageProblem
from engine.opening import open_regular
from engine.question_sets.duplicates import find_duplicates
from engine.records import Question

if TYPE_CHECKING:
    import polars as pl

PARTS = ("dev", "test")
_BATCH = 500  # lines


class PartReport(msgspec.Struct, frozen=True):
    """One part of a split: its bench, its questions in all, how many are new in it, and the records carried over."""

    bench: str
    questions: int
    new: int
    categories: dict[str, int]
    answers: int = 0
    judgments: int = 0


class SplitReport(msgspec.Struct, frozen=True):
    """A split of a bench. `together` counts questions that near-duplicates brought into the part of another one."""

    bench: str
    seed: int
    parts: tuple[PartReport, ...]
    together: int
    extended: bool


def split_bench(bench: Bench, dev: int, seed: int, *, with_results: bool = False) -> SplitReport:
    """Write both parts of a bench. With results, answers and judgments of each part's questions are copied.

    Raises UsageProblem for a `dev` that leaves no questions for the test, or for parts of another split; BenchError for
    files that cannot be read, BenchLocked, StorageError.
    """
    questions = bench.questions().items
    if not 0 < dev < len(questions):
        raise UsageProblem(f"{bench.name} has {len(questions)} questions: {dev} for dev leave none for the test")
    homes = {part: BenchPaths(bench.paths.root.parent / f"{bench.name}-{part}") for part in PARTS}
    wanted = {part: SplitRecord(bench.name, part, dev, seed) for part in PARTS}
    extended = _check_parts(homes, wanted)
    held = {
        question.id: part
        for part, home in homes.items()
        if home.questions.exists()
        for question in load_questions(home.questions).items
    }
    assigned, together = assign(questions, dev, seed, held)
    reports = []
    for part, home in homes.items():
        own = [question for question in questions if assigned[question.id] == part]
        new = [question for question in own if question.id not in held]
        reports.append(_write_part(bench, home, wanted[part], own, new, with_results=with_results))
    return SplitReport(bench.name, seed, tuple(reports), together, extended)


def assign(
    questions: Sequence[Question], dev: int, seed: int, held: Mapping[str, str] | None = None
) -> tuple[dict[str, str], int]:
    """Return the part of each question, and how many stand where a near-duplicate of theirs does. Pure.

    `held` has the part of those that were placed before, which is kept.
    """
    held = held or {}
    groups = _groups(questions)
    places = {question.id: held[question.id] for question in questions if question.id in held}
    together = 0
    free: list[list[Question]] = []
    for group in groups:
        known = [places[question.id] for question in group if question.id in places]
        new = [question for question in group if question.id not in places]
        if known and new:
            part = "dev" if "dev" in known else "test"
            places |= {question.id: part for question in new}
            together += len(new)
        elif new:
            free.append(new)
            together += len(new) - 1
    missing = dev - sum(part == "dev" for part in places.values())
    chosen = _drawn(free, missing, seed) if missing > 0 else set[str]()
    places |= {question.id: "dev" if question.id in chosen else "test" for group in free for question in group}
    return places, together


def _groups(questions: Sequence[Question]) -> list[list[Question]]:
    """Return the questions, those alike as one group, in the order of the first of each."""
    found = find_duplicates(["\n".join(question.shown) for question in questions])
    leaders: dict[int, int] = {}
    for group in (*found.exact, *found.near):
        leader = min(leaders.get(place, place) for place in group)
        leaders |= dict.fromkeys(group, leader)
    groups: dict[int, list[Question]] = {}
    for place, question in enumerate(questions):
        groups.setdefault(leaders.get(place, place), []).append(question)
    return list(groups.values())


def _drawn(free: Sequence[Sequence[Question]], missing: int, seed: int) -> set[str]:
    """Return the ids of the questions that are drawn for the dev part, `missing` of them if groups allow it."""
    strata: dict[str, list[Sequence[Question]]] = {}
    for group in free:
        strata.setdefault(group[0].category, []).append(group)
    sizes = {category: sum(map(len, groups)) for category, groups in strata.items()}
    quotas = _quotas(sizes, min(missing, sum(sizes.values())), seed)
    chosen: set[str] = set()
    left_over: list[Sequence[Question]] = []
    for category, groups in sorted(strata.items()):
        room = quotas[category]
        for group in sorted(groups, key=lambda each: _rank(seed, each[0].id)):
            if len(group) <= room:
                chosen |= {question.id for question in group}
                room -= len(group)
            else:
                left_over.append(group)
    for group in sorted(left_over, key=lambda each: (len(each), _rank(seed, each[0].id))):
        if len(chosen) + len(group) <= missing:  # a group that did not fit left room in its category
            chosen |= {question.id for question in group}
    return chosen


def _quotas(sizes: Mapping[str, int], total: int, seed: int) -> dict[str, int]:
    """Return the share of each category in `total`, by largest remainders, among equal ones by the seed."""
    whole = sum(sizes.values())
    exact = {category: total * size / whole for category, size in sizes.items()}
    quotas = {category: int(share) for category, share in exact.items()}
    rest = total - sum(quotas.values())
    for category in sorted(exact, key=lambda each: (quotas[each] - exact[each], _rank(seed, each)))[:rest]:
        quotas[category] += 1
    return quotas


def _rank(seed: int, question_id: str) -> bytes:
    return blake2b(f"{seed}\0{question_id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _check_parts(homes: Mapping[str, BenchPaths], wanted: Mapping[str, SplitRecord]) -> bool:
    """Return whether the parts exist. Raises UsageProblem if they are not of this split."""
    existing = [part for part, home in homes.items() if home.root.exists()]
    for part in existing:
        source = read_source(homes[part])
        known = source.part_of if source is not None else None
        if known is None or (known.of, known.part, known.seed) != (wanted[part].of, part, wanted[part].seed):
            what = "is no part of a split" if known is None else f"is of seed {known.seed} of {known.of}"
            raise UsageProblem(f"{homes[part].root}: exists and {what}", "rename it, or use its seed")
    if len(existing) == 1:
        raise UsageProblem(f"{homes[existing[0]].root}: exists without the other part", "restore or remove it")
    return bool(existing)


def _write_part(
    bench: Bench,
    home: BenchPaths,
    record: SplitRecord,
    own: Sequence[Question],
    new: Sequence[Question],
    *,
    with_results: bool,
) -> PartReport:
    ids = {question.id for question in new}
    lines = _lines_of(bench.paths.questions, bench.index.questions().frame, ids)
    try:
        make_folder(home.root)
    except OSError as error:
        raise storage_error(home.root, error) from error
    with BenchLock(home):
        before = home.questions.read_bytes() if home.questions.exists() else b""
        if new:
            write_file(home.questions, before + b"".join(line + b"\n" for line in lines))
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: UP017  # one spelling for all versions
        origin = read_source(bench.paths)
        source = msgspec.structs.replace(
            origin or QuestionSource(source="split", added=now, questions=0),
            added=now,
            questions=len(own),
            part_of=record,
        )
        write_source(home, source)
        counts = _copy_results(bench, home, ids) if with_results else (0, 0)
    categories: dict[str, int] = {}
    for question in own:
        categories[question.category] = categories.get(question.category, 0) + 1
    return PartReport(home.name, len(own), len(new), dict(sorted(categories.items())), *counts)


def _copy_results(bench: Bench, home: BenchPaths, ids: set[str]) -> tuple[int, int]:
    """Append the answers, judgments and labels of people of these questions; return how many answers and judgments."""
    answers = judgments = 0
    for model in bench.models_with_answers():
        usable = bench.index.answers(model).frame.drop_nulls("digest")
        answers += _append(home.answers(model), _lines_of(bench.paths.answers(model), usable, ids))
    for judge in bench.judges():
        for model in bench.judged_models(judge):
            path, frame = bench.paths.judgments(judge, model), bench.index.judgments(judge, model).frame
            judgments += _append(home.judgments(judge, model), _lines_of(path, frame, ids))
    for path in sorted(bench.paths.review_dir.glob("*.jsonl")):
        labels = (
            line
            for _, line in json_lines(path, ProblemLog(path))
            if msgspec.json.decode(line).get("question_id") in ids
        )
        _append(home.review_dir / path.name, labels)
    if known := load_settings(bench.paths.settings):
        register_settings(home.settings, known)
    return answers, judgments


def _append(path: Path, lines: Iterable[bytes]) -> int:
    """Append lines to a file, a batch at a time; return their number."""
    count = 0
    waiting = iter(lines)
    while batch := [line + b"\n" for line in islice(waiting, _BATCH)]:
        append_lines(path, batch)
        count += len(batch)
    return count


def _lines_of(path: Path, frame: pl.DataFrame, ids: set[str]) -> Iterator[bytes]:
    """Yield the lines of a file that are records of these questions, in its order."""
    spans = frame.select("key", "start", "length").iter_rows()
    rows = sorted((start, length) for key, start, length in spans if key in ids)
    if not rows:
        return
    with open_regular(path) as stream:
        for start, length in rows:
            stream.seek(start)
            yield stream.read(length)
