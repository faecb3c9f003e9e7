"""The formats that a bench is written in and read from: the only list, which commands, screens and docs show.

Loads nothing, so that help is printed at once.
"""

from __future__ import annotations

from typing import NamedTuple


class FormatEntry(NamedTuple):
    """A format to write: one file with the `ending`, or a folder where that is empty.

    A `rated` one holds scores, so the leaderboard is computed for it.
    """

    name: str
    about: str
    ending: str = ""
    rated: bool = False

    @property
    def is_folder(self) -> bool:
        return not self.ending


EXPORTS: tuple[FormatEntry, ...] = (
    FormatEntry("csv", "a table with a row per game", ".csv"),
    FormatEntry("parquet", "the same table for polars, pandas, DuckDB", ".parquet"),
    FormatEntry("arena-hard-v0.1", "a folder of generation 1"),
    FormatEntry("arena-hard-v2", "a folder of generation 2"),
    FormatEntry("arena-hard-csv", "the leaderboard as arena-hard-auto publishes it", ".csv", rated=True),
    FormatEntry("alpaca-eval", "a folder of AlpacaEval's outputs and annotations"),
    FormatEntry("every-eval-ever", "records of the shared schema, with every game", rated=True),
    FormatEntry("model-index", "results for model cards, and .eval_results", rated=True),
    FormatEntry("lm-eval", "results as lm-evaluation-harness writes them", rated=True),
    FormatEntry("datasets", "a folder for load_dataset, with a card", rated=True),
)
BY_NAME = {entry.name: entry for entry in EXPORTS}


class ImportEntry(NamedTuple):
    """What an import takes of a program: its short name, and which of its files."""

    name: str
    about: str


IMPORTS: tuple[ImportEntry, ...] = (
    ImportEntry("arena-hard folders and files of either generation", "questions, answers, judgments; whole clones"),
    ImportEntry("its YAML configs", "api_config, gen_answer_config, judge_config"),
    ImportEntry("AlpacaEval", "model_outputs.json, annotations.json"),
    ImportEntry("AutoArena", "a CSV with prompt,response"),
    ImportEntry("MT-bench", "questions, answers, judgments of pairs"),
    ImportEntry("LMArena", "battles with conversations"),
    ImportEntry("JudgeBench", "pairs with their labels, and judgments of them"),
)
