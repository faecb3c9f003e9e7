"""What one answer and one judgment more of every question take: calls, seconds and money, for mixes of repeats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from engine.bench import Bench
from engine.config.model import Config
from engine.ratings.mix import CallNeeds
from engine.work.costs import cost_of_call
from engine.work.duration import seconds_of_call


def call_needs(
    config: Config | None, bench: Bench | None, judged: Sequence[str], judges: Sequence[str], baseline: str = ""
) -> CallNeeds:
    """Return the calls that `judged` models and the baseline take, with their pace and price where these are known.

    Models answer side by side, and so do judges: of several the slowest one counts. Reads files: call it in a thread.
    """
    answering = [*judged, baseline or "baseline"]
    counts = CallNeeds(answering=len(answering), judged=len(judged), games=2 * max(1, len(judges)))
    if config is None or bench is None:
        return counts

    def seconds(models: Iterable[str], *, judging: bool) -> float | None:
        known = [seconds_of_call(config, bench, model, judging=judging) for model in models if model in config.models]
        return max(known) / len(known) if known and max(known) > 0.0 else None

    def cost(models: Iterable[str], *, judging: bool) -> float | None:
        found = [cost_of_call(config, bench, model, judging=judging) for model in models]
        priced = [each for each in found if each is not None]
        return fmean(each or 0.0 for each in found) if priced else None

    return CallNeeds(
        answering=counts.answering,
        judged=counts.judged,
        games=counts.games,
        answer_seconds=seconds(answering, judging=False),
        judge_seconds=seconds(judges, judging=True),
        answer_cost=cost(answering, judging=False),
        judge_cost=cost(judges, judging=True),
    )
