"""`Bench`: the questions of a bench, the records made from them, and what is unfinished."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.bench.index import BenchIndex
from engine.bench.layout import BenchPaths
from engine.bench.lines import FileProblem, LineSpan, Loaded, read_object
from engine.bench.packed import UNPACK, packed_file
from engine.bench.run_files import Part, compact, load_failures, load_journal
from engine.bench.settings import Settings, describe_settings, load_settings, register_settings
from engine.errors import Advice, AdviceKind, BenchError
from engine.labels import labels_of
from engine.opening import check_tree
from engine.records import AnswerPart, Failure, Question

if TYPE_CHECKING:  # what reads texts is loaded when it is used: a leaderboard from the index does without
    from engine.bench.current import CurrentJudgments
    from engine.bench.stored import ListedAnswer, StoredAnswer, StoredJudgment, WholeAnswer

_LONGEST_NAME = 255  # bytes


class Bench:
    """Reads one bench folder; every call returns what its file holds now. `index` has tables of the files, `current`
    the test of which judgments are of today's texts.

    Reading takes no lock, so a bench may be read while a run writes to it; a line that is just being written reads as
    torn. Absent files are empty. All methods raise BenchError for a file that cannot be read at all.
    """

    def __init__(self, root: Path) -> None:
        self.paths = BenchPaths(root)
        self.name = self.paths.name
        self.index = BenchIndex(self.paths)

    @cached_property
    def current(self) -> CurrentJudgments:
        from engine.bench.current import CurrentJudgments

        return CurrentJudgments(self.index)

    @classmethod
    def open(cls, data: Path, name: str) -> Bench:
        """Return the bench `data/name`. Raises BenchError, with the available ones, if it has no question set."""
        bench = cls(data / name)
        is_name = name not in (".", "..") and Path(name).name == name and len(os.fsencode(name)) <= _LONGEST_NAME
        if is_name and bench.paths.questions.is_file():
            check_tree(bench.paths.root, bench.paths.root, data)
            return bench
        if is_name and os.path.lexists(bench.paths.questions):
            check_tree(bench.paths.root, bench.paths.root, data)
            raise BenchError(
                f"{bench.paths.questions}: is a folder, or a link that leads nowhere", "put the file there"
            )
        if is_name and (packed := packed_file(bench.paths.questions)) is not None:
            raise BenchError(f"{bench.paths.questions}: absent, there is only {packed.name}", UNPACK)
        available = benches(data)
        near = difflib.get_close_matches(name, available, n=1, cutoff=0.5)
        if near:
            hint = f"did you mean {near[0]!r}?"
        elif available:
            hint = f"available: {', '.join(available)}"
        else:
            hint = Advice("import one", AdviceKind.IMPORT)
        raise BenchError(f"no bench {name!r} in {data} (a folder with a question.jsonl)", hint)

    def questions(self) -> Loaded[list[Question]]:
        from engine.bench.stored import load_questions

        return load_questions(self.paths.questions)

    def answers(self, model: str) -> Loaded[dict[str, StoredAnswer]]:
        """By question id."""
        from engine.bench.stored import load_answers

        return load_answers(self.paths.answers(model))

    def listed_answers(self, model: str) -> Loaded[dict[str, ListedAnswer]]:
        """By question id; their texts are read only when they are used."""
        from engine.bench.stored import ListedAnswer

        table = self.index.answers(model)
        rows = table.frame.select("key", "start", "length", "settings", "inputs", "choices").iter_rows()
        return Loaded(
            {
                key: ListedAnswer(table.path, LineSpan(start, length), key, settings, inputs, count)
                for key, start, length, settings, inputs, count in rows
            },
            table.problems,
        )

    def answer(self, model: str, question_id: str) -> WholeAnswer | None:
        """Return one usable answer, the last to its question."""
        from engine.bench.stored import whole_answer

        table = self.index.answers(model)
        span = table.spans.get(question_id)
        return None if span is None else whole_answer(read_object(table.path, span), question_id)

    def token_lengths(self, model: str) -> Loaded[dict[str, int | None]]:
        """By question id; None where the file does not have it."""
        table = self.index.answers(model)
        return Loaded(dict(table.frame.select("key", "tokens").iter_rows()), table.problems)

    def judgments(self, judge: str, model: str, *, baseline: str | None = None) -> Loaded[dict[str, StoredJudgment]]:
        """By question id; see `load_judgments` for `baseline`."""
        from engine.bench.stored import load_judgments

        return load_judgments(self.paths.judgments(judge, model), baseline=baseline)

    def failures(self) -> Loaded[list[Failure]]:
        return load_failures(self.paths.errors)

    def problems(self) -> list[FileProblem]:
        """Return everything in its files that cannot be used as it is, with file and line."""
        found = [*self.questions().problems, *self.failures().problems, *load_journal(self.paths.journal).problems]
        tables = [
            *map(self.index.answers, self.models_with_answers()),
            *(
                table
                for judge in self.judges()
                for model in self.judged_models(judge)
                for table in (self.index.judgments(judge, model), self.index.repeats(judge, model))
            ),
        ]
        return found + [problem for table in tables for problem in table.problems]

    def models_with_answers(self) -> list[str]:
        return self.paths.models_with_answers()

    def judges(self) -> list[str]:
        return self.paths.judges()

    def judged_models(self, judge: str) -> list[str]:
        return self.paths.judged_models(judge)

    def journal(self) -> list[Part]:
        """Return the finished parts of unfinished records; one that cannot be read is made again."""
        return load_journal(self.paths.journal).items

    def compact_journal(self) -> None:
        """Drop the parts whose records are complete. The caller holds the lock, and no writer is open."""
        parts = self.journal()
        if parts or self.paths.journal.exists():
            compact(self.paths.journal, _Wholeness(self).unfinished(parts))

    def settings(self) -> dict[str, Settings]:
        """Return what the settings digests in the records stand for."""
        return load_settings(self.paths.settings)

    def register_settings(self, settings: Mapping[str, Settings]) -> None:
        """Keep what new digests stand for. The caller holds the lock. Raises StorageError."""
        register_settings(self.paths.settings, settings)

    def describe_settings(self, digest: str, current: Mapping[str, Settings]) -> str:
        """Return how the settings of `digest` differ from today's, such as "max_tokens=1520 (now 4096)"."""
        return describe_settings(digest, self.settings(), current)


