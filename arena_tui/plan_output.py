"""The plan as text: what a run would do, task by task."""

from __future__ import annotations

from arena_tui.console import printable
from engine.work.plan import TaskPlan
from engine.work.survey import Survey


def format_plan(found: Survey) -> str:
    """One line per task with its records (in all, cached, stale, to make) and calls, then the sums.

    Tokens are estimated: the prompts' from their length in characters, the replies' as the most they can be.
    """
    rows = [_row(task) for task in (*found.answers, *found.judgments)]
    head = ("stage", "model", "judge", "records", "cached", "stale", "calls", "prompt tokens", "output tokens")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [_line(head, widths), *(_line(row, widths) for row in rows)]
    tasks = (*found.answers, *found.judgments)
    prompt, output = sum(t.prompt_tokens for t in tasks), sum(t.max_completion_tokens for t in tasks)
    pending = sum(task.pending for task in tasks)
    lines.append("")
    lines.append(f"{found.calls} calls; about {prompt} prompt tokens and at most {output} output tokens")
    if pending:
        lines.append(f"{pending} of the judgments wait for answers; their tokens are not counted yet")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _row(task: TaskPlan) -> tuple[str, ...]:
    return (
        task.task.stage,
        printable(task.task.model) + (f" vs {printable(task.task.baseline)}" if task.task.baseline else ""),
        printable(task.task.judge) or "-",
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
