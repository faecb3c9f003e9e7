"""The style of the answers of a bench, as style control and the audit of a judge need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engine.bench import Bench
from engine.bench.stored import StoredAnswer
from engine.ratings.markdown import count_markdown
from engine.ratings.style import COVARIATES, StyleCounts

_BYTES_PER_TOKEN = 4.3  # of UTF-8, in cl100k_base, for English and for Russian alike
ESTIMATED = (
    "some answers do not tell their length in tokens: for style control all lengths are estimated from their bytes"
)


def read_style(bench: Bench, models: Sequence[str]) -> tuple[StyleCounts, list[str]]:
    """Length and Markdown of every answer of `models`, and what a reader should know about them."""
    loaded = {model: bench.answers(model) for model in models}
    return count_style({model: found.items for model, found in loaded.items()})


def count_style(answers: Mapping[str, Mapping[str, StoredAnswer]]) -> tuple[StyleCounts, list[str]]:
    """The same for answers that are read already, by model and question.

    Lengths must be comparable, so the tokens that the files tell are used only if every answer tells them.
    """
    models = tuple(sorted(answers))
    questions = tuple(sorted({question_id for known in answers.values() for question_id in known}))
    row = {question_id: index for index, question_id in enumerate(questions)}
    told = all(answer.token_len is not None for known in answers.values() for answer in known.values())
    counts = np.full((len(questions), len(models), len(COVARIATES)), np.nan)
    for column, model in enumerate(models):
        for question_id, answer in answers[model].items():
            counts[row[question_id], column] = _counts(answer, told)
    return StyleCounts(questions, models, counts), [] if told else [ESTIMATED]


def _counts(answer: StoredAnswer, told: bool) -> tuple[float, int, int, int]:
    """Tokens, headers, list items and bold spans over all turns of an answer."""
    marks = [count_markdown(turn) for turn in answer.turns]
    if told and answer.token_len is not None:
        tokens = float(answer.token_len)
    else:
        tokens = sum(len(turn.encode("utf-8", "surrogatepass")) for turn in answer.turns) / _BYTES_PER_TOKEN
    return (
        tokens,
        sum(mark.header_count for mark in marks),
        sum(mark.list_count for mark in marks),
        sum(mark.bold_count for mark in marks),
    )
