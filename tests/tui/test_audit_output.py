"""The audit as a page that people read, as Markdown, and as JSON that programs read."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec import UNSET

from arena_tui.output.audit import format_audit
from arena_tui.output.audit_findings import PhrasedFinding, PhrasedOpinion, phrased
from engine.auditing.biases import FamilyReport, LanguageReport, ModelLanguage, PreferenceReport, StyleGain
from engine.auditing.findings import findings
from engine.auditing.intervals import NOTHING, IntervalEstimate
from engine.auditing.report import AuditReport, JudgeAudit
from engine.auditing.trials import ProbeResult
from engine.auditing.verdicts import IdenticalAnswers, ModelFlips, PositionReport, ReplyCounts, VerdictReport


def about(value: float, spread: float = 1.0) -> IntervalEstimate:
    return IntervalEstimate(value, value - spread, value + spread, 100)


def audit_of(judge: str = "a-judge", **changed: object) -> JudgeAudit:
    audit = JudgeAudit(
        judge=judge,
        verdicts=VerdictReport(400, 100, about(0.5, 0.2), about(5), about(40), ReplyCounts(texts=400)),
        position=PositionReport(
            200, about(10), about(12), about(51), [ModelFlips("m-1", about(10), about(51))],
            IdenticalAnswers(50, 50, 0, 0, 0, IntervalEstimate(0.0, 0.0, 3.0, 50)),
        ),
        style=PreferenceReport(about(51), [StyleGain("length", about(0.5)), StyleGain("bold", about(0.2))]),
        language=LanguageReport(
            [ModelLanguage("m-1", 100, 2, "en", about(60), about(59), about(60), NOTHING)], 100, 0, 1
        ),
        family=FamilyReport("x", False, [], False, None),
        fake_verdicts=[],
        people=None,
    )  # fmt: skip
    return msgspec.structs.replace(audit, **changed)


def report_of(*audits: JudgeAudit, warnings: list[str] | None = None) -> AuditReport:
    return AuditReport(
        bench="a-bench",
        baseline="base",
        rounds=1000,
        seed=42,
        weight=3,
        judges=list(audits),
        between_judges=[],
        reviewers=[],
        between_people=None,
        warnings=warnings or [],
    )


def level_of(audit: JudgeAudit, topic: str) -> str:
    return next(finding.level for finding in findings(report_of(audit), audit.judge) if finding.topic == topic)


def opinion_of(audit: JudgeAudit) -> PhrasedOpinion:
    return phrased(report_of(audit), audit.judge)[0]


def test_a_judge_without_faults_is_trusted_and_untried_checks_are_named() -> None:
    audit = audit_of()
    assert opinion_of(audit).trust == "yes"
    assert "people" in opinion_of(audit).summary
    assert "constant answers" in opinion_of(audit).summary
    page = format_audit(report_of(audit), "table")
    assert page.splitlines()[0] == "a-bench · baseline base · 95% CI by question, 1000 rounds"
    assert "a-judge  --  trust: yes" in page
    assert "51.0% [50.0, 52.0] of the points" in page


@pytest.mark.parametrize(
    ("changed", "topic", "level", "trust"),
    [
        ({"probes": [ProbeResult("null", "x", 50, 0, about(40))]}, "constant answers", "bad", "no"),
        ({"probes": [ProbeResult("null", "x", 50, 0, about(8))]}, "constant answers", "care", "with care"),
        ({"probes": [ProbeResult("null", "x", 0, 50, NOTHING)]}, "constant answers", "unknown", "yes"),
        ({"verdicts": VerdictReport(400, 100, about(30), about(5), about(40), None)}, "verdicts", "bad", "no"),
        ({"verdicts": VerdictReport(400, 100, about(8), about(5), about(40), None)}, "verdicts", "care", "with care"),
        ({"style": PreferenceReport(about(60), [StyleGain("length", about(20))])}, "length", "bad", "no"),
        ({"style": PreferenceReport(about(60), [StyleGain("length", about(20, 25))])}, "length", "good", "yes"),
        ({"style": PreferenceReport(NOTHING, [], "not known")}, "style", "unknown", "yes"),
        ({"family": FamilyReport("x", True, ["y"], False, about(9))}, "own family", "bad", "no"),
        ({"family": FamilyReport("x", True, [], False, None)}, "own family", "care", "with care"),
        ({"position": None}, "position", "unknown", "yes"),
    ],
)  # fmt: skip
def test_the_worst_finding_decides(changed: dict[str, object], topic: str, level: str, trust: str) -> None:
    audit = audit_of(**changed)
    assert level_of(audit, topic) == level
    assert opinion_of(audit).trust == trust


def test_the_page_keeps_its_width_but_never_breaks_a_name() -> None:
    name = "a-very-long-model-name-" * 3
    rows = [ModelFlips(f"{name}{number}", about(30), about(50)) for number in range(3)]
    audit = audit_of(position=PositionReport(200, about(45), about(50), about(50), rows, None))
    for width in (60, 80, 120):
        page = format_audit(report_of(audit), "table", width=width)
        words = [line for line in page.splitlines() if len(line) > width]
        assert not words, words


def test_the_page_can_do_with_ascii() -> None:
    assert format_audit(report_of(audit_of()), "table", ascii_only=True).isascii()


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_names_can_neither_steer_a_terminal_nor_break_a_line(form: str) -> None:
    evil = "x\x1b[2J\n| **bold** \u202e"
    rows = [ModelFlips(evil, about(30), about(50))]
    audit = audit_of(evil, position=PositionReport(200, about(10), about(12), about(51), rows, None))
    text = format_audit(report_of(audit), form)  # type: ignore[arg-type]
    assert "\x1b" not in text
    assert "\u202e" not in text
    if form == "markdown":
        assert "\\*\\*bold" in text


def test_markdown_holds_a_table_of_what_was_found() -> None:
    text = format_audit(report_of(audit_of()), "markdown")
    assert text.startswith("## Audit of the judge\n")
    assert "**trust: yes.**" in text
    assert "|  | topic | finding |" in text
    assert "No problem found in what was examined." in text
    assert "| ok | position |" in text


def test_json_holds_everything_and_only_what_was_asked_for() -> None:
    report = report_of(audit_of(), warnings=["a warning"])
    loaded = json.loads(format_audit(report, "json"))
    assert loaded["warnings"] == ["a warning"]
    (judge,) = loaded["judges"]
    assert judge["opinion"]["trust"] == "yes"
    assert judge["position"]["identical"]["double_ties"] == 50
    assert "probes" not in judge
    assert audit_of().probes is UNSET
    again = msgspec.convert(loaded, AuditReport)
    assert again.judges[0] == report.judges[0]
    assert phrased(again, judge["judge"])[1][0] == PhrasedFinding(**judge["findings"][0])
