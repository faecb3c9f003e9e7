"""Battles and bootstrap rounds in files of the original's format: reads published ones, saves those of a bench.

A published `arena_hard_battles.jsonl` has one row a battle, `{question_id, model_a, model_b, winner}`, with the rows of
a strong label repeated (three times by default). Reading turns them back into games, so that another weight can be
tried and games can be counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from engine.bench.atomic import atomic_file
from engine.bench.lines import FileProblem, ProblemLog
from engine.errors import Advice, AdviceKind, BenchError
from engine.formats.foreign_pairs import battle_winner
from engine.formats.row_files import is_row_file, read_rows
from engine.labels import DEFAULT_WEIGHT
from engine.opening import read_whole
from engine.ratings.battles import Battles, FloatArray, battles_from_columns
from engine.ratings.bradley_terry import elo

_LARGEST = 8 << 30  # bytes
_WEIGHTS = (DEFAULT_WEIGHT, *range(1, 21))  # the original's default first: short files fit several
_POINTS_OF_B = {"model_a": 0.0, "model_b": 1.0, "tie": 0.5, "tie (bothbad)": 0.5, "both_bad": 0.5}
_WINNERS = {0.0: "model_a", 1.0: "model_b", 0.5: "tie"}
_encoder = msgspec.json.Encoder()


class BattleRow(msgspec.Struct, frozen=True):
    """One line of a battles file; integer ids are read as their decimal string, unknown fields are ignored."""

    question_id: str | int
    model_a: str
    model_b: str
    winner: str


class LoadedBattles(msgspec.Struct, frozen=True):
    """The content of a battles file.

    `rows` counts its valid lines. `weight` is the number of rows of a strong label (None: unknown), which reproduces
    the file's own scores.
    """

    battles: Battles
    rows: int
    weight: int | None
    problems: tuple[FileProblem, ...] = ()


def load_battles(path: Path) -> LoadedBattles:
    """Read a battles file of any arena-hard version, or of any arena in that format: JSON lines, JSON, CSV or Parquet.

    Lines that are not battles are left out and reported by number. Raises BenchError if the file cannot be read or
    holds no battle.
    """
    log = ProblemLog(path)
    if is_row_file(path) and path.suffix != ".jsonl":
        rows = _of_table(path, log)
    else:
        try:
            data = read_whole(path, _LARGEST)
        except OSError as error:
            hint = Advice("check the path", AdviceKind.BATTLES)
            raise BenchError(f"{path}: cannot be read: {error.strerror or error}", hint) from None
        rows = _decode(data.removeprefix(b"\xef\xbb\xbf"), log)
    if not rows:
        first = "".join(f"; {problem.message}" for problem in log.result()[:1])
        raise BenchError(
            f"{path}: holds no battle{first}",
            'each line must be like {"question_id": ..., "model_a": ..., "model_b": ..., "winner": "model_a"}',
        )
    battles, weight = _games(rows, log)
    return LoadedBattles(battles, len(rows), weight, log.result())


def battle_rows(battles: Battles, weight: int) -> Iterator[dict[str, str]]:
    """Yield the battles as rows of the original's file, in the order of the games; a strong label is `weight` rows.

    Of a question with several answers or repeats, these are of the first judgment: a row has no weight.
    """
    kept = battles.first_judgments()
    kept = kept.where(kept.labelled)
    # Rounding the running sum spreads two half-known strong labels over whole rows and keeps their total.
    repeats = np.diff(np.floor(np.cumsum(kept.weights(weight)) + 0.5), prepend=0.0).astype(np.int64)
    columns = (kept.question, kept.model_a, kept.model_b, kept.points, repeats)
    for question, model_a, model_b, points, times in zip(*(column.tolist() for column in columns), strict=True):
        if points not in _WINNERS:
            raise BenchError(
                "expected outcomes cannot be saved as battles: the format has only wins and ties",
                Advice("save battles without soft verdicts", AdviceKind.SOFT),
            )
        row = {
            "question_id": kept.questions[question],
            "model_a": kept.models[model_a],
            "model_b": kept.models[model_b],
            "winner": _WINNERS[points],
        }
        for _ in range(times):
            yield row


def save_battles(path: Path, battles: Battles, weight: int) -> int:
    """Write the battles in the original's format; return the number of rows. Raises StorageError."""
    return _write_lines(path, battle_rows(battles, weight))


