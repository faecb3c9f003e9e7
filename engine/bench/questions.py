"""Question sets of both generations."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from engine.bench.jsonl import LINE, scan
from engine.bench.problems import Loaded, ProblemLog
from engine.bench.schema import QUESTION
from engine.records import Question


def load_questions(path: Path) -> Loaded[list[Question]]:
    """The questions in the order of the file; of two with one id the first is kept and the other told.

    The cluster of a generation 2 question is its `subcategory`. Raises BenchError if the file cannot be read.
    """
    log = ProblemLog(path)
    frame = scan(path, QUESTION, log)
    turns = pl.col("turns").list.eval(pl.element().struct.field("content"))
    rows = frame.select(
        LINE,
        pl.coalesce("question_id", "uid"),
        pl.coalesce(turns, pl.concat_list("prompt")),
        pl.col("category").fill_null(""),
        pl.coalesce("cluster", "subcategory").fill_null(""),
    ).rows()
    first_seen: dict[str, int] = {}
    questions: list[Question] = []
    for line, question_id, texts, category, cluster in rows:
        if not question_id:
            log.add(line, "no question_id (or uid) in it")
        elif not texts or not all(text and text.strip() for text in texts):
            log.add(line, f"question {question_id} has no text")
        elif question_id in first_seen:
            log.add(
                line, f"question {question_id} stands in line {first_seen[question_id]} already; this one is left out"
            )
        else:
            first_seen[question_id] = line
            questions.append(Question(question_id, tuple(texts), category, cluster))
    return Loaded(questions, log.result())
