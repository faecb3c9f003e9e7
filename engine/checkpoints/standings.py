"""Where checkpoints stand, computed from the answers and judgments of the bench alone.

Nothing of it is stored: after a restart, an edit of the files or another stop rule, the same question has an answer
that agrees with what is on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from engine.bench import Bench
from engine.config.model import Config
from engine.errors import ArenaError
from engine.events import Event, StandingChanged
from engine.ratings import FEWEST_QUESTIONS
from engine.ratings.family import next_level
from engine.ratings.stop_rule import Standing, StopRule
from engine.work.jobs import GAME_NUMBERS
from engine.work.plan import Plan, Scope, make_plan
from engine.work.stopping import EarlyStop

CALLED = ("better", "worse", "equivalent")


def level_of(rule: StopRule, model: str, order: Sequence[str], called: Mapping[str, bool]) -> float:
    """Return the probability of a wrong decision that the rule has for a checkpoint of a training.

    All checkpoints together, however many come, are decided wrongly with at most `rule.alpha` (`next_level`); with
    `rule.per_model` each of them.

    Args:
        order: all checkpoints as they came; empty for one alone.
        called: which of them are decided.
    """
    if rule.per_model or model not in order:
        return rule.alpha
    return next_level([called.get(each, False) for each in order[: order.index(model)]], rule.alpha)


@dataclass(frozen=True)
class Surveyed:
    """A checkpoint's standing against the baseline, and whether the stop rule needs nothing more of it."""

    standing: Standing
    is_finished: bool


def survey(
    config: Config, bench: Bench, scope: Scope, models: Sequence[str], order: Sequence[str] = ()
) -> dict[str, Surveyed]:
    """Return the standing of each of `models`, entries of the config or names with answers on disk.

    With `order`, all checkpoints as they came, the rule's error is that of the whole training: see `level_of`.
    Blocks on the disk. Raises ArenaError.
    """
    if not models:
        return {}
    assert scope.until is not None
    rule = msgspec.structs.replace(scope.until, calls=None, minutes=None)  # those of one run, not of all checkpoints
    called: dict[str, bool] = {}
    plan = make_plan(config, bench, replace(scope, models=tuple(models), until=None))
    found: dict[str, Surveyed] = {}
    for model in sorted(models, key=order.index) if order else models:
        if model not in plan.participants.judged:
            continue
        alone = _of_one(plan, model)
        rule = msgspec.structs.replace(rule, alpha=level_of(scope.until, model, order, called))
        known = _standings(alone, rule)[model]
        called[model] = known.verdict in CALLED
        found[model] = Surveyed(known, _is_finished(alone, known, scope.until))
    return found


def against(config: Config, bench: Bench, scope: Scope, model: str, best: str) -> Standing | None:
    """Return the standing of a checkpoint against another one, on the questions that both have been judged on.

    None without any. The confidence sequence of `engine.ratings.sequential`: valid however the two were stopped.
    """
    assert scope.until is not None
    rule = StopRule(decided=True, opponent=best, margin=scope.until.margin)
    try:
        plan = make_plan(config, bench, replace(scope, models=(model, best), until=None))
        found = _standings(plan, rule).get(model)
    except ArenaError:
        return None
    return found if found is not None and found.difference is not None else None


def best_of(standings: Mapping[str, Standing]) -> str | None:
    """Return the model whose score has the highest lower limit, so that few lucky questions make no best one.

    None where none has the fewest questions of a decision.
    """
    known = {model: each for model, each in standings.items() if each.questions >= FEWEST_QUESTIONS}
    return max(known, key=lambda model: (known[model].lower, known[model].score or 0.0), default=None)


def _standings(plan: Plan, rule: StopRule) -> dict[str, Standing]:
    found: dict[str, Standing] = {}

    def collect(event: Event) -> None:
        if isinstance(event, StandingChanged):
            found[event.model] = event.standing

    EarlyStop(rule, plan, collect)
    return found


def _of_one(plan: Plan, model: str) -> Plan:
    """Return the part of a plan that is about one model, decided as in a run of its own."""
    return replace(
        plan,
        participants=replace(plan.participants, judged=(model,)),
        answers=[task for task in plan.answers if task.key.model == model],
        judgments=[task for task in plan.judgments if task.key.model == model],
    )


def _is_finished(plan: Plan, known: Standing, rule: StopRule) -> bool:
    """Return whether a run of the plan of one model under the rule would make no call."""
    if known.verdict not in ("undecided", "budget"):
        return True
    calls = sum(len(GAME_NUMBERS) * task.cached for task in plan.judgments)
    return not plan.has_work or (rule.calls is not None and calls >= rule.calls)
