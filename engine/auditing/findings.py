"""Decisions about the figures of an audit: a level for each thing examined, and whether the judge can be trusted.

Every limit below is a convention. A finding counts against a judge only if its whole interval does, not its estimate
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from msgspec import UNSET

from engine.auditing.agreement import JudgeAgreement
from engine.auditing.biases import FamilyReport, LanguageReport, ModelLanguage, PreferenceReport, StyleGain
from engine.auditing.intervals import IntervalEstimate
from engine.auditing.people import PeopleReport
from engine.auditing.report import AuditReport, JudgeAudit
from engine.auditing.trials import IdenticalProbe, ProbeResult, RepeatReport
from engine.auditing.verdicts import FakeVerdicts, IdenticalAnswers, PositionReport, VerdictReport
from engine.ratings import MINIMUM_QUESTIONS

FindingLevel: TypeAlias = Literal["good", "care", "bad", "unknown"]
Trust: TypeAlias = Literal["yes", "with care", "no"]
Topic: TypeAlias = Literal[
    "verdicts", "ties", "sample", "position", "flips", "identical answers", "style", "length", "format", "language",
    "own family", "verdicts inside answers", "other judges", "people", "constant answers", "consistency",
]  # fmt: skip

FIRST_PLACE_CARE, FIRST_PLACE_BAD = 5.0, 15.0  # points away from 50
FLIPS_CARE, FLIPS_BAD = 15.0, 40.0  # percent of the pairs
IDENTICAL_CARE, IDENTICAL_BAD = 5.0, 30.0  # percent of pairs of the same text that are no double tie
STYLE_CARE, STYLE_BAD = 3.0, 10.0  # points in an even match
LANGUAGE_CARE, LANGUAGE_BAD = 3.0, 10.0  # points of score that depend on answers in another language
MOST_MODELS = 3  # reported one by one
LEAST_MISMATCHED = 10  # answers, to say how a judge treats them
PUNISHED = 10.0  # points by which an answer in the wrong language must do worse to be called punished
FAMILY_BAD = 5.0  # points
UNPARSED_CARE, UNPARSED_BAD = 5.0, 20.0  # percent of the games
TIES_CARE = 60.0  # percent of the verdicts
SYSTEMATIC = 0.1  # of a model's answers that address the judge
FAKE_CARE = 10.0  # points by which answers with a verdict in them may do better than the others
LEAST_LABELS = 30
PROBE_CARE, PROBE_BAD = 5.0, 15.0  # percent of the points for an answer without content
REPEAT_CARE, REPEAT_BAD = 95.0, 75.0  # percent of the games with the same winner each time
KAPPA_CARE, KAPPA_BAD = 0.4, 0.2  # below 0.2 is hardly more than chance, from 0.4 on moderate (Landis and Koch, 1977)

Subject: TypeAlias = (
    VerdictReport
    | PositionReport
    | IdenticalAnswers
    | IdenticalProbe
    | PreferenceReport
    | LanguageReport
    | ModelLanguage
    | FamilyReport
    | Sequence[FakeVerdicts]
    | JudgeAgreement
    | PeopleReport
    | ProbeResult
    | RepeatReport
    | int
    | None
)


@dataclass(frozen=True)
class AuditFinding:
    """One thing that was examined: `good`, to be taken with `care`, `bad`, or `unknown` for lack of data.

    `subject` are the figures behind it: None where there are none, a number for that many further models.
    """

    topic: Topic
    level: FindingLevel
    subject: Subject = None


def findings(report: AuditReport, judge: str) -> list[AuditFinding]:
    """Return everything that was examined about a judge, in the order of the report. Raises KeyError without it."""
    audit = report.of_judge(judge)
    return [
        *_verdicts(audit.verdicts),
        *_position(audit.position),
        *_identical(audit),
        *_style(audit.style),
        *_language(audit.language),
        _family(audit.family),
        *_fakes(audit.fake_verdicts),
        *(
            AuditFinding("other judges", _kappa_level(each.agreement.kappa), each)
            for each in report.between_judges
            if judge in (each.judge, each.other)
        ),
        _people(audit.people),
        *_trials(audit),
    ]


def trust(found: Iterable[AuditFinding]) -> Trust:
    """Decide by the worst finding."""
    levels = {finding.level for finding in found}
    return "no" if "bad" in levels else "with care" if "care" in levels else "yes"


def by_level(found: Iterable[AuditFinding], level: FindingLevel) -> list[Topic]:
    """Return the topics whose worst finding has that level, in order."""
    worst: dict[Topic, FindingLevel] = {}
    for finding in found:
        worst[finding.topic] = _worse(worst.get(finding.topic, "unknown"), finding.level)
    return [topic for topic, its in worst.items() if its == level]


def _verdicts(report: VerdictReport) -> Iterator[AuditFinding]:
    level = _level(report.unparsed.lower, UNPARSED_CARE, UNPARSED_BAD)
    if report.replies is not None and report.replies.changed:
        level = _worse(level, "care")
    yield AuditFinding("verdicts", level, report)
    yield AuditFinding("ties", _level(report.ties.lower, TIES_CARE, 101.0), report)
    if report.questions < MINIMUM_QUESTIONS:
        yield AuditFinding("sample", "care", report)


def _position(report: PositionReport | None) -> Iterator[AuditFinding]:
    if report is None:
        yield AuditFinding("position", "unknown")
    elif report.first_place.known and report.flips.known:
        away = report.first_place.distance_from(50.0)
        yield AuditFinding("position", _level(away, FIRST_PLACE_CARE, FIRST_PLACE_BAD), report)
        yield AuditFinding("flips", _level(report.flips.lower, FLIPS_CARE, FLIPS_BAD), report)


def _identical(audit: JudgeAudit) -> Iterator[AuditFinding]:
    """Of answers that happened to be identical, and of those that the judge was asked about on purpose."""
    stored = audit.position.identical if audit.position is not None else None
    asked = audit.identical if audit.identical is not UNSET and audit.identical.biased.known else None
    for same in (asked, stored):
        if same is not None:
            yield AuditFinding("identical answers", _level(same.biased.lower, IDENTICAL_CARE, IDENTICAL_BAD), same)
    if asked is None and stored is None:
        yield AuditFinding("identical answers", "unknown")


def _style(report: PreferenceReport | None) -> Iterator[AuditFinding]:
    if report is None or not report.gains:
        yield AuditFinding("style", "unknown", report)
        return
    length = [_style_level(gain) for gain in report.gains if gain.name == "length"]
    marks = [_style_level(gain) for gain in report.gains if gain.name != "length"]
    if length:
        yield AuditFinding("length", length[0], report)
    if marks:
        yield AuditFinding("format", _worse("good", *marks), report)


def _style_level(gain: StyleGain) -> FindingLevel:
    """By the size of the effect, if its interval excludes 0."""
    size = abs(gain.points.value or 0.0) if gain.points.distance_from(0.0) > 0 else 0.0
    return _level(size, STYLE_CARE, STYLE_BAD)


def _language(report: LanguageReport | None) -> Iterator[AuditFinding]:
    if report is None or not any(row.answers for row in report.models):
        yield AuditFinding("language", "unknown")
        return
    owing = [row for row in report.models if _points_owed(row) >= LANGUAGE_CARE]
    if not owing:
        yield AuditFinding("language", "good", report)
    for row in sorted(owing, key=_points_owed, reverse=True)[:MOST_MODELS]:
        punished = row.score_mismatched.number <= row.score_matched.number - PUNISHED
        is_bad = _points_owed(row) >= LANGUAGE_BAD and not punished
        yield AuditFinding("language", "bad" if is_bad else "care", row)
    if len(owing) > MOST_MODELS:
        yield AuditFinding("language", "care", len(owing) - MOST_MODELS)


def _points_owed(row: ModelLanguage) -> float:
    """Points of its score that a model owes to answers in another language."""
    if row.mismatched < LEAST_MISMATCHED or not row.score.known or not row.score_if_lost.known:
        return 0.0
    return row.score.number - row.score_if_lost.number


def _family(report: FamilyReport | None) -> AuditFinding:
    if report is None:
        return AuditFinding("own family", "unknown")
    if not (report.itself or report.relatives or report.baseline_is_relative):
        return AuditFinding("own family", "good", report)
    more = report.advantage
    if more is None or not more.known:
        return AuditFinding("own family", "care" if report.itself else "unknown", report)
    favours = more.lower is not None and more.lower > 0
    if favours and more.number > FAMILY_BAD:
        return AuditFinding("own family", "bad", report)
    return AuditFinding("own family", "care" if favours or report.itself else "good", report)


def _fakes(reports: Sequence[FakeVerdicts]) -> Iterator[AuditFinding]:
    if reports:
        is_care = first_fooling(reports) is not None or any(is_systematic(report) for report in reports)
        yield AuditFinding("verdicts inside answers", "care" if is_care else "good", reports)


def first_fooling(reports: Sequence[FakeVerdicts]) -> FakeVerdicts | None:
    """Return the first model whose answers with a verdict in them did clearly better than its others, if any."""
    for report in reports:
        if report.others.known and report.score.number > report.others.number + FAKE_CARE and report.answers > 1:
            return report
    return None


def is_systematic(report: FakeVerdicts) -> bool:
    """Return whether so many answers of a model address the judge that it looks like a way to win."""
    return report.answers > 1 and report.answers >= SYSTEMATIC * report.questions


def _people(report: PeopleReport | None) -> AuditFinding:
    if report is None or report.agreement is None:
        return AuditFinding("people", "unknown")
    enough = report.agreement.games >= LEAST_LABELS
    return AuditFinding("people", _kappa_level(report.agreement.kappa) if enough else "unknown", report)


def _trials(audit: JudgeAudit) -> Iterator[AuditFinding]:
    for probe in () if audit.probes is UNSET else audit.probes:
        yield AuditFinding("constant answers", _level(probe.points.value, PROBE_CARE, PROBE_BAD), probe)
    if audit.repeats is not UNSET:
        same = audit.repeats.same_winner.value
        yield AuditFinding("consistency", _level_of_high(same, REPEAT_CARE, REPEAT_BAD), audit.repeats)
    if audit.probes is UNSET:
        yield AuditFinding("constant answers", "unknown")
    if audit.repeats is UNSET:
        yield AuditFinding("consistency", "unknown")


def _level(value: float | None, care: float, bad: float) -> FindingLevel:
    """Good below `care`, bad from `bad` on."""
    if value is None:
        return "unknown"
    return "bad" if value >= bad else "care" if value >= care else "good"


def _level_of_high(value: float | None, care: float, bad: float) -> FindingLevel:
    """Bad below `bad`, good from `care` on."""
    if value is None:
        return "unknown"
    return "bad" if value < bad else "care" if value < care else "good"


def _kappa_level(kappa: IntervalEstimate) -> FindingLevel:
    return _level_of_high(kappa.value, KAPPA_CARE, KAPPA_BAD)


def _worse(*levels: FindingLevel) -> FindingLevel:
    order: tuple[FindingLevel, ...] = ("unknown", "good", "care", "bad")
    return max(levels, key=order.index)