def save_bootstrap(path: Path, models: Sequence[str], resampled: FloatArray) -> int:
    """Write bootstrap rounds in the original's format: one row a round, `{model: Elo}`, best median first.

    Args:
        path: the file to write.
        models: the names of the columns.
        resampled: [R, M] win rates against the baseline. Infinite and undetermined ratings are null in the file.

    Raises StorageError.
    """
    ratings = elo(resampled)
    rated = [index for index in range(len(models)) if not np.isnan(ratings[:, index]).all()]
    medians = {index: float(np.nanmedian(resampled[:, index])) for index in rated}
    order = sorted(rated, key=lambda index: (-medians[index], models[index]))
    rows = (
        {models[index]: round(row[index], 10) if np.isfinite(row[index]) else None for index in order}
        for row in ratings.tolist()
    )
    return _write_lines(path, rows)


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write JSON lines; return their number."""
    count = 0
    with atomic_file(path, make_folders=False) as stream:
        for count, row in enumerate(rows, start=1):  # noqa: B007  # the number of the last one
            stream.write(_encoder.encode(row) + b"\n")
    return count


def _of_table(path: Path, log: ProblemLog) -> list[BattleRow]:
    """Return the battles of a table or an array, in order; a row without an id is a question of its own."""
    rows = []
    for number, fields in read_rows(path, log).rows:
        key = next((fields[name] for name in ("question_id", "id") if fields.get(name) not in (None, "")), number)
        winner = battle_winner(fields)
        if winner is None or not all(isinstance(fields.get(name), str) for name in ("model_a", "model_b")):
            log.add(number, "not a battle: it needs model_a, model_b and winner")
        elif winner in _POINTS_OF_B:
            rows.append(BattleRow(str(key), fields["model_a"], fields["model_b"], winner))
        else:
            log.add(number, f"the winner {winner[:40]!r} is unknown")
    return rows


def _decode(data: bytes, log: ProblemLog) -> list[BattleRow]:
    """Return the valid rows in order; every other line that is not blank is a problem."""
    decoder = msgspec.json.Decoder(BattleRow)
    rows = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.add(number, f"not a battle: {error}")
            continue
        if row.winner in _POINTS_OF_B:
            rows.append(row)
        else:
            log.add(number, f"the winner {row.winner[:40]!r} is unknown")
    return rows


def _games(rows: list[BattleRow], log: ProblemLog) -> tuple[Battles, int | None]:
    """Turn repeated rows back into games, and return the file's weight; the log gets rows that are ambiguous."""
    comparisons: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        comparisons.setdefault((str(row.question_id), row.model_a, row.model_b), []).append(_POINTS_OF_B[row.winner])
    weight = strong_weight(comparisons.values())
    pair: list[int] = []
    found: list[RowGame] = []
    ambiguous = 0
    for index, points in enumerate(comparisons.values()):
        games = games_of_rows(points, weight) if weight else None
        if games is None:
            ambiguous += 1
            games = [RowGame(0, won) for won in points]
        found += games
        pair += [index] * len(games)
    if ambiguous:
        log.add(
            None,
            f"the rows of {ambiguous} of {len(comparisons)} comparisons cannot be traced back to two games; each row "
            "counts as one plain game, whatever the weight",
        )
    questions, models_a, models_b = zip(*comparisons, strict=True)
    place = np.array(pair)
    battles = battles_from_columns(
        questions,
        (*models_a, *models_b),
        [""],
        question=place,
        model_a=place,
        model_b=place + len(models_a),
        judge=np.zeros_like(place),
        game=np.array([game.number for game in found]),
        points=np.array([game.points for game in found]),
        strong=np.array([game.strong for game in found]),
    )
    return battles, weight


class RowGame(NamedTuple):
    """A game found in rows: its number (0: unknown), the points of model_b, how likely its label was strong."""

    number: int
    points: float
    strong: float = 0.0


def strong_weight(comparisons: Collection[Sequence[float]]) -> int | None:
    """Return how many rows a strong label has, from the points of all comparisons' rows.

    A comparison is one question and one pair of models: at most two games, each of 1 or `weight` equal rows. The weight
    that explains the most comparisons is taken; None if no weight explains half of them.
    """
    best, most = None, (len(comparisons) - 1) // 2
    for weight in _WEIGHTS:
        explained = sum(games_of_rows(points, weight) is not None for points in comparisons)
        if explained > most:
            best, most = weight, explained
        if explained == len(comparisons):
            break
    return best


def games_of_rows(points: Sequence[float], weight: int) -> list[RowGame] | None:
    """Return the games of one comparison, from its rows in order; None when they cannot be one or two games.

    A single game counts as the first. Of four equal rows at weight 3 one game was strong, but it is unknown which: both
    get half.
    """
    rows = len(points)
    first, last = points[0], points[-1]
    if rows == 1:
        return [RowGame(1, first)]
    if rows == 2:
        return [RowGame(1, first), RowGame(2, last)]
    if rows == weight and _alike(points):
        return [RowGame(1, first, 1.0)]
    if rows == 2 * weight and _alike(points[:weight]) and _alike(points[weight:]):
        return [RowGame(1, first, 1.0), RowGame(2, last, 1.0)]
    if rows == weight + 1:
        if _alike(points):
            return [RowGame(1, first, 0.5), RowGame(2, last, 0.5)]
        if _alike(points[1:]):
            return [RowGame(1, first), RowGame(2, last, 1.0)]
        if _alike(points[:-1]):
            return [RowGame(1, first, 1.0), RowGame(2, last)]
    return None


def _alike(points: Sequence[float]) -> bool:
    return len(set(points)) == 1
