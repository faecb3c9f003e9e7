"""A study plan (how many questions a difference takes) as text for stdout."""

from __future__ import annotations

from typing import Literal, TypeAlias

from arena_tui.output.json_text import json_text
from arena_tui.output.leaderboard_columns import further_baselines, soft_phrase
from arena_tui.output.tables import TableColumn, fitted, text_table
from arena_tui.safe_text import one_line
from engine.ratings.outcomes import SoftReport
from engine.ratings.power import Design, Need, StudyPlan

PowerFormat: TypeAlias = Literal["table", "json"]
_DROPPED_FIRST = ("answers", "(from - to)", "judge calls", "run --until decided")
_DESIGNS: dict[Design, str] = {
    "baseline": "a model and the baseline",
    "paired": "two models, same questions",
    "unpaired": "two models, other questions",
}


def format_study_plan(plan: StudyPlan, form: PowerFormat, *, width: int = 200, ascii_only: bool = False) -> str:
    """Return text that ends with a newline. Only the JSON contains the warnings; `width` (columns) shapes the table."""
    if form == "json":
        return json_text(plan)
    parts = [_headline(plan), text_table(fitted(_columns(plan), width, _DROPPED_FIRST, narrowest=width)), _notes(plan)]
    text = "\n\n".join(parts) + "\n"
    return text.replace("·", "|").encode("ascii", "replace").decode() if ascii_only else text


def _headline(plan: StudyPlan) -> str:
    phrases = [
        f"{100 * plan.power:g}% power, two-sided test at {100 * plan.alpha:g}%",
        f"pilot {one_line(plan.bench)}: {plan.pilot_questions} questions, {plan.pilot_models} models",
        f"baseline {one_line(plan.baseline)}",
        *further_baselines(plan.baselines),
    ]
    if plan.judges:
        phrases.append(f"judge{'s' if len(plan.judges) > 1 else ''} {', '.join(map(one_line, plan.judges))}")
    if isinstance(plan.soft, SoftReport):
        phrases.append(soft_phrase(plan.soft))
    return " · ".join(phrases)


def _columns(plan: StudyPlan) -> list[TableColumn]:
    rows = [(each.difference, need) for each in plan.plans for need in each.needs]
    columns = [
        TableColumn("points", [f"{difference:g}" for difference, _ in rows]),
        TableColumn("to compare", [_DESIGNS[need.design] for _, need in rows], right=False),
        TableColumn("questions", [str(need.questions) for _, need in rows]),
        TableColumn("(from - to)", [f"({need.fewest} - {need.most})" for _, need in rows]),
        TableColumn("judge calls", [str(need.judge_calls) for _, need in rows]),
        TableColumn("answers", [str(need.answers) for _, need in rows]),
    ]
    if any(need.seconds is not None for _, need in rows):
        columns.append(TableColumn("time here", [_duration(need) for _, need in rows]))
    columns.append(
        TableColumn(
            "run --until decided",
            ["-" if need.until_decided is None else f"about {need.until_decided}" for _, need in rows],
        )
    )
    return columns


def _notes(plan: StudyPlan) -> str:
    lines = ["Questions per model, for the average of the pilot (from - to: its easiest and hardest case)."]
    if plan.pairing is not None:
        lines.append(
            f"On the same questions the standard error of a difference is {plan.pairing:.2f} of that on other ones."
        )
    if abs(plan.games_each - 2.0) > 0.01:
        lines.append(f"A model has {plan.games_each:.1f} games on a question, as in the pilot.")
    if plan.pace.judge_calls:
        answers = f" and {plan.pace.answers:.1f} answers" if plan.pace.answers else ""
        lines.append(f"Measured on this bench: {plan.pace.judge_calls:.1f} judge calls{answers} per second.")
    else:
        lines.append("The time is unknown: no judgment of this bench was made on this machine.")
    return "\n".join(lines)


def _duration(need: Need) -> str:
    if need.seconds is None:
        return "-"
    minutes = need.seconds / 60.0
    if minutes < 1.0:
        return f"{need.seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 100.0 else f"{minutes / 60.0:.1f} h"
