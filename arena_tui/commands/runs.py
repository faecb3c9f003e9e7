"""`arena-tui runs`: lists the runs of a bench, shows one, or lists the differences of two."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from arena_tui.console import DONE, printable
from arena_tui.invocation import Invocation
from arena_tui.output.clock import clock
from arena_tui.output.json_text import json_text
from arena_tui.output.tables import TableColumn, text_table
from engine.bench import Bench
from engine.bench.run_files import load_runs
from engine.errors import UsageProblem

# Differs between any two runs.
_NOT_COMPARED = ("id", "started", "ended", "outcome", "tasks", "calls", "prompt_tokens", "completion_tokens")


def runs_command(invocation: Invocation, ids: tuple[str, ...]) -> int:
    """List the runs; with one id print its record, with two their differences. Return the exit code."""
    config = invocation.config(keys=False)
    runs = load_runs(Bench.open(config.data, config.bench).paths.runs)
    if len(ids) > 2:
        raise UsageProblem(f"{len(ids)} ids of runs, at most two can be compared", "name one or two")
    chosen = [_find(runs, name) for name in ids]
    if not chosen:
        click.echo(_table(runs), nl=False)
    elif len(chosen) == 1:
        click.echo(json_text(chosen[0]), nl=False)
    else:
        lines = list(differences(*chosen)) or ["no differences in versions, flags, sampling and config"]
        click.echo("\n".join(map(printable, lines)))
    return DONE


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each difference between the settings of two runs."""
    config = "resolved" if "resolved" in one and "resolved" in other else "config"  # records of earlier versions
    before, after = (dict(_flat(_made_with(run, config))) for run in (one, other))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield f"{key}: {_value(before, key)} -> {_value(after, key)}"


def _find(runs: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = [run for run in runs if run["id"] == name] or [run for run in runs if run["id"].endswith(name)]
    if len(found) != 1:
        raise UsageProblem(
            f"no run {name!r}" if not found else f"{len(found)} runs end in {name!r}",
            "`arena-tui runs` lists them; the end of an id is enough",
        )
    return found[0]


def _table(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return "no runs recorded in this bench\n"
    rows = [
        (
            run["id"],
            time.strftime("%Y-%m-%d %H:%M", time.localtime(run.get("started") or 0)),
            str(run.get("outcome")),
            clock(max(0.0, (run.get("ended") or 0) - (run.get("started") or 0))) if run.get("ended") else "-",
            str(run.get("calls")),
            ", ".join(sorted(_versions(run))) or "-",
        )
        for run in runs
    ]
    titles = ("run", "started", "outcome", "took", "calls", "servers")
    columns = [
        TableColumn(title, [printable(row[at]) for row in rows], right=title in ("took", "calls"))
        for at, title in enumerate(titles)
    ]
    return text_table(columns) + "\n"


def _versions(run: Mapping[str, Any]) -> set[str]:
    endpoints = [endpoint for found in run.get("models", {}).values() for endpoint in found]
    return {f"vLLM {endpoint['vllm']}" if endpoint.get("vllm") else "other" for endpoint in endpoints}


def _made_with(run: Mapping[str, Any], config: str) -> dict[str, Any]:
    """Return what may have influenced the results: no times, counts or ports; the config as recorded under `config`."""
    shown = {key: value for key, value in run.items() if key not in (*_NOT_COMPARED, "resolved", "set")}
    shown["config"] = run.get(config, {})
    shown["models"] = {
        name: [{k: v for k, v in endpoint.items() if k not in ("address", "calls", "errors")} for endpoint in found]
        for name, found in run.get("models", {}).items()
    }
    shown["servers"] = [
        {"name": server["name"], "command": _without_port(server["command"]), "gpus": server["gpus"]}
        for server in run.get("servers", ())
    ]
    return shown


def _without_port(command: list[str]) -> list[str]:
    at = command.index("--port") if "--port" in command else None
    return command if at is None else [*command[:at], *command[at + 2 :]]


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _flat(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        for number, part in enumerate(value):
            yield from _flat(part, f"{key}[{number}]")
    else:
        yield key, value


def _value(settings: Mapping[str, Any], key: str) -> str:
    return "nothing" if key not in settings else str(settings[key])
