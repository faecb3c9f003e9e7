"""What keeps a run from working, in words: servers that do not answer, since when, why, and how long they are tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from arena_tui.output.clock import clock
from arena_tui.safe_text import clip, one_line, shorten

if TYPE_CHECKING:
    from engine.events import EndpointCondition
    from engine.work.progress import RunState

_LONGEST_REASON, _SHORT_REASON, _SHORT_NAME = 60, 24, 14  # columns
_WORST_FIRST: tuple[EndpointCondition, ...] = ("disabled", "down", "waiting")


class Trouble(NamedTuple):
    """Models that cannot be called at an endpoint for one reason.

    `is_whole`: at none of their endpoints. `since` is the earliest beginning, `until` the first end of trying.
    """

    models: tuple[str, ...]
    condition: EndpointCondition
    why: str
    since: float
    until: float | None
    is_whole: bool

    def words(self, now: float, *, short: bool = False) -> str:
        """Return a phrase; a `short` one names one model and less of the reason."""
        who = self._names(short=short)
        why = clip(one_line(self.why) or "no reason given", _SHORT_REASON if short else _LONGEST_REASON)
        since = clock(max(0.0, now - self.since))
        if self.condition == "disabled":
            return f"GIVEN UP {who} ({why})" if self.is_whole else f"{who}: one endpoint given up ({why})"
        what = f"down {since}" if self.condition == "down" else since
        if not self.is_whole:
            return f"{who}: one endpoint {what} ({why})"
        end = "" if self.until is None else f", gives up in {clock(max(0.0, self.until - now))}"
        return f"WAITING {who} {what} ({why}){end}"

    def _names(self, *, short: bool) -> str:
        names = list(map(one_line, self.models))
        if not short:
            return ", ".join(names[:3]) + (f" +{len(names) - 3}" if len(names) > 3 else "")
        return shorten(names[0], _SHORT_NAME) + (f" +{len(names) - 1}" if len(names) > 1 else "")


def troubles(state: RunState) -> list[Trouble]:
    """Return what keeps models from being called, those that cannot be called at all first."""
    found: dict[tuple[bool, EndpointCondition, str], Trouble] = {}
    for (model, _), outage in state.outages.items():
        is_whole = not any(name == model and (name, at) not in state.outages for name, at in state.endpoints)
        key = is_whole, outage.condition, outage.why
        before = found.get(key) or Trouble((), outage.condition, outage.why, outage.since, outage.until, is_whole)
        models = tuple(dict.fromkeys((*before.models, model)))
        ends = [end for end in (before.until, outage.until) if end is not None]
        since, until = min(before.since, outage.since), min(ends, default=None)
        found[key] = before._replace(models=models, since=since, until=until)
    return sorted(found.values(), key=lambda each: (not each.is_whole, _WORST_FIRST.index(each.condition)))


def trouble_words(found: Sequence[Trouble], now: float, *, short: bool = False) -> str:
    """Return the phrase of the worst trouble, and how many more there are; empty without any."""
    if not found:
        return ""
    more = f" (+{len(found) - 1} more)" if len(found) > 1 and not short else ""
    return found[0].words(now, short=short) + more


def reasons(state: RunState) -> str:
    """Return which models could not be called at all and why; empty where that is not so."""
    phrases = [
        f"{', '.join(map(one_line, each.models))}: {clip(one_line(each.why), _LONGEST_REASON)}"
        for each in troubles(state)
        if each.is_whole and each.condition == "disabled"
    ]
    return "; ".join(phrases)