class _Wholeness:
    """Finds the parts that still wait for the rest of their record."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._answers: dict[str, Mapping[str, ListedAnswer]] = {}
        self._whole: dict[tuple[str, str], set[tuple[object, ...]]] = {}

    def unfinished(self, parts: list[Part]) -> list[Part]:
        return [part for part in parts if not self._is_in_record(part)]

    def _is_in_record(self, part: Part) -> bool:
        """Return whether the part is recorded; a record of other settings does not count, it is being recreated."""
        if isinstance(part, AnswerPart):
            if part.model not in self._answers:
                self._answers[part.model] = self._bench.listed_answers(part.model).items
            record = self._answers[part.model].get(part.question_id)
            return (
                record is not None
                and record.settings in (None, part.settings)
                and (record.inputs == part.inputs or None in (record.inputs, part.inputs))
                and part.choice.index < record.count
            )
        key = part.judge, part.model
        if key not in self._whole:
            # By the texts that were compared: a question has a record for each baseline.
            columns = "key", "inputs", "choice", "repeat", "settings", "games"
            tables = self._bench.index.judgments(*key), self._bench.index.repeats(*key)
            last = {
                tuple(texts): (settings, not all(labels_of(games)[1]))
                for table in tables
                for *texts, settings, games in table.frame.select(columns).iter_rows()
            }
            self._whole[key] = {(*texts, settings) for texts, (settings, is_open) in last.items() if not is_open}
        return (part.question_id, part.inputs, part.choice, part.repeat, part.settings) in self._whole[key]


def benches(data: Path) -> list[str]:
    """Return the names of all benches in a data folder, sorted."""
    if not data.is_dir():
        return []
    return sorted(entry.parent.name for entry in data.glob("*/question.jsonl") if not entry.parent.name.startswith("."))
