"""The figures of an audit: everything known about the judges of a bench, in the shape of the JSON output."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from engine.auditing.agreement import Agreement, JudgeAgreement
from engine.auditing.biases import FamilyReport, LanguageReport, PreferenceReport
from engine.auditing.people import PeopleReport
from engine.auditing.trials import IdenticalProbe, ProbeResult, RepeatReport
from engine.auditing.verdicts import FakeVerdicts, PositionReport, VerdictReport
from engine.tabular import Tabular


class JudgeAudit(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of one judge; None where there are no data.

    `probes`, `identical` and `repeats` are set by extra calls only.
    """

    judge: str
    verdicts: VerdictReport
    position: PositionReport | None
    style: PreferenceReport | None
    language: LanguageReport | None
    family: FamilyReport | None
    fake_verdicts: list[FakeVerdicts]
    people: PeopleReport | None
    probes: list[ProbeResult] | UnsetType = UNSET
    identical: IdenticalProbe | UnsetType = UNSET
    repeats: RepeatReport | UnsetType = UNSET


class AuditReport(Tabular, msgspec.Struct, frozen=True, kw_only=True):
    """The whole result: percent and 95 % limits by question.

    `reviewers` are the people whose labels were used, `between_people` is their agreement on the same pairs. What the
    figures mean is in `engine.auditing.findings`.
    """

    bench: str
    baseline: str
    rounds: int
    seed: int
    weight: int
    judges: list[JudgeAudit]
    between_judges: list[JudgeAgreement]
    reviewers: list[str]
    between_people: Agreement | None
    warnings: list[str]

    @property
    def rows(self) -> list[JudgeAudit]:
        """The judges."""
        return self.judges

    def of_judge(self, name: str) -> JudgeAudit:
        """Return the figures of a judge. Raises KeyError for an unknown one."""
        for audit in self.judges:
            if audit.judge == name:
                return audit
        raise KeyError(name)
