"""What the formats of results share: the rated bench, when it was judged, where its questions come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

import msgspec

from engine.bench.lines import encode_json
from engine.bench.names import file_stem
from engine.bench.question_source import QuestionSource, read_source
from engine.formats.selection import Selection
from engine.ratings.leaderboard import Leaderboard, Row
from engine.version import __version__

LEVEL = 0.95
TOOL = "arena-tui"


class PublishedBench:
    """A bench with its leaderboard, as files of results name them. Reads the index of the bench."""

    def __init__(self, selection: Selection, board: Leaderboard) -> None:
        self.selection = selection
        self.board = board
        self.source: QuestionSource | None = read_source(selection.bench.paths)
        self.version = __version__

    @property
    def name(self) -> str:
        return self.selection.bench.name

    @property
    def hub_data_set(self) -> str:
        """The data set of a hub that the questions are from, "" if they are from elsewhere."""
        source = self.source
        return source.source.removeprefix("hub:") if source is not None and source.revision else ""

    @property
    def rows(self) -> list[Row]:
        """Return the models that were rated, best first; a baseline's score is no result."""
        fixed = {self.board.baseline, *(self.board.baseline_by_category or {}).values()}
        return [row for row in self.board.rows if row.model not in fixed and row.model in self.selection.models]

    @property
    def opponent(self) -> str:
        """Return what the models were compared with, in words."""
        by_category = self.board.baseline_by_category
        return f"{', '.join(sorted({*by_category.values()}))} by category" if by_category else self.board.baseline

    @property
    def judges(self) -> str:
        return ", ".join(self.board.judges)

    @property
    def limits(self) -> str:
        """Return how the limits of the scores were computed."""
        if self.board.ci == "sandwich":
            return "sandwich errors clustered by question"
        unit = "questions" if self.board.ci == "question" else "battles"
        return f"bootstrap of {unit}, {self.board.rounds} rounds, seed {self.board.seed}"

    @cached_property
    def judged_at(self) -> Mapping[str, datetime]:
        """Return the time of the last judgment of each model, where the files have it."""
        found: dict[str, float] = {}
        for judge, model in self.selection.judged():
            stamps = self.selection.bench.index.judgments(judge, model).frame["tstamp"].drop_nulls()
            last = float(stamps.max()) if len(stamps) else 0.0  # type: ignore[arg-type]  # a column of numbers
            if last > 0:
                found[model] = max(found.get(model, 0.0), last)
        return {model: datetime.fromtimestamp(stamp, timezone.utc) for model, stamp in found.items()}  # noqa: UP017

    def date(self, model: str) -> str:
        """Return the day of the last judgment of a model, today's where that is unknown."""
        known = self.judged_at.get(model) or datetime.now(timezone.utc)  # noqa: UP017
        return known.strftime("%Y-%m-%d")

    def folder(self, model: str) -> str:
        return file_stem(model)

    def sampling(self, model: str) -> dict[str, Any]:
        """Return how the answers of a model were sampled, if all were made with the same recorded settings."""
        frame = self.selection.bench.index.answers(model).frame
        digests = frame["settings"].drop_nulls().unique().to_list() if len(frame) else []
        settings = self.selection.bench.settings()
        return dict(settings.get(digests[0], {})) if len(digests) == 1 else {}

    def judge_settings(self, judge: str) -> dict[str, Any]:
        """Return the settings of a judge that were recorded last."""
        known = [each for each in self.selection.bench.settings().values() if each.get("judge") == judge]
        return dict(known[-1]) if known else {}

    def notes(self) -> Iterator[str]:
        """Yield the warnings of the leaderboard, which belong to every result."""
        yield from map(str, self.board.warnings)


def document(value: object) -> bytes:
    """Return one JSON document, indented."""
    return msgspec.json.format(encode_json(value), indent=2) + b"\n"


def standard_error(row: Row) -> float:
    """Return the standard error that the limits of a score stand for, in points."""
    return (row.upper - row.lower) / (2 * 1.959964)
