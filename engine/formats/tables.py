"""The judgments as one flat table, a row for each game that was played, as CSV or Parquet.

The columns are those of `GameRow`. A game without a label has null in `label`, `winner` and `points`.

In CSV, no text is a formula. A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` (full-width ones too, and
behind blanks). Such a text gets an apostrophe in front, and so does one that begins with an apostrophe. Where `;`
separates cells, as in many countries, the rest of a text behind a `;` is a cell too, and a formula there gets one as
well. Removing one apostrophe at the start, and one before each formula behind a `;`, restores every text exactly.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec

from engine.bench.atomic import atomic_file
from engine.bench.lines import encode_json
from engine.bench.stored import WholeAnswer
from engine.errors import StorageError
from engine.formats.selection import Selection
from engine.judging.probabilities import Probabilities
from engine.labels import LABELS, Label, is_strong, points_of_model

_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # the full-width forms, on purpose
_BEFORE_A_FORMULA = " \t\r\n\v\f\0\u00a0\u3000\ufeff"
_MARK = "'"
_CELL_BEHIND_SEMICOLON = re.compile(rf"""(;[\s"]*)({_MARK}*[{re.escape("".join(_FORMULA_STARTS))}])""")


class GameRow(msgspec.Struct, frozen=True):
    """One game. In game 1 the baseline is A, in game 2 the model is; `label` is the judge's.

    `points` is what the model won: 1, 0.5 or 0; `expected_points` what it wins on average over the probabilities that
    the judge gave the labels, which are in the last columns where it was asked for them. `answer` is the model's;
    lengths are in tokens.
    """

    bench: str
    question_id: str
    category: str
    cluster: str
    judge: str
    model: str
    baseline: str
    game: int
    label: Label | None
    winner: Literal["model", "baseline", "tie"] | None
    points: float | None
    strong: bool
    model_tokens: int | None
    baseline_tokens: int | None
    question: str
    answer: str | None
    baseline_answer: str | None
    judgment: str
    expected_points: float | None = None
    p_a_much_better: float | None = None
    p_a_better: float | None = None
    p_equal: float | None = None
    p_b_better: float | None = None
    p_b_much_better: float | None = None


COLUMNS = GameRow.__struct_fields__
_PROBABILITIES = COLUMNS[-len(LABELS) :]  # in the order of the labels


def game_rows(selection: Selection) -> Iterator[GameRow]:
    """Yield every game of the selection, by judge, model and question."""
    for judge, model in selection.judged():
        for question, judgment, _ in selection.judgments(judge, model):
            baseline = judgment.baseline or ""
            baseline_answer = selection.answer(baseline, question.id)
            answer = selection.answer(model, question.id)
            for number, game in enumerate(judgment.games, start=1):
                if game is None:
                    continue
                order = 1 if number % 2 else 2
                points = None if game.label is None else points_of_model(game.label, order)
                odds = game.probabilities
                yield GameRow(
                    bench=selection.bench.name,
                    question_id=question.id,
                    category=question.category,
                    cluster=question.cluster,
                    judge=judge,
                    model=model,
                    baseline=baseline,
                    game=number,
                    label=game.label,
                    winner=None if points is None else _winner(points),
                    points=points,
                    strong=is_strong(game.label),
                    model_tokens=answer.token_len if answer else None,
                    baseline_tokens=baseline_answer.token_len if baseline_answer else None,
                    question="\n\n".join(question.shown),
                    answer=_text(answer),
                    baseline_answer=_text(baseline_answer),
                    judgment=game.judgment,
                    expected_points=None if odds is None else expected_points(odds, order),
                    **({} if odds is None else dict(zip(_PROBABILITIES, map(odds.__getitem__, LABELS), strict=True))),
                )


def expected_points(probabilities: Probabilities, game: int) -> float:
    """Return what the model wins of game 1 or 2 on average over the probabilities of the labels."""
    return sum(chance * points_of_model(label, game) for label, chance in probabilities.items())


def export_csv(selection: Selection, path: Path) -> int:
    """Write the table as CSV (UTF-8) without formulas; return the number of rows. Raises StorageError."""
    rows = (map(_cell, msgspec.structs.astuple(row)) for row in game_rows(selection))
    # Every text is quoted: an unquoted one could be cut into several cells where a spreadsheet expects semicolons.
    return write_csv(path, COLUMNS, rows, quoting=csv.QUOTE_NONNUMERIC)


def write_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]], *, quoting: Literal[0, 2] = csv.QUOTE_MINIMAL
) -> int:
    """Write a table as CSV (UTF-8); return the number of its rows. Raises StorageError."""
    count = 0
    with atomic_file(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8", errors="replace", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n", quoting=quoting)
        writer.writerow(columns)
        for row in rows:
            writer.writerow(list(row))
            count += 1
        text.detach()
    return count


def export_parquet(selection: Selection, path: Path) -> int:
    """Write the table as Parquet; return the number of rows. Raises StorageError."""
    import polars as pl

    return write_parquet(path, game_rows(selection), {name: _type(pl, name) for name in COLUMNS})


def write_parquet(path: Path, records: Iterable[object], schema: Mapping[str, Any]) -> int:
    """Write records as Parquet; return their number. Raises StorageError.

    They go through a file of JSON lines: Polars streams from one file to another, but not from a generator.
    """
    import polars as pl

    count = 0
    with atomic_file(path) as stream, TemporaryDirectory(dir=path.parent, prefix=".arena-tui-") as folder:
        lines = Path(folder) / "rows.jsonl"
        with lines.open("wb") as rows:
            for record in records:
                rows.write(encode_json(record) + b"\n")
                count += 1
        table = pl.scan_ndjson(lines, schema=dict(schema)) if count else pl.LazyFrame(schema=dict(schema))
        try:
            table.sink_parquet(stream, compression="zstd")
        except pl.exceptions.PolarsError as error:  # it wraps the error of the disk
            raise StorageError(f"{path}: cannot be written: {error}", "check the disk and the folder") from error
    return count


def neutral(text: str) -> str:
    """Return the text as a cell that is shown and never run."""
    text = _CELL_BEHIND_SEMICOLON.sub(rf"\1{_MARK}\2", text)
    starts = text[:1] in ("\t", "\r", "\n", _MARK)
    return _MARK + text if starts or text.lstrip(_BEFORE_A_FORMULA).startswith(_FORMULA_STARTS) else text


def _type(pl: Any, name: str) -> Any:
    if name.endswith("points") or name in _PROBABILITIES:
        return pl.Float64
    kinds = {"game": pl.Int64, "strong": pl.Boolean}
    return kinds.get(name, pl.Int64 if name.endswith("_tokens") else pl.String)


def _winner(points: float) -> Literal["model", "baseline", "tie"]:
    return "tie" if points == 0.5 else "model" if points else "baseline"


def _text(answer: WholeAnswer | None) -> str | None:
    return "\n\n".join(answer.turns) if answer is not None else None


def _cell(value: object) -> object:
    if isinstance(value, str):
        return neutral(value)
    return str(value).lower() if isinstance(value, bool) else value
