"""The audit of the judges as one page of words and a table, as Markdown, or as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from arena_tui.advice import phrase, phrase_all
from arena_tui.output.audit_findings import PhrasedFinding, phrased
from arena_tui.output.json_text import json_text
from arena_tui.output.tables import TableColumn, escaped, fitted, markdown_table, text_table
from arena_tui.safe_text import one_line
from engine.auditing.biases import ModelLanguage
from engine.auditing.findings import FindingLevel
from engine.auditing.intervals import IntervalEstimate
from engine.auditing.people import CorrectedScore
from engine.auditing.report import AuditReport, JudgeAudit
from engine.auditing.verdicts import ModelFlips

AuditFormat: TypeAlias = Literal["table", "json", "markdown"]

MARKS: dict[FindingLevel, str] = {"good": "ok", "care": "care", "bad": "BAD", "unknown": "?"}
_TITLES = {"yes": "trust: yes", "with care": "trust: with care", "no": "trust: no"}
_DROPPED_FIRST = ("labels", "first place %", "flips %")
_WIDEST_PAGE = 110


def format_audit(report: AuditReport, form: AuditFormat, *, width: int = 120, ascii_only: bool = False) -> str:
    """Return the audit as text that ends with a newline; only the JSON contains the warnings.

    `width` (columns) and `ascii_only` apply to the page alone. Names cannot contain terminal controls, line breaks or
    markup.
    """
    if form == "json":
        return json_text(_document(report))
    text = _markdown(report) if form == "markdown" else _page(report, min(width, _WIDEST_PAGE), ascii_only)
    return text.replace("·", "|").encode("ascii", "replace").decode() if ascii_only and form == "table" else text


def _document(report: AuditReport) -> dict[str, Any]:
    """The JSON output: the figures, and after the name of each judge what they mean in words."""
    document: dict[str, Any] = msgspec.to_builtins(report, enc_hook=phrase)
    judges = []
    for figures in document["judges"]:
        opinion, found = phrased(report, figures["judge"])
        judge = figures.pop("judge")
        words = {"judge": judge, "opinion": msgspec.to_builtins(opinion), "findings": msgspec.to_builtins(found)}
        judges.append(words | figures)
    return document | {"judges": judges, "warnings": phrase_all(report.warnings)}


def _page(report: AuditReport, width: int, ascii_only: bool) -> str:
    parts = [_wrapped(" · ".join(_headline(report)), width)]
    for audit in report.judges:
        opinion, found = phrased(report, audit.judge)
        title = f"{one_line(audit.judge)}  --  {_TITLES[opinion.trust]}"
        parts.append(f"{title}\n{_wrapped(one_line(opinion.summary), width)}")
        topic_width = max((len(finding.topic) for finding in found), default=0)
        parts.append("\n".join(_lines(finding, topic_width, width) for finding in found))
        if columns := model_columns(audit):
            parts.append(text_table(fitted(columns, width, _DROPPED_FIRST, ellipsis="~" if ascii_only else "…")))
    return "\n\n".join(parts) + "\n"


def _lines(finding: PhrasedFinding, topic_width: int, width: int) -> str:
    lead = f"{MARKS[finding.level]:<4}  {finding.topic:<{topic_width}}  "
    return _wrapped(one_line(finding.text), max(width, len(lead) + 30), lead)


def _wrapped(text: str, width: int, lead: str = "") -> str:
    """Lines of at most `width` columns, but for longer words: model names stay whole."""
    return textwrap.fill(
        text,
        width,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _markdown(report: AuditReport) -> str:
    parts = ["## Audit of the judge", escaped(" · ".join(_headline(report)))]
    for audit in report.judges:
        opinion, found = phrased(report, audit.judge)
        parts += [
            f"### {escaped(one_line(audit.judge))}",
            f"**{_TITLES[opinion.trust]}.** {escaped(one_line(opinion.summary))}",
            markdown_table(finding_columns(found)),
        ]
        if columns := model_columns(audit):
            parts.append(markdown_table(columns))
    return "\n\n".join(parts) + "\n"


def _headline(report: AuditReport) -> Iterator[str]:
    yield one_line(report.bench)
    yield f"baseline {one_line(report.baseline)}"
    yield f"95% CI by question, {report.rounds} rounds"
    if report.reviewers:
        yield f"labels by {', '.join(map(one_line, report.reviewers))}"
    between = report.between_people
    if between is not None and between.kappa.value is not None:
        yield f"people agree with each other: kappa {between.kappa.value:.2f} in {between.games} games"


def finding_columns(findings: Sequence[PhrasedFinding]) -> list[TableColumn]:
    return [
        TableColumn("", [MARKS[finding.level] for finding in findings], right=False),
        TableColumn("topic", [finding.topic for finding in findings], right=False),
        TableColumn("finding", [one_line(finding.text) for finding in findings], right=False),
    ]


def model_columns(audit: JudgeAudit, only: Collection[str] | None = None) -> list[TableColumn]:
    """One row a model (of `only`, or all): the figures behind the findings. Columns without any figure are left out."""
    flips = {row.model: row for row in audit.position.models} if audit.position is not None else {}
    languages = {row.model: row for row in audit.language.models} if audit.language is not None else {}
    people = {row.model: row for row in audit.people.models} if audit.people is not None else {}
    models = sorted(model for model in {*flips, *languages, *people} if only is None or model in only)
    if not models:
        return []

    def flip(cell: Callable[[ModelFlips], str]) -> list[str]:
        return [cell(flips[model]) if model in flips else "-" for model in models]

    def language(cell: Callable[[ModelLanguage], str]) -> list[str]:
        return [cell(languages[model]) if model in languages else "-" for model in models]

    def person(cell: Callable[[CorrectedScore], str]) -> list[str]:
        return [cell(people[model]) if model in people else "-" for model in models]

    columns = [
        TableColumn("flips %", flip(lambda row: _number(row.flips))),
        TableColumn("first place %", flip(lambda row: _number(row.first_place))),
        TableColumn("other language", language(lambda row: f"{row.mismatched}/{row.answers}")),
        TableColumn("score", language(lambda row: _number(row.score))),
        TableColumn("if those lost", language(lambda row: _number(row.score_if_lost))),
        TableColumn("labels", person(lambda row: str(row.labels))),
        TableColumn("by people", person(lambda row: _limits(row.corrected))),
    ]
    known = [column for column in columns if any(cell != "-" for cell in column.cells)]
    return [TableColumn("model", [one_line(model) for model in models], right=False), *known]


def _number(estimate: IntervalEstimate) -> str:
    return "-" if estimate.value is None else f"{estimate.value:.1f}"


def _limits(estimate: IntervalEstimate) -> str:
    if estimate.value is None:
        return "-"
    return f"{estimate.value:.1f} [{estimate.lower:.1f}, {estimate.upper:.1f}]"
