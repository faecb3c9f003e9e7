"""What became of a checkpoint, as a line of text and as a line of JSON."""

from __future__ import annotations

from typing import Any

from arena_tui.output.stop_rule import is_decided, verdict_words
from arena_tui.safe_text import one_line
from engine.bench.lines import encode_json
from engine.checkpoints.report import BestComparison, CheckpointReport
from engine.ratings.stop_rule import Standing


def report_words(report: CheckpointReport) -> str:
    """Return the report as a line: the verdict in words, then against the best so far, then what it took."""
    name = one_line(report.model)
    step = f"step {report.step}: " if report.step is not None else ""
    if report.standing is None:
        return f"{step}{name}: {report.state}: {one_line(report.message) or 'nothing was judged'}"
    parts = [verdict_words(report.model, report.standing, report.baseline)]
    if report.best is not None:
        parts.append(best_words(report.best))
    if report.is_best:
        parts.append("best so far")
    if report.state != "evaluated":
        parts.append(f"{report.state}: {one_line(report.message)}")
    took = f"{report.calls} calls" if report.calls else "no new calls"
    if report.seconds:
        took += f", {report.seconds:.1f} s, of which {report.seconds - report.seconds_of_calls:.1f} s beside the calls"
    return f"{step}{'; '.join(parts)} ({took})"


def best_words(best: BestComparison) -> str:
    """Return the comparison with the best so far as part of a sentence."""
    known, rival = best.standing, one_line(best.model)
    limits = f"{known.difference:+.1f} [{known.difference_lower:+.1f}, {known.difference_upper:+.1f}]"
    if known.verdict == "equivalent":
        return f"equivalent to the best so far, {rival}, within ±{known.margin:g} points: {limits}"
    if known.verdict in ("better", "worse"):
        return f"{known.verdict} than the best so far, {rival}: {limits}"
    return f"undecided against the best so far, {rival}: {limits}"


def report_json(report: CheckpointReport) -> str:
    """Return the report as one line of JSON."""
    best = report.best
    line: dict[str, Any] = {
        "model": report.model,
        "step": report.step,
        "path": report.path,
        "kind": report.kind,
        "state": report.state,
        "baseline": report.baseline,
        **_standing(report.standing),
        "best": None if best is None else {"model": best.model, "step": best.step, **_pair(best.standing)},
        "is_best": report.is_best,
        "calls": report.calls,
        "waited": report.waited,
        "seconds": report.seconds,
        "seconds_beside_calls": round(report.seconds - report.seconds_of_calls, 3),
        "message": report.message,
    }
    return encode_json(line).decode()


def _standing(known: Standing | None) -> dict[str, Any]:
    if known is None:
        known = Standing("undecided", 0)
    return {
        "verdict": known.verdict,
        "decided": is_decided(known),
        "questions": known.questions,
        "decided_after": known.decided_after,
        "score": known.score,
        "lower": known.lower,
        "upper": known.upper,
        "margin": known.margin,
    }


def _pair(known: Standing) -> dict[str, Any]:
    return {
        "verdict": known.verdict,
        "decided_after": known.decided_after,
        "difference": known.difference,
        "lower": known.difference_lower,
        "upper": known.difference_upper,
    }
