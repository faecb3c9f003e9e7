"""A folder that `datasets.load_dataset` reads and a hub shows: Parquet files, and a card with the results.

README.md               the card: results, how they were made, what the files hold
data/questions.parquet  question_id, category, cluster, turns, context
data/answers.parquet    question_id, model, turns, tokens, finish_reason
data/games.parquet      a row a game, as the format `parquet` has it
data/leaderboard.parquet

datasets.load_dataset("FOLDER", "games", split="test")
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from engine.bench.atomic import write_file
from engine.formats.published import TOOL, PublishedBench
from engine.formats.selection import Selection
from engine.formats.tables import export_parquet, write_parquet
from engine.ratings.leaderboard import Row

CONFIGS = ("games", "questions", "answers", "leaderboard")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$&]")


def write_data_set(published: PublishedBench, folder: Path) -> Iterator[tuple[str, int]]:
    """Write the files into `folder`, and yield each with its number of records. Raises StorageError."""
    import polars as pl

    selection, data = published.selection, folder / "data"
    data.mkdir()
    turns = pl.List(pl.String)
    counts = {"games": export_parquet(selection, data / "games.parquet")}
    schema = dict.fromkeys(("question_id", "category", "cluster"), pl.String)
    message = pl.Struct({"role": pl.String, "content": pl.String})
    asked = {**schema, "turns": turns, "context": pl.List(message)}
    counts["questions"] = write_parquet(data / "questions.parquet", _questions(selection), asked)
    answered = {"question_id": pl.String, "model": pl.String, "turns": turns, "tokens": pl.Int64}
    answered["finish_reason"] = pl.String
    counts["answers"] = write_parquet(data / "answers.parquet", _answers(selection), answered)
    rated = {"rank": pl.Int64, "model": pl.String, **dict.fromkeys(("score", "lower", "upper"), pl.Float64)}
    rated |= dict.fromkeys(("avg_tokens", "questions", "games", "unparsed", "missing"), pl.Int64)
    rows = (_only(row, rated) for row in published.board.rows)
    counts["leaderboard"] = write_parquet(data / "leaderboard.parquet", rows, rated)
    write_file(folder / "README.md", _card(published, counts).encode())
    yield "README.md", 1
    yield from ((f"data/{name}.parquet", counts[name]) for name in CONFIGS)


def _questions(selection: Selection) -> Iterator[dict[str, Any]]:
    for question in selection.questions.values():
        yield {
            "question_id": question.id,
            "category": question.category,
            "cluster": question.cluster,
            "turns": question.turns,
            "context": question.context,
        }


def _answers(selection: Selection) -> Iterator[dict[str, Any]]:
    for model in selection.models:
        for question, answer, _ in selection.answers(model):
            yield {
                "question_id": question.id,
                "model": model,
                "turns": answer.turns,
                "tokens": answer.token_len,
                "finish_reason": answer.finish_reason,
            }


def _only(row: Row, columns: Any) -> dict[str, Any]:
    fields = msgspec.structs.asdict(row)
    return {name: fields[name] for name in columns}


def _card(published: PublishedBench, counts: dict[str, int]) -> str:
    largest = max(counts.values())
    head = {
        "pretty_name": f"{published.name}: answers and judgments",
        "tags": ["llm-as-judge", "arena-hard", "pairwise", TOOL],
        "task_categories": ["text-generation"],
        "size_categories": [next((name for limit, name in _SIZES if largest < limit), "1M<n<10M")],
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": "test", "path": f"data/{name}.parquet"}],
                **({"default": True} if name == CONFIGS[0] else {}),
            }
            for name in CONFIGS
        ],
    }
    rows = [
        f"| {row.rank} | {_safe(row.model)} | {row.score:.1f} | {row.lower:.1f} to {row.upper:.1f} | "
        f"{'' if row.avg_tokens is None else row.avg_tokens} | {row.games} |"
        for row in published.board.rows
    ]
    source = published.source
    origin = f"{source.source} at {source.revision}" if source is not None and source.revision else "not from a hub"
    warnings = [f"- {_safe(str(warning))}" for warning in published.board.warnings]
    parts = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {_safe(published.name)}",
        "",
        f"Answers to {len(published.selection.questions)} questions, compared with those of "
        f"{_safe(published.opponent)} by {_safe(published.judges)} in both orders. A score is the Bradley-Terry win "
        f"rate in percent, with a 95% interval ({published.limits}).",
        "",
        "| rank | model | score | 95% interval | tokens | games |",
        "|---:|---|---:|---|---:|---:|",
        *rows,
        "",
        *(["Warnings:", "", *warnings, ""] if warnings else []),
        f"Questions: {_safe(origin)}. Made with {TOOL} {published.version}. Answers are the output of the named "
        "models; their licences apply.",
        "",
    ]
    return "\n".join(parts)


def _safe(text: str) -> str:
    """Return a text as Markdown that shows it, on one line."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
