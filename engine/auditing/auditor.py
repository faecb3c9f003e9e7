"""From the material of an audit to its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
import numpy as np

from engine.auditing.agreement import judge_agreements
from engine.auditing.biases import LanguageReport, family_report, language_report, preference_report
from engine.auditing.intervals import QuestionResampler
from engine.auditing.material import Material
from engine.auditing.people import between_people, people_labels, people_report
from engine.auditing.report import AuditReport, JudgeAudit
from engine.auditing.trials import Trials
from engine.auditing.verdicts import fake_verdicts, position_report, verdict_report
from engine.errors import RatingError
from engine.language_check import LanguageCheck
from engine.ratings.battles import Battles, FloatArray
from engine.ratings.estimate import RatingOptions
from engine.ratings.style import StyleCounts
from engine.results import count_style


class Auditor:
    """Audits the judges of one bench. Reads no file of it; the language check takes a while for new texts.

    `on_progress(done, of)` is called before each question whose answers are checked; an exception from it ends the
    audit.
    """

    def __init__(
        self, material: Material, options: RatingOptions, on_progress: Callable[[int, int], None] | None = None
    ) -> None:
        self._material = material
        self._options = options
        self._battles = material.battles
        self._resampler = QuestionResampler(len(self._battles.questions), options.rounds, options.seed)
        self._labels = people_labels(material.reviews, self._battles, options.baseline)
        has_answers = any(material.answers.values())
        self._style: StyleCounts | None = None
        self._style_notes: list[str] = []
        self._mismatch: FloatArray | None = None
        self._other_language: dict[str, str] = {}
        if has_answers:
            self._style, self._style_notes = count_style(material.answers)
        if has_answers and material.questions:
            self._mismatch, self._other_language = _check_languages(material, on_progress)

    def report(self) -> AuditReport:
        """Return everything that is known without asking the judges again."""
        options, material = self._options, self._material
        return AuditReport(
            bench=material.name,
            baseline=options.baseline,
            rounds=options.rounds,
            seed=options.seed,
            weight=options.weight,
            judges=[self._judge(name) for name in self._battles.judges],
            between_judges=judge_agreements(self._battles, self._resampler),
            reviewers=sorted(material.reviews),
            between_people=between_people(material.reviews, self._battles, options.baseline, self._resampler),
            warnings=[*material.warnings, *self._style_notes],
        )

    def _judge(self, name: str) -> JudgeAudit:
        mine = self._battles.where(self._battles.judge == self._battles.judges.index(name))
        material, options, resampler, style = self._material, self._options, self._resampler, self._style
        return JudgeAudit(
            judge=name,
            verdicts=verdict_report(mine, resampler, material.replies.get(name)),
            position=position_report(mine, resampler, material.same_text),
            style=None if style is None else preference_report(mine, options, style, resampler),
            language=self._language(mine),
            family=family_report(name, self._battles, options, material.families, resampler),
            fake_verdicts=[
                msgspec.structs.replace(each, fenced=material.fenced)
                for each in fake_verdicts(mine, material.flagged, resampler)
            ],
            people=people_report(mine, options, self._labels, resampler),
        )

    def _language(self, mine: Battles) -> LanguageReport | None:
        if self._mismatch is None:
            return None
        try:
            return language_report(mine, self._options, self._mismatch, self._other_language, self._resampler)
        except RatingError:  # no labelled game against the baseline, as when it was judged against itself alone
            return None


def with_trials(report: AuditReport, judge: str, trials: Trials) -> AuditReport:
    """Return the report with the results of extra calls to a judge."""
    changed = {
        name: value
        for name, value in (("probes", trials.probes), ("identical", trials.identical), ("repeats", trials.repeats))
        if value is not None
    }
    judges = [msgspec.structs.replace(audit, **changed) if audit.judge == judge else audit for audit in report.judges]
    return msgspec.structs.replace(report, judges=judges)


def _check_languages(
    material: Material, on_progress: Callable[[int, int], None] | None
) -> tuple[FloatArray, dict[str, str]]:
    """[Q, M]: 1 for an answer in another language, 0 for the same, NaN undecided; and each model's usual other one."""
    check = LanguageCheck(material.languages)
    question_ids, models = material.battles.questions, material.battles.models
    mismatch = np.full((len(question_ids), len(models)), np.nan)
    other: dict[str, Counter[str]] = {model: Counter() for model in models}
    for row, question_id in enumerate(question_ids):
        if on_progress is not None:
            on_progress(row, len(question_ids))
        question = material.questions.get(question_id)
        if question is None:
            continue
        for column, model in enumerate(models):
            answer = material.answers.get(model, {}).get(question_id)
            checked = check.check(question, answer.turns) if answer is not None else None
            if checked is not None:
                mismatch[row, column] = float(checked.is_other)
                if checked.is_other:
                    other[model][checked.language] += 1
    check.save()
    return mismatch, {model: counts.most_common(1)[0][0] for model, counts in other.items() if counts}
