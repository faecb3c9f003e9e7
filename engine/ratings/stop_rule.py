"""Stop rules of a run: the rule, where a model stands, and the report at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from engine.errors import UsageProblem, listed
from engine.ratings import ALPHA, FEWEST_QUESTIONS

Decision: TypeAlias = Literal["undecided", "better", "worse", "equivalent", "precise", "budget"]
_HINT = (
    "conditions, joined by commas: decided (against the baseline), decided:MODEL, equivalent:POINTS, "
    "equivalent:POINTS:MODEL, ci:POINTS, calls:N, minutes:N; and about wrong decisions: alpha:P, per-model"
)
_LARGEST_ALPHA = 0.5


class ErrorControl(msgspec.Struct, frozen=True):
    """What is kept: any of `models` is decided wrongly with a probability of at most `alpha`, however often one looks.

    With one model in a run of several, that holds for each model on its own; with none, nothing is decided.
    """

    alpha: float = ALPHA
    models: int = 0


class StopRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a model needs no more judgments: as soon as any of the set conditions holds.

    Attributes:
        decided: its score is decided to be above or below the opponent's.
        opponent: the model that decides; None is the baseline.
        margin: its score is shown to be within so many points of the opponent's, or further away than that.
        half_width: half the width of its confidence sequence, in points, is at most this. Limits that stay valid at
            every look are about 1.7 times as wide as those of a leaderboard on the same questions.
        calls: so many judge calls were made, all models together. Those of earlier runs for the models that are still
            judged count too, so that an interrupted and resumed run costs no more than another.
        minutes: duration of this run.
        alpha: the probability of any wrong decision (better, worse, equivalent) in the run.
        per_model: that probability is the one of each model on its own, whatever their number.
    """

    decided: bool = False
    opponent: str | None = None
    margin: float | None = None
    half_width: float | None = None
    calls: int | None = None
    minutes: float | None = None
    alpha: float = ALPHA
    per_model: bool = False

    @property
    def is_test(self) -> bool:
        """Whether it decides something that can be wrong."""
        return self.decided or self.margin is not None

    def __str__(self) -> str:
        """Return the rule as `parse_stop_rule` reads it."""
        decided = f"decided:{self.opponent}" if self.opponent else "decided"
        parts = [decided] if self.decided else []
        if self.margin is not None:
            named = f":{self.opponent}" if self.opponent and not self.decided else ""
            parts.append(f"equivalent:{self.margin:g}{named}")
        for kind, value in (("ci", self.half_width), ("calls", self.calls), ("minutes", self.minutes)):
            if value is not None:
                parts.append(f"{kind}:{value:g}" if isinstance(value, float) else f"{kind}:{value}")
        if self.alpha != ALPHA:
            parts.append(f"alpha:{self.alpha!r}")
        if self.per_model:
            parts.append("per-model")
        return ",".join(parts)

    def describe(self, baseline: str) -> str:
        """Return the conditions that end the judging of a model, as the middle of a sentence."""
        rival = self.opponent or baseline
        parts = [f"it is decided to be better or worse than {rival}"] if self.decided else []
        if self.margin is not None:
            parts.append(f"it is equivalent to {rival} within ±{self.margin:g} points or surely further apart")
        if self.half_width is not None:
            parts.append(f"its score is known to ±{self.half_width:g} points")
        if self.calls is not None:
            parts.append(f"{self.calls} judge calls were made for all models")
        if self.minutes is not None:
            parts.append(f"the run has lasted {self.minutes:g} minutes")
        return ", or ".join(parts)


