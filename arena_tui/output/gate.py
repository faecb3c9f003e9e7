"""The result of a gate as text for stdout: in words with a table, as JSON, or as a CI summary in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from arena_tui.advice import phrase
from arena_tui.output.json_text import json_text
from arena_tui.output.tables import TableColumn, escaped, markdown_table, text_table
from arena_tui.output.verdict import pair_words, without_unicode
from arena_tui.safe_text import one_line
from engine.ratings.gate import GateCheck, GateReport

GateFormat: TypeAlias = Literal["table", "json", "markdown"]


def format_gate(report: GateReport, form: GateFormat, *, ascii_only: bool = False) -> str:
    """Return text that ends with a newline. Only JSON and Markdown contain the warnings."""
    if form == "json":
        return json_text(report)
    if form == "markdown":
        return _markdown(report)
    parts = [_headline(report), "\n".join(_sentence(check, report) for check in report.checks)]
    text = "\n\n".join([*parts, text_table(_columns(report)), _basis(report)]) + "\n"
    return without_unicode(text) if ascii_only else text


def _markdown(report: GateReport) -> str:
    mark = "✅" if report.passed else "❌"
    parts = [
        f"### {mark} {escaped(_headline(report))}",
        markdown_table(_columns(report)),
        "\n".join(f"- {escaped(_sentence(check, report))}" for check in report.checks),
        escaped(_basis(report)),
    ]
    parts += [f"> ⚠️ {escaped(one_line(phrase(warning)))}" for warning in report.warnings]
    return "\n\n".join(parts) + "\n"


def _headline(report: GateReport) -> str:
    if report.passed:
        return f"Gate passed: not worse by {report.margin:g} points or more"
    failed = [one_line(check.model) for check in report.checks if check.finding != "not worse"]
    return f"Gate failed: {', '.join(failed)}"


def _sentence(check: GateCheck, report: GateReport) -> str:
    answer = msgspec.structs.replace(check.answer, model_b=_reference(check, report))
    return f"{_finding(check, report)} Verdict: {pair_words(answer)}."


def _finding(check: GateCheck, report: GateReport) -> str:
    model, reference = one_line(check.model), _reference(check, report)
    margin = f"{report.margin:g} points"
    limit = f"at least {check.lower:+.1f} with {_sure(report)} certainty"
    match check.finding:
        case "not worse":
            return f"{model} is not worse than {reference} by {margin}: {check.difference:+.1f}, {limit}."
        case "worse":
            return (
                f"{model} is worse than {reference} by more than {margin}: {check.difference:+.1f}, at most "
                f"{check.upper:+.1f} with {_sure(report)} certainty."
            )
        case "not shown":
            claim = f"It is not shown that {model} is not worse than {reference} by {margin}: {check.difference:+.1f}"
            needed = check.questions_needed
            more = (
                f" A model just as good passes in 4 of 5 tries on {needed} questions; there are {check.questions}."
                if needed is not None and needed > check.questions
                else ""
            )
            return f"{claim}, but only {limit}.{more}"


def _columns(report: GateReport) -> list[TableColumn]:
    def column(title: str, cell: Callable[[GateCheck], str], *, right: bool = True) -> TableColumn:
        return TableColumn(title, [cell(check) for check in report.checks], right=right)

    return [
        column("model", lambda check: one_line(check.model), right=False),
        column("score", lambda check: f"{check.score:.2f}"),
        column("not worse than", lambda check: _reference(check, report), right=False),
        column("its score", lambda check: f"{check.reference_score:.2f}"),
        column("difference", lambda check: f"{check.difference:+.2f}"),
        column(f"{_sure(report)} lower limit", lambda check: f"{check.lower:+.2f}"),
        column("allowed", lambda _: f"{-report.margin:+g}" if report.margin else "0"),
        column("questions", lambda check: str(check.questions)),
        column(
            "", lambda check: {"not worse": "pass", "worse": "FAIL"}.get(check.finding, "FAIL (not shown)"), right=False
        ),
    ]


def _basis(report: GateReport) -> str:
    judged = f"judged by {', '.join(map(one_line, report.judges))}" if report.judges else "published battles"
    return (
        f"{one_line(report.bench)}, {judged}, scores against {one_line(report.baseline)}; differences paired "
        f"by question, one-sided error {report.alpha:g}."
    )


def _reference(check: GateCheck, report: GateReport) -> str:
    return f"{one_line(check.reference)} (stored)" if report.stored_reference else one_line(check.reference)


def _sure(report: GateReport) -> str:
    return f"{100.0 * (1.0 - report.alpha):g}%"
