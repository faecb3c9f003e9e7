"""From the material of an audit to its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from engine.answer_style import count_style
from engine.audit.agreement import JudgeAgreement, judge_agreements
from engine.audit.biases import LanguageReport, PreferenceReport, family_report, language_report, preference_report
from engine.audit.intervals import QuestionResampler
from engine.audit.material import Material, between_people, people_labels
from engine.audit.opinion import findings, opinion
from engine.audit.people import PeopleLabels, people_report
from engine.audit.report import AuditReport, JudgeAudit, Opinion
from engine.audit.trials import IdenticalProbe, ProbeResult, RepeatReport
from engine.audit.verdicts import fake_verdicts, position_report, verdict_report
from engine.errors import RatingError
from engine.language_check import LanguageDetector, mismatches
from engine.ratings.battles import Battles, FloatArray
from engine.ratings.estimate import RatingOptions
from engine.ratings.style import StyleCounts

_NO_OPINION = Opinion("with care", "")


class Auditor:
    """Audits the judges of one bench. Making it reads no file; the languages of the answers take a while.

    `tell(done, of)` hears of every question whose answers were looked at; what it raises ends the audit.
    """

    def __init__(
        self, material: Material, options: RatingOptions, tell: Callable[[int, int], None] | None = None
    ) -> None:
        self._material = material
        self._options = options
        self._battles = material.battles
        self._resampler = QuestionResampler(len(self._battles.questions), options.rounds, options.seed)
        self._labels: PeopleLabels = people_labels(material.reviews, self._battles, options.baseline)
        self._style, self._style_notes = self._count_style()
        self._mismatch, self._other_language = self._find_mismatches(tell)

    def report(self) -> AuditReport:
        """Everything that is known without asking the judges again."""
        options, material = self._options, self._material
        agreements = judge_agreements(self._battles, self._resampler)
        judges = [self._judge(index, agreements) for index in range(len(self._battles.judges))]
        return AuditReport(
            bench=material.name,
            baseline=options.baseline,
            rounds=options.rounds,
            seed=options.seed,
            weight=options.weight,
            judges=judges,
            between_judges=agreements,
            reviewers=sorted(material.reviews),
            between_people=between_people(material.reviews, self._battles, options.baseline, self._resampler),
            warnings=[*material.warnings, *self._style_notes],
        )

    def _judge(self, index: int, agreements: Sequence[JudgeAgreement]) -> JudgeAudit:
        name = self._battles.judges[index]
        mine = self._battles.where(self._battles.judge == index)
        material, resampler = self._material, self._resampler
        audit = JudgeAudit(
            judge=name,
            opinion=_NO_OPINION,
            findings=[],
            verdicts=verdict_report(mine, resampler, material.replies.get(name)),
            position=position_report(mine, resampler, material.same_text),
            style=self._preference(mine),
            language=self._language(mine),
            family=family_report(name, self._battles, self._options, material.families, resampler),
            fake_verdicts=fake_verdicts(mine, material.flagged, resampler),
            people=people_report(mine, self._options, self._labels, resampler),
        )
        return with_opinion(audit, agreements)

    def _preference(self, mine: Battles) -> PreferenceReport | None:
        if self._style is None:
            return None
        return preference_report(mine, self._options, self._style, self._resampler)

    def _language(self, mine: Battles) -> LanguageReport | None:
        if self._mismatch is None:
            return None
        try:
            return language_report(mine, self._options, self._mismatch, self._other_language, self._resampler)
        except RatingError:  # no game against the baseline has a verdict, as when it was judged against itself alone
            return None

    def _count_style(self) -> tuple[StyleCounts | None, list[str]]:
        if not any(self._material.answers.values()):
            return None, []
        return count_style(self._material.answers)

    def _find_mismatches(self, tell: Callable[[int, int], None] | None) -> tuple[FloatArray | None, dict[str, str]]:
        material, battles = self._material, self._battles
        if not any(material.answers.values()) or not material.questions:
            return None, {}
        return mismatches(
            material.questions, material.answers, battles.questions, battles.models, LanguageDetector(), tell
        )


def with_trials(
    report: AuditReport,
    judge: str,
    probes: Sequence[ProbeResult] | None,
    repeats: RepeatReport | None,
    identical: IdenticalProbe | None = None,
) -> AuditReport:
    """The report with what extra calls to a judge brought, and its opinion anew."""

    def completed(audit: JudgeAudit) -> JudgeAudit:
        if audit.judge != judge:
            return audit
        more = msgspec.structs.replace(
            audit,
            probes=audit.probes if probes is None else list(probes),
            identical=audit.identical if identical is None else identical,
            repeats=audit.repeats if repeats is None else repeats,
        )
        return with_opinion(more, report.between_judges)

    judges = [completed(audit) for audit in report.judges]
    return msgspec.structs.replace(report, judges=judges)


def with_opinion(audit: JudgeAudit, agreements: Sequence[JudgeAgreement]) -> JudgeAudit:
    """The audit with its findings in words and the opinion that follows from them."""
    found = findings(audit, agreements)
    return msgspec.structs.replace(audit, findings=found, opinion=opinion(found))