def parse_stop_rule(text: str) -> StopRule:
    """Read the conditions; spaces around them do not count. Raises UsageProblem for the first that is wrong.

    A model's name is all after the first colon, so it may contain colons but no comma.
    """
    rule = StopRule()
    seen: set[str] = set()
    for condition in (part.strip() for part in text.split(",")):
        kind, colon, value = (piece.strip() for piece in condition.partition(":"))
        if kind in seen:
            raise _problem(text, f"{kind} is given twice")
        seen.add(kind)
        if kind == "decided":
            if colon and not value:
                raise _problem(text, "decided: names no model")
            rule = replace(rule, decided=True, opponent=_opponent(text, rule, value))
        elif kind == "equivalent":
            points, colon, name = (piece.strip() for piece in value.partition(":"))
            if colon and not name:
                raise _problem(text, f"equivalent:{points}: names no model")
            margin = _number(text, kind, points, most=49.0)
            rule = replace(rule, margin=margin, opponent=_opponent(text, rule, name))
        elif kind == "ci":
            rule = replace(rule, half_width=_number(text, kind, value, most=50.0))
        elif kind == "calls":
            rule = replace(rule, calls=int(_number(text, kind, value, whole=True)))
        elif kind == "minutes":
            rule = replace(rule, minutes=_number(text, kind, value))
        elif kind == "alpha":
            rule = replace(rule, alpha=_number(text, kind, value, most=_LARGEST_ALPHA))
        elif condition == "per-model":
            rule = replace(rule, per_model=True)
        else:
            raise _problem(text, f"unknown condition {condition!r}" if condition else "a condition is empty")
    if not rule.is_test and (named := sorted({"alpha", "per-model"} & seen)):
        raise _problem(text, f"{named[0]} needs decided or equivalent:POINTS")
    return rule


def _opponent(text: str, rule: StopRule, name: str) -> str | None:
    """Return the one opponent of a rule, named by this condition or by another."""
    if name and rule.opponent not in (None, name):
        raise _problem(text, f"one rule has one opponent, not both {rule.opponent} and {name}")
    return name or rule.opponent


def _number(text: str, kind: str, value: str, *, most: float = math.inf, whole: bool = False) -> float:
    try:
        number = float(value)
    except ValueError:
        raise _problem(text, f"{kind} needs a number, not {value!r}") from None
    if not 0.0 < number <= most or not math.isfinite(number) or (whole and number != int(number)):
        limit = "above 0" if math.isinf(most) else f"above 0 and at most {most:g}"
        raise _problem(text, f"{kind} needs a {'whole ' if whole else ''}number {limit}, not {value}")
    return number


def _problem(text: str, what: str) -> UsageProblem:
    return UsageProblem(f"stop rule {text!r}: {what}", _HINT)


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a model in a run that stops models which need no more judgments.

    Attributes:
        verdict: "better" or "worse" than the opponent, "equivalent" to it within the rule's margin, "precise" enough,
            stopped by the "budget", or "undecided".
        questions: how many have counted.
        score, lower, upper: percent, with the limits of the confidence sequence; None before the first question.
        difference, difference_lower, difference_upper: points above the opponent on the questions of both, where the
            opponent is a named model; else None.
        decided_after: how many had counted at the decision; calls in flight then are counted later.
        margin: points, of a rule that looks for equivalence.
    """

    verdict: Decision
    questions: int
    score: float | None = None
    lower: float = 0.0
    upper: float = 100.0
    difference: float | None = None
    difference_lower: float | None = None
    difference_upper: float | None = None
    decided_after: int | None = None
    margin: float | None = None


class ModelStanding(msgspec.Struct, frozen=True, kw_only=True):
    """The `Standing` of one model, as the JSON output has it."""

    model: str
    verdict: Decision
    questions: int
    score: float | None
    lower: float
    upper: float
    difference: float | None
    difference_lower: float | None
    difference_upper: float | None
    decided_after: int | None
    margin: float | None = None


class StopReport(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a run with a stop rule: the rule as text, the opponent of the decisions, the models in run order.

    Attributes:
        alpha: the probability of any wrong decision among `family` models (`ErrorControl`); where `family` is 1, of
            each model on its own.
    """

    rule: str
    opponent: str
    alpha: float
    minimum_questions: int
    models: list[ModelStanding]
    family: int = 0


def stop_report(rule: str, opponent: str, standings: Mapping[str, Standing], control: ErrorControl) -> StopReport:
    """Return the report of a run with a stop rule."""
    return StopReport(
        rule=rule,
        opponent=opponent,
        alpha=control.alpha,
        family=control.models,
        minimum_questions=FEWEST_QUESTIONS,
        models=[ModelStanding(model=model, **msgspec.structs.asdict(known)) for model, known in standings.items()],
    )


def stop_cautions(report: StopReport) -> list[str]:
    """Return a warning about a leaderboard's own intervals where models were stopped early."""
    stopped = [model.model for model in report.models if model.verdict != "undecided"]
    if not stopped:
        return []
    return [
        f"judging was stopped early by {report.rule} for {listed(stopped)}, so the 95% intervals of a leaderboard are "
        "too narrow for them; use the limits of the confidence sequence, which stay valid at every look"
    ]
