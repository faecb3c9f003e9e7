"""The names and values that all trackers get: the table in docs/tracking.md. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from engine.checkpoint_names import series_of_name
from engine.ratings.curve_result import CurveReport
from engine.ratings.leaderboard import Leaderboard
from engine.work.progress import RunState, run_speed

Axis: TypeAlias = Literal["training step", "seconds"]
ROOT = "arena"
_UNFIT = re.compile(r"[^\w .:-]+")  # in a part of a name: what MLflow refuses, and slashes
_VERDICTS = {"better": 1.0, "equivalent": 0.0, "worse": -1.0}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Values by name, at a training step or after so many seconds of the run; `at` None: the last values are all."""

    values: dict[str, float]
    at: int | None = None
    axis: Axis = "training step"


def name_part(text: str) -> str:
    """Return a name of a model or series as one part of a metric's name."""
    return _UNFIT.sub("_", text).strip() or "_"


def prefixes(models: Mapping[str, int | None]) -> dict[str, str]:
    """Return the beginning of the names of each model, of models with their steps.

    Checkpoints of the only training are `arena/score` at their steps, those of several `arena/<series>/score`, and a
    model without a step is `arena/<model>/score`.
    """
    series = {model: series_of_name(model) or "" for model, step in models.items() if step is not None}
    is_one = len(set(series.values())) == 1
    return {
        model: f"{ROOT}/{name_part(model)}"
        if step is None
        else ROOT
        if is_one
        else f"{ROOT}/{name_part(series[model] or model)}"
        for model, step in models.items()
    }


def of_leaderboard(board: Leaderboard, steps: Mapping[str, int]) -> Iterator[Point]:
    """Yield the rows of a leaderboard, the baseline's not, with what a stop rule decided."""
    rows = [row for row in board.rows if row.model != board.baseline]
    names = prefixes({row.model: steps.get(row.model) for row in rows})
    decided = {each.model: each for each in board.until.models} if board.until else {}
    for row in rows:
        values: dict[str, float | None] = {
            "score": row.score,
            "score_low": row.lower,
            "score_high": row.upper,
            "rank": row.rank,
            "questions": row.questions,
            "games": row.games,
            "unparsed": row.unparsed,
            "missing": row.missing,
            "avg_tokens": row.avg_tokens,
        }
        if (found := decided.get(row.model)) is not None:
            values |= {"verdict": _VERDICTS.get(found.verdict), "decided_after": found.decided_after}
        prefix = names[row.model]
        yield Point(
            values={f"{prefix}/{key}": float(value) for key, value in values.items() if value is not None},
            at=steps.get(row.model),
        )


def of_curves(report: CurveReport) -> Iterator[Point]:
    """Yield the points of curves, with limits that hold for all of a curve, and what each curve says."""
    for curve in report.curves:
        root = ROOT if len(report.curves) == 1 else f"{ROOT}/{name_part(curve.series)}"
        for point in curve.points:
            values = {
                f"{root}/curve": point.score,
                f"{root}/curve_low": point.lower,
                f"{root}/curve_high": point.upper,
            }
            yield Point(values=values, at=point.step)
        said: dict[str, int | None] = {
            "best_step": curve.best,
            "keep_step": curve.keep.step,
            "plateau_step": curve.plateau.since,
        }
        found = {f"{root}/{key}": float(value) for key, value in said.items() if value is not None}
        yield Point(values={**found, f"{root}/keep_loss": curve.keep.loss})


def of_progress(before: RunState, state: RunState, seconds: float, now: float) -> Point:
    """Return the progress of a run, and its speed over the last `seconds`."""
    speed = run_speed(before, state, seconds)
    values: dict[str, float] = {
        "calls": state.calls,
        "records": sum(task.done for task in state.tasks.values()),
        "failed": state.failed,
        "completion_tokens": state.completion_tokens,
        "calls_per_second": speed.calls_per_second,
        "tokens_per_second": speed.tokens_per_second,
    }
    return Point(
        values={f"{ROOT}/run/{key}": float(value) for key, value in values.items()},
        at=round(state.active_seconds(now)),
        axis="seconds",
    )
