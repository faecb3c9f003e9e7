"""What a stop rule can spare of a plan, told before the first call."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.events import Event, Standing, StandingChanged
from engine.ratings.confidence_sequence import MINIMUM_QUESTIONS
from engine.ratings.stop_rule import StopRule
from engine.work.early_stop import EarlyStop
from engine.work.plan import TaskPlan
from engine.work.survey import Survey


class StopForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a plan under a rule, answers and judgments together.

    Attributes:
        rule: in its words.
        fewest: where every verdict comes at the first look; `most` where none comes.
        whole: what the plan takes without a rule.
        settled: models that the bench has settled already.
    """

    rule: StopRule
    opponent: str
    fewest: int
    most: int
    whole: int
    settled: Mapping[str, Standing]


def stop_forecast(rule: StopRule, found: Survey) -> StopForecast:
    """Forecast a run of `found` under `rule`. Raises UsageProblem for a rule that the plan cannot have."""
    standings: dict[str, Standing] = {}

    def hear(event: Event) -> None:
        if isinstance(event, StandingChanged):
            standings[event.model] = event.standing

    stop = EarlyStop(rule, found, hear)
    rank = {question.id: at for at, question in enumerate(found.questions)}
    baseline = found.roster.baseline
    open_models = [model for model in standings if not stop.decider.is_settled(model)]
    needed = {model: max(MINIMUM_QUESTIONS, stop.decider.counted(model) + 1) for model in open_models}
    if open_models:
        needed[baseline] = max(needed.values())
    left = max(0, rule.calls - stop.calls) if rule.calls is not None else None

    def calls(task: TaskPlan, *, within: float) -> int:
        made = sum(job.calls() for job in task.jobs if rank[job.question.id] < within)
        return made + 2 * sum(rank[question.id] < within for question in task.awaited)

    fewest = most = 0
    for tasks in (found.answers, found.judgments):
        useful = [task for task in tasks if task.task.model in needed or task.task.model not in (baseline, *standings)]
        at_least = sum(calls(task, within=needed.get(task.task.model, len(rank))) for task in useful)
        at_most = sum(calls(task, within=len(rank)) for task in useful)
        if left is not None and tasks is found.judgments:
            at_least, at_most = min(at_least, left), min(at_most, left)
        fewest, most = fewest + at_least, most + at_most
    if not rule.decided and rule.half_width is None and rule.minutes is None:
        fewest = most
    return StopForecast(
        rule=rule,
        opponent=rule.opponent or baseline,
        fewest=0 if rule.minutes is not None else fewest,
        most=most,
        whole=found.calls,
        settled={model: known for model, known in standings.items() if model not in open_models},
    )
