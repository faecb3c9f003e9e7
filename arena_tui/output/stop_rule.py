"""What a stop rule came to, as text: the same words on stderr, on stdout, and on the run screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena_tui.output.tables import TableColumn, text_table
from arena_tui.safe_text import one_line

if TYPE_CHECKING:
    from engine.ratings.stop_rule import ModelStanding, Standing, StopReport
    from engine.work.progress import RunState


def is_decided(standing: Standing | ModelStanding) -> bool:
    """Whether judgments alone have settled it, not a budget that was used up."""
    return standing.verdict in ("better", "worse", "precise")


def verdict_words(model: str, standing: Standing | ModelStanding, opponent: str) -> str:
    """A model's standing as a sentence without a full stop."""
    name, rival = one_line(model), one_line(opponent)
    count = standing.questions if standing.decided_after is None else standing.decided_after
    after = f"after {count} question{'s' if count != 1 else ''}"
    match standing.verdict:
        case "better" | "worse":
            told = f"is {standing.verdict} than {rival} {after}"
        case "precise":
            told = f"is known precisely enough {after}"
        case "budget":
            told = f"was still open when the budget was used up, {after}"
        case "undecided":
            told = f"is undecided {after}"
    return f"{name} {told}: {limits_words(standing)}" if standing.score is not None else f"{name} {told}"


def limits_words(standing: Standing | ModelStanding) -> str:
    """What is known of the model, with limits that may be looked at all the time."""
    told = f"score {standing.score:.1f} [{standing.lower:.1f}, {standing.upper:.1f}]"
    if standing.difference is not None:
        limits = f"[{standing.difference_lower:+.1f}, {standing.difference_upper:+.1f}]"
        return f"difference {standing.difference:+.1f} {limits}, {told}"
    return told


def standing_words(state: RunState) -> str:
    """How many models are decided, for a progress line; empty where no rule stops any."""
    if not state.stop_rule:
        return ""
    return f"{sum(map(is_decided, state.standings.values()))} of {len(state.standings)} models decided"


def early_stop_cautions(state: RunState) -> list[str]:
    """What to know of a leaderboard's intervals after a run whose rule stopped somebody."""
    if not state.stop_rule:
        return []
    from engine.ratings.stop_rule import stop_cautions, stop_report

    return stop_cautions(stop_report(state.stop_rule, state.opponent, state.standings))


def format_stop_report(report: StopReport) -> str:
    """The verdicts as a table that ends with a newline."""
    models: Sequence[ModelStanding] = report.models
    columns = [
        TableColumn("model", [one_line(model.model) for model in models], right=False),
        TableColumn("verdict", [_verdict(model, report.opponent) for model in models], right=False),
        TableColumn("after", ["-" if model.decided_after is None else str(model.decided_after) for model in models]),
        TableColumn("questions", [str(model.questions) for model in models]),
        TableColumn("score", ["-" if model.score is None else f"{model.score:.1f}" for model in models]),
        TableColumn("any-time 95% limits", [f"[{model.lower:.1f}, {model.upper:.1f}]" for model in models]),
    ]
    if any(model.difference is not None for model in models):
        columns.append(TableColumn(f"against {one_line(report.opponent)}", [_difference(model) for model in models]))
    title = f"Stopped by --until {one_line(report.rule)}; these limits hold whenever one looks:"
    return f"{title}\n{text_table(columns)}\n"


def _verdict(model: ModelStanding, opponent: str) -> str:
    if model.model == opponent:
        return "the one to compare with"
    words = {"precise": "precise enough", "budget": "open (budget used up)"}
    return words.get(model.verdict, model.verdict)


def _difference(model: ModelStanding) -> str:
    if model.difference is None:
        return "-"
    return f"{model.difference:+.1f} [{model.difference_lower:+.1f}, {model.difference_upper:+.1f}]"
