"""`arena-tui gate`: an exit code for CI: whether models are not worse than a reference."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from arena_tui import console
from arena_tui.invocation import Invocation
from arena_tui.output.gate import GateFormat, format_gate
from engine.bench import Bench
from engine.bench.settings import describe_difference
from engine.errors import UsageProblem
from engine.judged import sampling_digests
from engine.opening import read_whole
from engine.ratings.battles import NullGames
from engine.ratings.estimate import RatingOptions
from engine.ratings.evidence import Describe, Result
from engine.ratings.gate import GateOptions, gate
from engine.results import gate_result, refuse_partial_baselines

_LARGEST = 1 << 30  # bytes of a stored result


def gate_command(
    invocation: Invocation,
    *,
    models: tuple[str, ...],
    not_worse_than: str | None,
    baseline_result: Path | None,
    form: GateFormat,
    judges: tuple[str, ...],
    baseline: str | None,
    battles: Path | None,
    strict: bool,
    null_games: NullGames,
    soft: bool,
    weight: int | None,
    first_game_only: bool,
    **limits: float | bool,
) -> int:
    """Check and print. Return the exit code: 0 passed, 1 failed."""
    stored = _stored(baseline_result) if baseline_result is not None else None
    source = invocation.open_source(
        battles, judges, (baseline,) if baseline else (), strict=strict, null_games=null_games
    )
    rating = RatingOptions(
        baseline=source.baseline, weight=weight or source.weight, soft=soft, first_game_only=first_game_only
    )
    refuse_partial_baselines(source.judged, [*models, *([not_worse_than] if not_worse_than else [])])
    report = gate(
        gate_result(source.judged, rating),
        models,
        not_worse_than,
        msgspec.convert(limits, GateOptions),
        stored,
        _describer(source.bench) if source.bench else (lambda _old, _new: ""),
    )
    report = msgspec.structs.replace(report, warnings=[*source.judged.warnings, *report.warnings])
    if form != "json":
        console.warn(report.warnings)
    click.echo(format_gate(report, form, ascii_only=not console.stdout_has_unicode()), nl=False)
    return console.DONE if report.passed else console.FAILED


def _stored(path: Path) -> Result:
    """Read a stored result. Raises UsageProblem if there is none with intact evidence."""
    hint = "store one with `arena-tui leaderboard --format json`, `run --json` or `gate --format json`"
    try:
        result = msgspec.json.decode(read_whole(path, _LARGEST), type=Result)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read ({error.strerror})", hint) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path}: not a stored result with evidence ({error})", hint) from None
    if problem := result.evidence.problem():
        raise UsageProblem(f"{path}: its evidence is damaged: {problem}", hint)
    return result


def _describer(bench: Bench) -> Describe:
    """Return a function that describes the difference of two settings digests, as far as the bench knows them."""
    settings = bench.settings()
    known = settings | {short: settings[digest] for digest, short in sampling_digests(settings).items()}

    def describe(old: str, new: str) -> str:
        return describe_difference(known[old], known[new]) if old in known and new in known else ""

    return describe
