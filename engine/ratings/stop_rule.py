"""Stop rules (`run --until`): the rule, where a model stands, and the report at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from engine.errors import UsageProblem, listed
from engine.ratings import ALPHA, MINIMUM_QUESTIONS

Decision: TypeAlias = Literal["undecided", "better", "worse", "precise", "budget"]
_HINT = "one or more, joined by commas: decided (against the baseline), decided:MODEL, ci:POINTS, calls:N, minutes:N"


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a model so far, where a run stops models that need no more judgments.

    Attributes:
        verdict: "better" or "worse" than the opponent, "precise" enough, stopped by the "budget", or "undecided".
        questions: how many have counted.
        score, lower, upper: percent, with the limits of the confidence sequence; None before the first question.
        difference, difference_lower, difference_upper: points above the opponent on the questions of both, where the
            opponent is a named model; None else.
        decided_after: how many had counted when the verdict was reached; what was under way then came in later.
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


class StopRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a model needs no more judgments: as soon as any of the conditions that are set holds.

    Attributes:
        decided: its score is known to be above or below the opponent's.
        opponent: the model that decides; None stands for the baseline.
        half_width: half the width of its confidence sequence is no more than this, in points. Limits that may be looked
            at all the time are about 1.6 times as wide as those of a leaderboard on the same questions.
        calls: so many judge calls were made, all models together. Those that earlier runs made for the models that are
            still judged count too, so that a run which was interrupted and resumed costs no more than another.
        minutes: this run has lasted so long.
    """

    decided: bool = False
    opponent: str | None = None
    half_width: float | None = None
    calls: int | None = None
    minutes: float | None = None

    def __str__(self) -> str:
        """The rule as `parse_stop_rule` reads it."""
        decided = f"decided:{self.opponent}" if self.opponent else "decided"
        parts = [decided] if self.decided else []
        for kind, value in (("ci", self.half_width), ("calls", self.calls), ("minutes", self.minutes)):
            if value is not None:
                parts.append(f"{kind}:{value:g}" if isinstance(value, float) else f"{kind}:{value}")
        return ",".join(parts)

    def in_words(self, baseline: str) -> str:
        """What ends the judging of a model, as the middle of a sentence."""
        parts = [f"it is known to be better or worse than {self.opponent or baseline}"] if self.decided else []
        if self.half_width is not None:
            parts.append(f"its score is known to ±{self.half_width:g} points")
        if self.calls is not None:
            parts.append(f"{self.calls} judge calls were made for all of them")
        if self.minutes is not None:
            parts.append(f"the run has lasted {self.minutes:g} minutes")
        return ", or ".join(parts)


def parse_stop_rule(text: str) -> StopRule:
    """Reads the conditions; spaces around them do not count. Raises UsageProblem with what is wrong.

    A model's name is all after the first colon, so it may hold colons but no comma.
    """
    found: dict[str, object] = {}
    for condition in (part.strip() for part in text.split(",")):
        kind, colon, value = (piece.strip() for piece in condition.partition(":"))
        if kind in found:
            raise _problem(text, f"{kind} is there twice")
        if kind == "decided":
            if colon and not value:
                raise _problem(text, "decided: names no model")
            found["decided"], found["opponent"] = True, value or None
        elif kind == "ci":
            found["ci"] = _number(text, kind, value, most=50.0)
        elif kind == "calls":
            found["calls"] = int(_number(text, kind, value, whole=True))
        elif kind == "minutes":
            found["minutes"] = _number(text, kind, value)
        else:
            raise _problem(text, f"{condition!r} is no condition" if condition else "a condition is empty")
    found["half_width"] = found.pop("ci", None)
    return StopRule(**found)  # type: ignore[arg-type]  # the names and types are those set above


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
    return UsageProblem(f"--until {text}: {what}", _HINT)


class ModelStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One model: the verdict, the questions that counted, and percent limits that may be looked at all the time.

    `decided_after` so many questions the verdict was reached, None without one. `difference...` are points above the
    opponent on the questions of both, None where the opponent is the baseline.
    """

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
