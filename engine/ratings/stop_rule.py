"""Stop rules: the text of `run --until`, such as "decided,calls:4000", as a value."""

from __future__ import annotations

import math

import msgspec

from engine.errors import UsageProblem

_HINT = "one or more, joined by commas: decided (against the baseline), decided:MODEL, ci:POINTS, calls:N, minutes:N"


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
