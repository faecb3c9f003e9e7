"""The result of a stop rule as text: the same words on stderr, on stdout and on the run screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena_tui.output.tables import TableColumn, text_table
from arena_tui.safe_text import one_line

if TYPE_CHECKING:
    from engine.ratings.stop_rule import ErrorControl, ModelStanding, Standing, StopReport
    from engine.work.progress import RunState


def is_decided(standing: Standing | ModelStanding) -> bool:
    """Return whether judgments decided it, rather than an exhausted budget."""
    return standing.verdict in ("better", "worse", "equivalent", "precise")


def verdict_words(model: str, standing: Standing | ModelStanding, opponent: str) -> str:
    """Return the standing of a model as a sentence without a full stop."""
    name, rival = one_line(model), one_line(opponent)
    count = standing.questions if standing.decided_after is None else standing.decided_after
    after = f"after {count} question{'s' if count != 1 else ''}"
    match standing.verdict:
        case "better" | "worse":
            state = f"is {standing.verdict} than {rival} {after}"
        case "equivalent":
            state = f"is equivalent to {rival} within ±{standing.margin:g} points {after}"
        case "precise":
            state = f"is known precisely enough {after}"
        case "budget":
            state = f"was undecided when the budget was used up, {after}"
        case "undecided":
            state = f"is undecided {after}"
    return f"{name} {state}: {limits_words(standing)}" if standing.score is not None else f"{name} {state}"


def limits_words(standing: Standing | ModelStanding) -> str:
    """Return the estimates of a model, with limits that stay valid at every look."""
    score = f"score {standing.score:.1f} [{standing.lower:.1f}, {standing.upper:.1f}]"
    if standing.difference is not None:
        limits = f"[{standing.difference_lower:+.1f}, {standing.difference_upper:+.1f}]"
        return f"difference {standing.difference:+.1f} {limits}, {score}"
    return score


def standing_words(state: RunState) -> str:
    """Return how many models are decided, for a progress line; empty without a stop rule."""
    if not state.stop_rule:
        return ""
    return f"{sum(map(is_decided, state.standings.values()))} of {len(state.standings)} models decided"


def control_words(control: ErrorControl) -> str:
    """Return the level that decisions keep: `wrong decisions: at most 5% of runs have any among 10 models`."""
    if not control.models:
        return ""
    level = f"wrong decisions: at most {100.0 * control.alpha:.3g}% of runs"
    return f"{level} have any among {control.models} models" if control.models > 1 else f"{level}, for each model alone"


def stopped_early(state: RunState) -> StopReport | None:
    """Return the report of a run with a stop rule; None of another run."""
    if not state.stop_rule:
        return None
    from engine.ratings.stop_rule import stop_report

    return stop_report(state.stop_rule, state.opponent, state.standings, state.error_control)


def early_stop_cautions(state: RunState) -> list[str]:
    """Return the warnings about a leaderboard's intervals after a run with a stop rule."""
    from engine.ratings.stop_rule import stop_cautions

    report = stopped_early(state)
    return [] if report is None else stop_cautions(report)


def format_stop_report(report: StopReport) -> str:
    """Return the standings as a table that ends with a newline."""
    from engine.ratings.stop_rule import ErrorControl

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
    title = f"Stopped by --until {one_line(report.rule)}; these limits stay valid at every look:"
    control = control_words(ErrorControl(report.alpha, report.family))
    return f"{title}\n{text_table(columns)}\n" + (f"{control}\n" if control else "")


def _verdict(model: ModelStanding, opponent: str) -> str:
    if model.model == opponent:
        return "reference"
    if model.verdict == "equivalent":
        return f"equivalent within ±{model.margin:g}"
    words = {"precise": "precise enough", "budget": "undecided (budget used up)"}
    return words.get(model.verdict, model.verdict)


def _difference(model: ModelStanding) -> str:
    if model.difference is None:
        return "-"
    return f"{model.difference:+.1f} [{model.difference_lower:+.1f}, {model.difference_upper:+.1f}]"
