"""What a stop rule came to, in the very shape of the JSON output, and what a reader of the scores must know of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.events import Standing, Verdict
from engine.ratings.cautions import listed
from engine.ratings.confidence_sequence import ALPHA, MINIMUM_QUESTIONS


class ModelStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One model: the verdict, the questions that counted, and percent limits that may be looked at all the time.

    `decided_after` so many questions the verdict was reached, None without one. `difference...` are points above the
    opponent on the questions of both, None where the opponent is the baseline.
    """

    model: str
    verdict: Verdict
    questions: int
    score: float | None
    lower: float
    upper: float
    difference: float | None
    difference_lower: float | None
    difference_upper: float | None
    decided_after: int | None


class StopReport(msgspec.Struct, frozen=True, kw_only=True):
    """`rule` as it is written, `opponent` whom the verdicts are against; `models` in the order of the run."""

    rule: str
    opponent: str
    alpha: float
    minimum_questions: int
    models: list[ModelStanding]


def stop_report(rule: str, opponent: str, standings: Mapping[str, Standing]) -> StopReport:
    """The report of a run that had a stop rule."""
    return StopReport(
        rule=rule,
        opponent=opponent,
        alpha=ALPHA,
        minimum_questions=MINIMUM_QUESTIONS,
        models=[ModelStanding(model=model, **msgspec.structs.asdict(known)) for model, known in standings.items()],
    )


def stop_cautions(report: StopReport) -> list[str]:
    """What to know before one reads the leaderboard's own intervals."""
    stopped = [model.model for model in report.models if model.verdict != "undecided"]
    if not stopped:
        return []
    return [
        f"Questions were stopped early by --until {report.rule} for {listed(stopped)}: the 95% intervals of a "
        "leaderboard hold for a number of questions that was set before, and are too narrow for one that the results "
        "chose. The limits that came with the verdicts (a confidence sequence) hold whenever one looks."
    ]
