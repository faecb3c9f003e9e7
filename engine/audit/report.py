"""The audit of the judges of a bench: everything that its verdicts tell of them, in the shape of the JSON output."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from engine.audit.agreement import Agreement, JudgeAgreement
from engine.audit.biases import FamilyReport, LanguageReport, PreferenceReport
from engine.audit.people import PeopleReport
from engine.audit.trials import IdenticalProbe, ProbeResult, RepeatReport
from engine.audit.verdicts import FakeVerdicts, PositionReport, VerdictReport

Level: TypeAlias = Literal["good", "care", "bad", "unknown"]
Trust: TypeAlias = Literal["yes", "with care", "no"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: `good`, to be taken with `care`, `bad`, or `unknown` for want of data."""

    topic: str
    level: Level
    text: str


class Opinion(msgspec.Struct, frozen=True):
    """Whether the judge can be trusted for this bench, and why; the worst finding decides."""

    trust: Trust
    summary: str


class JudgeAudit(msgspec.Struct, frozen=True, kw_only=True):
    """All about one judge; None is what there was no data for. `probes`, `identical` and `repeats` are there if asked
    for."""

    judge: str
    opinion: Opinion
    findings: list[Finding]
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


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result: percent and 95 % limits by question. `reviewers` are the people whose labels were used, and
    `between_people` how far they agree with each other on the same games."""

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
