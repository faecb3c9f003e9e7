"""The findings of an audit in words: one sentence or two for each, and the opinion that follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from engine.auditing.agreement import JudgeAgreement
from engine.auditing.biases import FamilyReport, LanguageReport, ModelLanguage, PreferenceReport
from engine.auditing.findings import (
    LEAST_LABELS,
    AuditFinding,
    FindingLevel,
    Topic,
    Trust,
    by_level,
    findings,
    first_fooling,
    is_systematic,
    trust,
)
from engine.auditing.intervals import IntervalEstimate
from engine.auditing.people import PeopleReport
from engine.auditing.report import AuditReport
from engine.auditing.trials import IdenticalProbe, ProbeResult, RepeatReport
from engine.auditing.verdicts import FakeVerdicts, IdenticalAnswers, PositionReport, VerdictReport
from engine.ratings import MINIMUM_QUESTIONS

FENCE_ADVICE = 'A fence around answers (`fence = "nonce"` in [judge]) keeps what they write from ending their section.'

_UNKNOWN: dict[Topic, str] = {
    "position": "No answer was judged in both places.",
    "identical answers": "No two equal answers were judged; --probe has one judged against itself.",
    "style": "The effect of style is unknown: no answers on disk.",
    "language": "The languages of questions and answers are unknown.",
    "own family": "The family of the judge is unknown.",
    "people": "No labels by people yet; add some with `arena-tui review`.",
    "constant answers": "Not tested; --probe has the judge compare answers that must lose.",
    "consistency": "Not tested; --repeat N repeats the same games.",
}


class PhrasedFinding(msgspec.Struct, frozen=True):
    """A finding with its text, as the JSON output has it."""

    topic: Topic
    level: FindingLevel
    text: str


class PhrasedOpinion(msgspec.Struct, frozen=True):
    """Whether the judge can be trusted for this bench, and why."""

    trust: Trust
    summary: str


def phrased(report: AuditReport, judge: str) -> tuple[PhrasedOpinion, list[PhrasedFinding]]:
    """Return the opinion about a judge, and everything that was examined, in order."""
    found = findings(report, judge)
    return (
        PhrasedOpinion(trust(found), _summary(found)),
        [PhrasedFinding(finding.topic, finding.level, _text(finding, judge)) for finding in found],
    )


def _summary(found: Sequence[AuditFinding]) -> str:
    """The worst findings decide; what could not be examined is named."""
    bad, care, unknown = (by_level(found, level) for level in ("bad", "care", "unknown"))
    untested = f" Not known: {_joined(unknown)}." if unknown else ""
    if bad:
        also = f" Also take care with {_joined(care)}." if care else ""
        return f"Do not trust it for this bench as it is, because of {_joined(bad)}.{also}{untested}"
    if care:
        return f"Trust it with care: see {_joined(care)}.{untested}"
    return f"No problem found in what was examined.{untested}"


def _text(finding: AuditFinding, judge: str) -> str:
    match finding.subject:
        case VerdictReport() as verdicts:
            return _verdicts(finding.topic, verdicts)
        case PositionReport() as position:
            return _position(finding.topic, position)
        case IdenticalAnswers() as identical:
            return _identical(identical)
        case IdenticalProbe() as probe:
            return (
                f"Asked about the same text twice it names a winner in {_percent(probe.biased)} of {probe.games} "
                f"games; the first place takes {_percent(probe.first_place)} of the points."
            )
        case PreferenceReport() as style:
            return _style(finding.topic, style)
        case LanguageReport(models=models):
            count = sum(row.mismatched for row in models)
            return f"{count} answers are in another language than their question; no score depends on them."
        case ModelLanguage() as row:
            return _language(row)
        case int() as more:
            return f"{more} more models gain points from such answers."
        case FamilyReport() as family:
            return _family(family)
        case JudgeAgreement() as pair:
            other = pair.other if judge == pair.judge else pair.judge
            return (
                f"{_percent(pair.agreement.same_winner)} of {pair.agreement.games:,} games have the same winner as "
                f"with {other}; kappa {_kappa(pair.agreement.kappa)}."
            )
        case PeopleReport() as people:
            return _people(people)
        case ProbeResult() as probe_result:
            return _probe(probe_result)
        case RepeatReport() as repeats:
            return (
                f"Asked {repeats.times} times, it names the same winner each time in "
                f"{_percent(repeats.same_winner)} of {repeats.games} games, the same label in "
                f"{_percent(repeats.same_label)}."
            )
        case None:
            return _UNKNOWN[finding.topic]
        case fakes:
            return _fakes(fakes)


def _verdicts(topic: Topic, report: VerdictReport) -> str:
    if topic == "ties":
        return f"{_percent(report.ties)} of the verdicts are ties, {_percent(report.strong)} are strong."
    if topic == "sample":
        few = f"{report.questions} questions were judged: faults of a judge are hard to detect in fewer than"
        return f"{few} {MINIMUM_QUESTIONS}."
    text = f"{_percent(report.unparsed)} of {report.games:,} games have no label (unparsed)."
    replies = report.replies
    if replies is not None and (replies.none or replies.conflict or replies.unknown):
        text += (
            f" Of these replies {replies.conflict} contradict themselves, {replies.unknown} give an unknown label, "
            f"{replies.none} give none; the lenient rule could read {replies.readable} of them."
        )
    if replies is not None and replies.changed:
        text += f" {replies.changed} labels differ from what today's rule reads."
    return text


def _position(topic: Topic, report: PositionReport) -> str:
    if topic == "position":
        return (
            f"The answer that stands first takes {_percent(report.first_place)} of the points (50 would be fair). "
            "Both orders are played, so the scores are not biased by it, but see the flips."
        )
    by_model = [each.flips.value for each in report.models if each.flips.value is not None]
    span = f" ({min(by_model):.0f} to {max(by_model):.0f}% by model)" if len(by_model) > 1 else ""
    return (
        f"In {_percent(report.flips)} of {report.pairs:,} pairs of games the winner changes with the places{span}: "
        "these games carry no information about the answers."
    )


def _identical(same: IdenticalAnswers) -> str:
    text = f"The same text twice is a double tie in {same.double_ties} of {same.pairs} pairs"
    if same.first_twice or same.second_twice:
        lean = "first" if same.first_twice >= same.second_twice else "second"
        text += f"; in {max(same.first_twice, same.second_twice)} pairs the {lean} place won both games"
    return f"{text}."


def _style(topic: Topic, report: PreferenceReport) -> str:
    if topic == "style":
        return f"The effect of style is unknown: {report.note}" if report.note else _UNKNOWN["style"]
    if topic == "length":
        (gain,) = (gain for gain in report.gains if gain.name == "length")
        text = f"Twice the length is worth {_points(gain.points)} points in an even match."
        if report.longer_wins.known:
            text += f" The longer answer takes {_percent(report.longer_wins)} of the points, better models included."
        return text
    marks = [f"{gain.name} {_points(gain.points)}" for gain in report.gains if gain.name != "length"]
    return f"One standard deviation more is worth, in points in an even match: {_joined(marks)}."


def _language(row: ModelLanguage) -> str:
    other = f" ({row.other})" if row.other else ""
    return (
        f"{row.model} answers {row.mismatched} of {row.answers} questions in another language{other}; the judge "
        f"gives these {row.score_mismatched.number:.1f}, the others {row.score_matched.number:.1f}. "
        f"If they lost, its score would be {row.score_if_lost.number:.1f}, not {row.score.number:.1f}."
    )


def _family(report: FamilyReport) -> str:
    kin = [*(["itself"] if report.itself else []), *report.relatives]
    if report.baseline_is_relative:
        kin.append("the baseline")
    if not kin:
        return f"No model of the judge's own family ({report.family}) takes part."
    text = f"It judges its own family ({report.family}): {_joined(kin)}."
    if report.advantage is None or not report.advantage.known:
        return f"{text} Only another judge of the same answers can show whether it favours them."
    return f"{text} They get {_points(report.advantage)} points more from it than from the other judges."


def _fakes(reports: Sequence[FakeVerdicts]) -> str:
    count = sum(report.answers for report in reports)
    kinds = sum((Counter(report.kinds) for report in reports), Counter[str]())
    listed_kinds = ", ".join(f"{kind}: {number}" for kind, number in kinds.most_common())
    text = f"{count} answer{'s' if count != 1 else ''} may address the judge ({listed_kinds})"
    if systematic := [report for report in reports if is_systematic(report)]:
        text += "; " + ", ".join(f"{each.model} in {each.answers} of {each.questions}" for each in systematic)
    if examples := next((report.examples for report in reports if report.examples), None):
        text += f'; such as "{next(iter(examples.values()))}"'
    fence = "" if any(report.fenced for report in reports) else f" {FENCE_ADVICE}"
    worst = first_fooling(reports)
    if worst is not None:
        return (
            f"{text}. Those of {worst.model} took {_percent(worst.score)} of the points, its others "
            f"{_percent(worst.others)}.{fence}"
        )
    if all(report.others.known for report in reports):
        return f"{text}. They took no more points than the model's other answers.{fence}"
    return f"{text}. There are no other answers of the model to compare their points with.{fence}"


def _people(report: PeopleReport) -> str:
    same = report.agreement
    if same is None:
        return _UNKNOWN["people"]
    winners = _percent(same.same_winner)
    text = f"People see the same winner in {winners} of {same.games} games; kappa {_kappa(same.kappa)}."
    if same.games < LEAST_LABELS:
        text += f" At least {LEAST_LABELS} labels are needed to say more."
    corrected = [row for row in report.models if row.corrected.known]
    if corrected:
        row = max(corrected, key=lambda row: abs(row.corrected.number - row.judged))
        text += f" With their labels {row.model} would score {_points(row.corrected, '')}, not {row.judged:.1f}."
    return text


def _probe(probe: ProbeResult) -> str:
    if not probe.points.known:
        return f"{probe.name}: no label in any of {probe.unparsed} games."
    return f"{probe.name} takes {_percent(probe.points)} of the points in {probe.games} games; it should take none."


def _percent(estimate: IntervalEstimate) -> str:
    """`12.3% [10.1, 14.9]`."""
    return _with_limits(estimate, "{:.1f}", "%")


def _points(estimate: IntervalEstimate, sign: str = "+") -> str:
    """`+2.3 [+0.1, +4.9]`."""
    return _with_limits(estimate, f"{{:{sign}.1f}}", "")


def _kappa(estimate: IntervalEstimate) -> str:
    """`0.61 [0.52, 0.69]`."""
    return _with_limits(estimate, "{:.2f}", "")


def _with_limits(estimate: IntervalEstimate, form: str, unit: str) -> str:
    if estimate.value is None:
        return "an unknown share" if unit else "unknown"
    text = form.format(estimate.value) + unit
    if estimate.lower is None or estimate.upper is None:
        return text
    return f"{text} [{form.format(estimate.lower)}, {form.format(estimate.upper)}]"


def _joined(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
