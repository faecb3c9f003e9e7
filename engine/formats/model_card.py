"""Results for model cards of the Hugging Face Hub: a folder a model, with the files that go into its repository.

    <model>/model-index.yaml            the `model-index` for the head of README.md
    <model>/.eval_results/<bench>.yaml  what the hub shows on the model's page and on the data set's leaderboard

The hub takes `.eval_results` of data sets that it holds, so these files are written for benches that were added from
one. Specifications: modelcard.md and eval_results.yaml of huggingface/hub-docs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from engine.formats.published import LEVEL, TOOL, PublishedBench
from engine.ratings.leaderboard import Row


def model_card_files(published: PublishedBench) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of each rated model, with their text."""
    data_set = published.hub_data_set
    if not data_set:
        published.selection.note(
            "no .eval_results: the questions are not from a data set of a hub, on whose leaderboard they would stand"
        )
    for row in published.rows:
        folder = published.folder(row.model)
        yield Path(folder, "model-index.yaml"), _dumped({"model-index": [_model_index(published, row)]})
        if data_set:
            yield Path(folder, ".eval_results", f"{published.name}.yaml"), _dumped([_eval_result(published, row)])


def _model_index(published: PublishedBench, row: Row) -> dict[str, Any]:
    source = published.source
    data_set: dict[str, Any] = {"name": published.name, "type": published.hub_data_set or published.name}
    if source is not None and source.revision:
        chosen = {"config": source.subset, "split": source.split, "revision": source.revision}
        data_set |= {key: value for key, value in chosen.items() if value}
    metric = {
        "type": "win_rate",
        "name": f"win rate against {published.opponent}, judged by {published.judges}",
        "value": round(row.score, 2),
        "args": {
            "lower": round(row.lower, 2),
            "upper": round(row.upper, 2),
            "level": LEVEL,
            "questions": row.questions,
            "limits": published.limits,
            "tool": f"{TOOL} {published.version}",
        },
    }
    task = {"type": "text-generation", "name": "Text generation, compared in pairs by a judge"}
    return {"name": row.model, "results": [{"task": task, "dataset": data_set, "metrics": [metric]}]}


def _eval_result(published: PublishedBench, row: Row) -> dict[str, Any]:
    source = published.source
    assert source is not None  # it has a data set
    return {
        "dataset": {
            "id": published.hub_data_set,
            "task_id": source.subset or "default",
            "revision": source.revision,
        },
        "value": round(row.score, 2),
        "date": published.date(row.model),
        "notes": f"win rate in percent against {published.opponent}, judged by {published.judges}; 95% interval "
        f"{row.lower:.1f} to {row.upper:.1f}, {row.questions} questions, {TOOL} {published.version}",
    }


def _dumped(value: Any) -> bytes:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100).encode()
