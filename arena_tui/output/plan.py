"""The plan of a run as text, task by task."""

from __future__ import annotations

from collections.abc import Sequence

from arena_tui.console import printable
from arena_tui.output.progress import clock
from arena_tui.output.stop_rule import verdict_words
from engine.ratings import MINIMUM_QUESTIONS
from engine.serving.forecast import ServerTurn
from engine.work.plan import Plan
from engine.work.stopping import LEAST_AHEAD, StopForecast
from engine.work.tasks import Task


def format_plan(found: Plan, forecast: StopForecast | None = None, servers: Sequence[ServerTurn] = ()) -> str:
    """One line per task with its records (in all, cached, stale, to make) and calls, then the sums, what a stop rule
    can spare of them, and which servers will be started when.

    Tokens are estimated: the prompts' from their length in characters, the replies' as the most they can be.
    """
    rows = [_row(task) for task in (*found.answers, *found.judgments)]
    head = ("stage", "model", "judge", "records", "cached", "stale", "calls", "prompt tokens", "output tokens")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [_line(head, widths), *(_line(row, widths) for row in rows)]
    tasks = (*found.answers, *found.judgments)
    prompt, output = sum(t.prompt_tokens for t in tasks), sum(t.max_completion_tokens for t in tasks)
    pending = sum(len(task.awaited) for task in tasks)
    lines.append("")
    lines.append(f"{found.calls} calls; about {prompt} prompt tokens and at most {output} output tokens")
    if pending:
        lines.append(f"{pending} of the judgments wait for answers; their tokens are not counted yet")
    if forecast is not None:
        lines += ["", *map(printable, forecast_lines(forecast))]
    if servers:
        lines += ["", *map(printable, turn_lines(servers))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def turn_lines(servers: Sequence[ServerTurn]) -> list[str]:
    """The servers in the order in which they are started, with when, where and for how long."""
    lines = []
    for turn in sorted(servers, key=lambda turn: turn.begins):
        spec, gpus = turn.server.spec, ",".join(map(str, turn.server.gpus))
        serves = f" (for {', '.join(spec.entries)})" if len(spec.entries) > 1 else ""
        where = f" on GPU {gpus}" if gpus else ""
        basis = "as before" if turn.measured else "assumed"
        lines.append(
            f"at {clock(turn.begins)} vllm serve {spec.model}{where}{serves}: up in about {clock(turn.starts_in)} "
            f"({basis}), needed for about {clock(turn.works_for)}"
        )
    starts = f"{len(servers)} server{'s are' if len(servers) > 1 else ' is'} started"
    ends = max(turn.ends for turn in servers)
    return [f"{starts}, all of it takes about {clock(ends)}:", *(f"  {line}" for line in lines)]


def forecast_lines(forecast: StopForecast) -> list[str]:
    """Describe the stop rule and the calls it may save."""
    lines = [f"--until {forecast.rule}: a model is stopped when {forecast.rule.describe(forecast.opponent)}."]
    lines += [
        f"already settled: {verdict_words(model, known, forecast.opponent)}"
        for model, known in forecast.settled.items()
    ]
    if forecast.fewest < forecast.most:
        lines.append(
            f"{forecast.fewest} to {forecast.most} calls instead of {forecast.whole}: no decision on fewer than "
            f"{MINIMUM_QUESTIONS} questions, and calls run ahead of the counted ones by {LEAST_AHEAD} questions or a "
            "quarter."
        )
    else:
        lines.append(f"{forecast.most} calls instead of {forecast.whole}.")
    lines.append("A judge that can be called only after all answers saves judge calls only.")
    return lines


def _row(task: Task) -> tuple[str, ...]:
    return (
        task.key.stage,
        printable(task.key.model) + (f" vs {printable(task.key.baseline)}" if task.key.baseline else ""),
        printable(task.key.judge) or "-",
        str(task.total),
        str(task.cached),
        str(task.stale),
        str(task.calls),
        f"~{task.prompt_tokens}",
        f"<={task.max_completion_tokens}",
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    texts, numbers = cells[:3], cells[3:]
    left = [cell.ljust(width) for cell, width in zip(texts, widths, strict=False)]
    right = [cell.rjust(width) for cell, width in zip(numbers, widths[3:], strict=False)]
    return "  ".join((*left, *right))
