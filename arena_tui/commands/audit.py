"""`arena-tui audit`: whether the judge can be trusted for this bench, in words and figures."""

from __future__ import annotations

from pathlib import Path

import click

from arena_tui import console
from arena_tui.headless import run_loop
from arena_tui.invocation import Invocation
from arena_tui.output.audit import AuditFormat, format_audit
from engine.api import audit_material
from engine.auditing.asking import TrialPlan, ask_judge
from engine.auditing.auditor import Auditor, with_trials
from engine.auditing.known_bad import store_probe
from engine.auditing.material import Material
from engine.auditing.report import AuditReport
from engine.bench import Bench
from engine.config.model import Config
from engine.errors import StorageError, UsageProblem
from engine.ratings.battles import NullGames


def audit_command(
    invocation: Invocation,
    *,
    form: AuditFormat,
    judges: tuple[str, ...],
    baseline: str | None,
    battles: Path | None,
    probe: bool,
    repeat: int | None,
    sample: int,
    weight: int | None,
    rounds: int,
    seed: int,
    strict: bool,
    null_games: NullGames,
    wait: float,
) -> int:
    """Audit and print. Return the exit code: 1 when calls failed permanently."""
    plan = TrialPlan(probe=probe, repeat=repeat or 0, sample=sample, seed=seed, wait=wait)
    asks = bool(probe or repeat)
    if battles is not None and asks:
        raise UsageProblem("--probe and --repeat ask the judge of a config", "leave --battles out")
    source = battles or invocation.config(keys=asks)
    lender = invocation.lender() if battles else None
    material, options = audit_material(
        source,
        judges,
        baseline or "",
        weight=weight,
        rounds=rounds,
        seed=seed,
        strict=strict,
        null_games=null_games,
        lender=lender,
    )
    report = Auditor(material, options).report()
    failed = 0
    if isinstance(source, Config) and asks:
        report, failed = run_loop(_with_extra_calls(source, material, report, plan))
    if form != "json":
        console.warn(report.warnings)
    text = format_audit(report, form, width=console.stdout_width(), ascii_only=not console.stdout_has_unicode())
    click.echo(text, nl=False)
    return console.FAILED if failed else console.DONE


async def _with_extra_calls(
    config: Config, material: Material, report: AuditReport, plan: TrialPlan
) -> tuple[AuditReport, int]:
    """Add the extra calls of every judge, one judge after the other; return also how many games failed."""
    failed = 0
    for audit in report.judges:
        trials = await ask_judge(
            config, audit.judge, report.baseline, list(material.questions.values()), material.answers, plan, console.say
        )
        failed += trials.failed
        if trials.failed:
            reasons = "; ".join(trials.failures)
            console.warn([f"{trials.failed} of {trials.games} games with {audit.judge} failed: {reasons}"])
        try:
            store_probe(Bench.open(config.data, config.bench), config, audit.judge, report.baseline, plan, trials)
        except StorageError as error:
            console.warn([f"the probe of {audit.judge} is not stored: {error.title}"])
        report = with_trials(report, audit.judge, trials)
    return report, failed
