"""`arena-tui run`, and `--no-ui`: makes the missing calls and prints the leaderboard, without a terminal UI."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal

import click
import msgspec
from msgspec import UNSET

from arena_tui import console
from arena_tui.advice import phrase
from arena_tui.commands.leaderboard import show, with_evidence
from arena_tui.detaching import Release
from arena_tui.headless import execute, run_loop
from arena_tui.invocation import Invocation
from arena_tui.output.clock import money
from arena_tui.output.json_text import json_data
from arena_tui.output.stop_rule import format_stop_report, stopped_early
from engine.auditing.known_bad import with_known_bad
from engine.bench import Bench
from engine.config.model import Config
from engine.errors import ArenaError, BenchError, RatingError, UsageProblem
from engine.events import TaskKey
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions
from engine.ratings.outcomes import unused_odds
from engine.ratings.stop_rule import StopRule, parse_stop_rule, stop_cautions
from engine.ratings.verdict import standing_verdict
from engine.repeats import ONCE, Repeats
from engine.results import judged_bench, rate
from engine.run import Run
from engine.work.costs import spent_by
from engine.work.plan import Scope, make_plan
from engine.work.progress import RunState
from engine.work.stopping import stop_forecast

if TYPE_CHECKING:
    from arena_tui.output.event_lines import EventLines


def run_command(
    invocation: Invocation,
    *,
    models: tuple[str, ...],
    baseline: tuple[str, ...],
    stage: str,
    limit: int | None,
    refresh: tuple[str, ...],
    until: str | None,
    per_model: bool,
    wait: float,
    max_cost: float | None,
    max_hours: float | None,
    repeats: Repeats | None,
    dry_run: bool,
    as_json: bool,
    json_events: str | None,
    every_call: bool,
    release: Release | None = None,
) -> int:
    """Print the plan, or execute it and print the leaderboard. Return the exit code.

    With `release`, the run leaves its terminal as soon as it has started. With `json_events` ("-" is stdout, else a
    file), its events are written as lines of JSON; on stdout they take the place of the leaderboard.
    """
    if json_events is None and every_call:
        raise UsageProblem("--every-call is about --json-events, which is not given", "add --json-events FILE")
    if json_events is not None and dry_run:
        raise UsageProblem("--json-events: a plan has no events", "leave out --dry-run or --json-events")
    if json_events == "-" and release is not None:
        raise UsageProblem("--json-events: a detached run has no stdout", "name a file: --json-events FILE")
    scope = Scope(
        models=models,
        limit=limit,
        refresh=frozenset(refresh),  # type: ignore[arg-type]  # click has checked the words
        answers=stage in ("all", "answers"),
        judgments=stage in ("all", "judgments"),
        until=_stop_rule(until, per_model=per_model),
        wait=wait,
        max_cost=max_cost,
        max_hours=max_hours,
        repeats=repeats or ONCE,
    )
    if dry_run and not invocation.demo:
        return _show_plan(invocation.config().with_baselines(baseline), scope)
    lines = _event_lines(json_events, every_call=every_call)
    board: Literal["table", "json"] | None = None if json_events == "-" else "json" if as_json else "table"
    return run_loop(_run(invocation, scope, baseline, release, lines, dry_run=dry_run, form=board))


def _event_lines(target: str | None, *, every_call: bool) -> EventLines | None:
    if target is None:
        return None
    from arena_tui.output.event_lines import EventLines, LineWriter

    return EventLines(LineWriter(target), every_call=every_call)


def _stop_rule(until: str | None, *, per_model: bool) -> StopRule | None:
    if until is not None:
        return parse_stop_rule(f"{until},per-model" if per_model and "per-model" not in until.split(",") else until)
    if per_model:
        raise UsageProblem("--per-model is about a stop rule, and there is none", "add --until decided")
    return None


async def _run(
    invocation: Invocation,
    scope: Scope,
    baselines: tuple[str, ...],
    release: Release | None,
    lines: EventLines | None,
    *,
    dry_run: bool,
    form: Literal["table", "json"] | None,
) -> int:
    async with AsyncExitStack() as stack:
        if lines is not None:
            stack.callback(lines.writer.close)
        if invocation.demo:
            from arena_tui.starters import SIMULATED, demo_config

            config = await stack.enter_async_context(demo_config(invocation))
            console.say(SIMULATED)
        else:
            config = invocation.config()
        config = config.with_baselines(baselines)
        if dry_run:
            return _show_plan(config, scope)
        try:
            run, state = await _execute(config, scope, release, lines)
            code, board = _finished(run, state, form)
        except ArenaError as error:
            if lines is not None:
                lines.result(error.exit_code, None)
            raise
        if lines is not None:
            lines.result(code, None if board is None else json_data(board))
        if invocation.demo and code != console.INTERRUPTED:
            console.say(f"{SIMULATED} Files: {run.bench.paths.root}")
        return code


async def _execute(
    config: Config, scope: Scope, release: Release | None, lines: EventLines | None
) -> tuple[Run, RunState]:
    """Execute a run, and another one after it if that was ordered meanwhile for what failed."""
    run = Run(config, scope)
    while True:
        state = await execute(run, release=release, on_hangup=config.ui.on_hangup, lines=lines)
        if not (run.retries_failed and state.phase == "failed"):
            return run, state
        console.say(f"retrying {state.failed} failed records, as ordered")
        again = Run(run.config, scope)
        again.log, run, release = run.log, again, None


def _finished(run: Run, state: RunState, form: Literal["table", "json"] | None) -> tuple[int, Leaderboard | None]:
    """Print the leaderboard in that form, if any, and what is incomplete; return the exit code and the leaderboard."""
    if state.phase == "interrupted":
        console.say("interrupted; finished results are saved; run the same command to resume")
        return console.INTERRUPTED, None
    board = _rated(run, state, form) if run.scope.judgments else None
    _report_gaps(run, state)
    is_whole = not (run.limit_reached and _left(state))
    rated = board is not None or not run.scope.judgments
    return console.DONE if rated and state.phase == "done" and is_whole else console.FAILED, board


def _rated(run: Run, state: RunState, form: Literal["table", "json"] | None) -> Leaderboard | None:
    """Return the leaderboard with the models that were stopped early, printed in that form, if any.

    Return None after reporting why there is none (all calls failed, or no game has a label).
    """
    judging = run.config.judge
    try:
        judged = judged_bench(run.bench, judging.model, judging.pairing)
        judged = with_known_bad(judged, run.bench, run.config)
        options = LeaderboardOptions(baseline=judged.facts.baselines[0])
        board, _ = rate(judged, options)
        if form != "table":
            board = with_evidence(board, judged, options)
    except (BenchError, RatingError) as error:
        console.report_error(error)
        return None
    stopped = stopped_early(state)
    if stopped is not None:
        warnings = [*board.warnings, *stop_cautions(stopped)]
        answer = standing_verdict(state.standings, state.opponent) or UNSET
        board = msgspec.structs.replace(board, until=stopped, warnings=warnings, answer=answer)
    if form is not None:
        show(board, form)
    if hint := unused_odds(judged.battles, soft=options.soft):
        console.say(f"note: arena-tui leaderboard: {phrase(hint)}")
    if stopped is not None and form == "table":
        click.echo("\n" + format_stop_report(stopped), nl=False)
    return board


def _show_plan(config: Config, scope: Scope) -> int:
    from arena_tui.output.plan import (
        format_plan,  # with the planning of servers, which a run without work does not need
    )
    from engine.work.costs import expected_use
    from engine.work.duration import server_turns

    bench = Bench.open(config.data, config.bench)
    found = make_plan(config, bench, scope)
    console.warn(found.warnings)
    forecast = stop_forecast(scope.until, found) if scope.until is not None else None
    use = expected_use(config, bench, found)
    click.echo(format_plan(found, forecast, server_turns(config, bench, found), use), nl=False)
    return console.DONE


def _report_gaps(run: Run, state: RunState) -> None:
    """Report what is incomplete in the records behind the leaderboard."""
    for key, task in state.tasks.items():
        who = _who(key)
        if task.truncated:
            console.say(f"{task.truncated} {who} were cut at max_tokens; raise it if that is many")
        if task.unparsed:
            conflicts = f" ({task.conflicts} for different labels in one reply)" if task.conflicts else ""
            console.say(
                f"{task.unparsed} games of the {who} have no label{conflicts}; retry them with `run --refresh unparsed`"
            )
    if state.failed:
        console.say(
            f"{state.failed} calls failed; the reasons are in {run.bench.paths.errors}; "
            "run the same command to retry them"
        )
    if spent := spent_by(run.config, state.endpoints):
        by_model = (
            f" ({', '.join(f'{model} {money(cost)}' for model, cost in spent.items())})" if len(spent) > 1 else ""
        )
        console.say(f"cost of the calls: {money(sum(spent.values()))}{by_model}")
    if left := _left(state):
        why = f"the limit of {run.limit_reached} was reached" if run.limit_reached else "no endpoint available"
        console.say(f"{left} records not made: {why}; run the same command to resume")


def _left(state: RunState) -> int:
    """Return the records that the run was to make and did not start."""
    return sum(task.left for task in state.tasks.values())


def _who(key: TaskKey) -> str:
    by, against = f" by {key.judge}" if key.judge else "", f" against {key.baseline}" if key.baseline else ""
    return f"{key.stage} of {key.model}{by}{against}"
