"""`arena-tui audit`: whether the judge can be trusted for this bench, in words and figures."""

from __future__ import annotations

from pathlib import Path

import click

from arena_tui import console
from arena_tui.headless import run_loop
from arena_tui.invocation import DEFAULT_CONFIG, Invocation
from arena_tui.output.audit import AuditFormat, format_audit
from engine.auditing.asking import TrialPlan, ask_judge
from engine.auditing.auditor import Auditor, with_trials
from engine.auditing.material import Material, material_of_battles, material_of_bench
from engine.auditing.report import AuditReport
from engine.bench import Bench
from engine.config.model import Config
from engine.errors import UsageProblem
from engine.formats import battles_file
from engine.labels import DEFAULT_WEIGHT
from engine.ratings.battles import common_opponent
from engine.ratings.estimate import RatingOptions


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
) -> int:
    """Audit and print. Returns the exit code: 1 when calls failed for good."""
    plan = TrialPlan(probe=probe, repeat=repeat or 0, sample=sample, seed=seed)
    if battles is not None:
        if probe or repeat:
            raise UsageProblem("--probe and --repeat ask the judge of a config", "leave --battles out")
        material, options = _published_battles(invocation, battles, judges, baseline, weight, rounds, seed)
        config = None
    else:
        config = invocation.config(keys=bool(probe or repeat))
        baseline = baseline or config.judge.baseline
        bench = Bench.open(config.data, config.bench)
        material = material_of_bench(bench, config, judges or tuple(config.judge.model), baseline)
        options = RatingOptions(baseline=baseline, weight=weight or DEFAULT_WEIGHT, rounds=rounds, seed=seed)
    auditor = Auditor(material, options)
    report = auditor.report()
    failed = 0
    if config is not None and (probe or repeat):
        report, failed = run_loop(_with_extra_calls(config, material, report, plan))
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
        report = with_trials(report, audit.judge, trials)
    return report, failed


def _published_battles(
    invocation: Invocation,
    path: Path,
    judges: tuple[str, ...],
    baseline: str | None,
    weight: int | None,
    rounds: int,
    seed: int,
) -> tuple[Material, RatingOptions]:
    """Read the battles of a file; the answers come from the bench of the config, if it is the same one."""
    if len(judges) > 1:
        raise UsageProblem("a battles file is of one judge", "name that one with --judge, or none")
    loaded = battles_file.load_battles(path)
    named = baseline or common_opponent(loaded.battles)
    if named is None:
        raise UsageProblem(f"{path}: no model takes part in every battle", "name the baseline with --baseline")
    lender = None
    if invocation.config_path or DEFAULT_CONFIG.exists():
        config = invocation.config(keys=False)
        if (config.data / config.bench).is_dir():
            lender = (Bench.open(config.data, config.bench), config)
    problems = [str(problem) for problem in loaded.problems]
    material = material_of_battles(path.stem, loaded.battles, judges[0] if judges else None, lender, problems)
    return material, RatingOptions(
        baseline=named, weight=weight or loaded.weight or DEFAULT_WEIGHT, rounds=rounds, seed=seed
    )
