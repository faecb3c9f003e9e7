"""The plan of a run as text, task by task."""

from __future__ import annotations

from collections.abc import Sequence

from arena_tui.console import printable
from arena_tui.output.clock import clock, money
from arena_tui.output.stop_rule import control_words, verdict_words
from arena_tui.output.tables import TableColumn, text_table
from engine.ratings import FEWEST_QUESTIONS
from engine.serving.forecast import ServerTurn
from engine.work.costs import ExpectedUse, expected_cost
from engine.work.plan import Plan
from engine.work.stopping import LEAST_AHEAD, StopForecast
from engine.work.tasks import Task


def format_plan(
    found: Plan,
    forecast: StopForecast | None = None,
    servers: Sequence[ServerTurn] = (),
    use: Sequence[ExpectedUse] = (),
) -> str:
    """Return one line a task with its records and calls, the sums, the costs, a stop rule's savings, servers' starts.

    Tokens are estimated: those of prompts by their length in characters, those of replies by their limit.
    """
    tasks = (*found.answers, *found.judgments)
    prompt, output = sum(t.prompt_tokens for t in tasks), sum(t.max_completion_tokens for t in tasks)
    pending = sum(len(task.awaited) for task in tasks)
    lines = [text_table(_columns(tasks)), ""]
    lines.append(f"{found.calls} calls; about {prompt} prompt tokens and at most {output} output tokens")
    if pending:
        lines.append(f"{pending} of the judgments wait for answers; their tokens are not counted yet")
    if use:
        lines += ["", *map(printable, use_lines(use))]
    if forecast is not None:
        lines += ["", *map(printable, forecast_lines(forecast))]
    if servers:
        lines += ["", *map(printable, turn_lines(servers))]
    return "\n".join(lines) + "\n"


def use_lines(use: Sequence[ExpectedUse]) -> list[str]:
    """Return what the calls to each model are expected to take, and the sum of their costs."""
    lines = []
    for each in use:
        basis = "as its records so far" if each.measured else "assumed"
        cost = "" if each.cost is None else f", cost about {money(each.cost)}"
        lines.append(
            f"  {each.model}: {each.calls} calls, about {each.prompt_tokens} tokens in and {each.completion_tokens} "
            f"out ({basis}){cost}"
        )
    total = expected_cost(use)
    return ["expected:" if total is None else f"expected, at a cost of about {money(total)}:", *lines]


def turn_lines(servers: Sequence[ServerTurn]) -> list[str]:
    """List the servers in the order of their starts: when, where and for how long."""
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
    hours = sum((turn.starts_in + turn.works_for) * max(1, len(turn.server.gpus)) for turn in servers) / 3600
    has_gpus = any(turn.server.gpus for turn in servers)
    took = f"{hours:.1f} GPU hours" if has_gpus else f"{hours:.1f} hours of servers"
    return [f"{starts}, all of it takes about {clock(ends)} ({took}):", *(f"  {line}" for line in lines)]


def forecast_lines(forecast: StopForecast) -> list[str]:
    """Describe the stop rule and the calls it may save."""
    lines = [f"--until {forecast.rule}: a model is stopped when {forecast.rule.describe(forecast.opponent)}."]
    if forecast.control.models:
        lines.append(f"{control_words(forecast.control)}.")
    lines += [
        f"already settled: {verdict_words(model, known, forecast.opponent)}"
        for model, known in forecast.settled.items()
    ]
    if forecast.fewest < forecast.most:
        lines.append(
            f"{forecast.fewest} to {forecast.most} calls instead of {forecast.whole}: no decision on fewer than "
            f"{FEWEST_QUESTIONS} questions, and calls run ahead of the counted ones by {LEAST_AHEAD} questions or a "
            "quarter."
        )
    else:
        lines.append(f"{forecast.most} calls instead of {forecast.whole}.")
    lines.append("A judge that can be called only after all answers saves judge calls only.")
    return lines


def _columns(tasks: Sequence[Task]) -> list[TableColumn]:
    models = [
        printable(task.key.model) + (f" vs {printable(task.key.baseline)}" if task.key.baseline else "")
        for task in tasks
    ]
    return [
        TableColumn("stage", [task.key.stage for task in tasks], right=False),
        TableColumn("model", models, right=False),
        TableColumn("judge", [printable(task.key.judge) or "-" for task in tasks], right=False),
        TableColumn("records", [str(task.total) for task in tasks]),
        TableColumn("cached", [str(task.cached) for task in tasks]),
        TableColumn("stale", [str(task.stale) for task in tasks]),
        TableColumn("calls", [str(task.calls) for task in tasks]),
        TableColumn("prompt tokens", [f"~{task.prompt_tokens}" for task in tasks]),
        TableColumn("output tokens", [f"<={task.max_completion_tokens}" for task in tasks]),
    ]
