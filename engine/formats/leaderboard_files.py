"""Leaderboards in the files of other programs: arena-hard-auto's CSV and lm-evaluation-harness's JSON.

`arena-hard-csv` has the columns of arena-hard-auto's published leaderboards,
`model,score,rating_q025,rating_q975,CI,avg_tokens,date`, best first, the baseline at 50 among the rows.

`lm-eval` is a file `<model>/results_<time>.json` a model, in the layout of lm-evaluation-harness 0.4: the bench is a
task, and the group of the tasks that its categories are; `win_rate` is between 0 and 1, and `win_rate_stderr` follows
from the limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import UNSET

from engine.formats.published import TOOL, PublishedBench, document, standard_error
from engine.formats.tables import neutral
from engine.ratings.leaderboard import UNNAMED_GROUP, Row

CSV_COLUMNS = ("model", "score", "rating_q025", "rating_q975", "CI", "avg_tokens", "date")


def arena_hard_rows(published: PublishedBench) -> Iterator[tuple[object, ...]]:
    """Yield the rows of arena-hard-auto's leaderboard CSV."""
    for row in published.board.rows:
        limits = f"(-{row.score - row.lower:.2f}, +{row.upper - row.score:.2f})"
        tokens = "" if row.avg_tokens is None else row.avg_tokens
        scores = (round(row.score, 2), round(row.lower, 2), round(row.upper, 2))
        yield neutral(row.model), *scores, limits, tokens, published.date(row.model)


def lm_eval_files(published: PublishedBench) -> Iterator[tuple[Path, bytes]]:
    """Yield a file of results for each rated model."""
    for row in published.rows:
        stamp = published.judged_at.get(row.model)
        time = stamp.strftime("%Y-%m-%dT%H-%M-%S") if stamp is not None else published.date(row.model)
        path = Path(published.folder(row.model), f"results_{time}.json")
        yield path, document(_lm_eval(published, row))


def _lm_eval(published: PublishedBench, row: Row) -> dict[str, Any]:
    task, stamp = published.name, published.judged_at.get(row.model)
    tasks = {task: row}
    groups = published.board.groups if published.board.groups is not UNSET else []
    for group in groups:
        own = next((each for each in group.rows if each.model == row.model), None)
        if own is not None and group.group != UNNAMED_GROUP and len(groups) > 1:
            tasks[f"{task}_{group.group}"] = own
    subtasks = [name for name in tasks if name != task]
    sampling = published.sampling(row.model)
    about = {
        "task": task,
        "description": f"win rate against {published.opponent}, judged by {published.judges}",
        "output_type": "generate_until",
        "num_fewshot": 0,
        "metric_list": [{"metric": "win_rate", "aggregation": "bradley_terry", "higher_is_better": True}],
        "generation_kwargs": {key: sampling[key] for key in ("temperature", "top_p", "max_tokens") if key in sampling},
        "metadata": {
            "baseline": published.board.baseline,
            "judges": list(published.board.judges),
            "weight": published.board.weight,
            "limits": published.limits,
        },
    }
    return {
        "results": {name: _metrics(name, each) for name, each in tasks.items()},
        **({"groups": {task: _metrics(task, row)}} if subtasks else {}),
        "group_subtasks": {task: subtasks},
        "configs": {name: {**about, "task": name} for name in tasks},
        "versions": dict.fromkeys(tasks, 1),
        "n-shot": dict.fromkeys(tasks, 0),
        "higher_is_better": {name: {"win_rate": True} for name in tasks},
        "n-samples": {
            name: {"original": each.questions + each.missing, "effective": each.questions}
            for name, each in tasks.items()
        },
        "config": {"model": TOOL, "model_args": {"pretrained": row.model}, "bootstrap_iters": published.board.rounds},
        "git_hash": None,
        "date": stamp.timestamp() if stamp is not None else None,
        "evaluation_tool": f"{TOOL} {published.version}",
        "model_source": TOOL,
        "model_name": row.model,
        "model_name_sanitized": row.model.replace("/", "__"),
    }


def _metrics(name: str, row: Row) -> dict[str, Any]:
    return {
        "alias": name,
        "win_rate,none": round(row.score / 100, 6),
        "win_rate_stderr,none": round(standard_error(row) / 100, 6),
        "win_rate_lower,none": round(row.lower / 100, 6),
        "win_rate_upper,none": round(row.upper / 100, 6),
    }
