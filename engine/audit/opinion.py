"""The parts of a sentence about a figure: its level, and the figure itself with its limits.

What the figures of an audit mean, in words, and whether the judge can be trusted for this bench.

Every limit below is a convention, said where it is applied. A finding counts against a judge only if its interval does,
not its estimate alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET, UnsetType

from engine.audit.agreement import JudgeAgreement
from engine.audit.biases import FamilyReport, LanguageReport, ModelLanguage, PreferenceReport, StyleGain
from engine.audit.intervals import Estimate
from engine.audit.people import PeopleReport
from engine.audit.report import Finding, JudgeAudit, Level, Opinion
from engine.audit.trials import IdenticalProbe, ProbeResult, RepeatReport
from engine.audit.verdicts import FakeVerdicts, PositionReport, VerdictReport

KAPPA_CARE, KAPPA_BAD = 0.4, 0.2


def level_of(value: float | None, care: float, bad: float) -> Level:
    """Good below `care`, bad from `bad` on."""
    if value is None:
        return "unknown"
    return "bad" if value >= bad else "care" if value >= care else "good"


def worse(one: Level, other: Level) -> Level:
    """The one that weighs more."""
    order: tuple[Level, ...] = ("unknown", "good", "care", "bad")
    return max(one, other, key=order.index)


def kappa_level(kappa: Estimate) -> Level:
    """Below 0.2 is hardly more than chance, from 0.4 on moderate (Landis and Koch, Biometrics 33, 1977)."""
    if kappa.value is None:
        return "unknown"
    return "bad" if kappa.value < KAPPA_BAD else "care" if kappa.value < KAPPA_CARE else "good"


def distance_from(estimate: Estimate, middle: float) -> float:
    """How far the interval stays away from `middle`; 0 if it holds it, or is not known."""
    if estimate.lower is None or estimate.upper is None:
        return 0.0
    return max(0.0, estimate.lower - middle, middle - estimate.upper)


def value_of(estimate: Estimate) -> float:
    """The number, NaN if it is not known: then every comparison with it is false."""
    return float("nan") if estimate.value is None else estimate.value


def percent(estimate: Estimate) -> str:
    """`12.3% [10.1%, 14.9%]`."""
    return _with_limits(estimate, "{:.1f}", "%")


def points(estimate: Estimate, sign: str = "+") -> str:
    """`+2.3 [+0.1, +4.9]`."""
    return _with_limits(estimate, f"{{:{sign}.1f}}", "")


def kappa_text(estimate: Estimate) -> str:
    """`0.61 [0.52, 0.69]`."""
    return _with_limits(estimate, "{:.2f}", "")


def _with_limits(estimate: Estimate, form: str, unit: str) -> str:
    if estimate.value is None:
        return "an unknown share" if unit else "unknown"
    text = form.format(estimate.value) + unit
    if estimate.lower is None or estimate.upper is None:
        return text
    return f"{text} [{form.format(estimate.lower)}, {form.format(estimate.upper)}]"


def joined(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


FIRST_PLACE_CARE, FIRST_PLACE_BAD = 5.0, 15.0  # points away from 50
FLIPS_CARE, FLIPS_BAD = 15.0, 40.0  # percent of the pairs
IDENTICAL_CARE, IDENTICAL_BAD = 5.0, 30.0  # percent of pairs of the same text that are no double tie
STYLE_CARE, STYLE_BAD = 3.0, 10.0  # points in an even match
LANGUAGE_CARE, LANGUAGE_BAD = 3.0, 10.0  # points of score that hang on answers in another language
_MOST_MODELS = 3  # told one by one
LEAST_MISMATCHED = 10  # answers, to say how a judge treats them
PUNISHED = 10.0  # points by which an answer in the wrong language must do worse to be called punished
FAMILY_BAD = 5.0  # points
UNPARSED_CARE, UNPARSED_BAD = 5.0, 20.0  # percent of the games
TIES_CARE = 60.0  # percent of the verdicts
FAKE_CARE = 10.0  # points by which answers with a verdict in them may do better than the others
LEAST_LABELS = 30
LEAST_QUESTIONS = 30  # below, limits by question hold too little for praise
PROBE_CARE, PROBE_BAD = 5.0, 15.0  # percent of the points for an answer that says nothing
REPEAT_CARE, REPEAT_BAD = 95.0, 75.0  # percent of the games with the same winner each time


def findings(audit: JudgeAudit, agreements: Sequence[JudgeAgreement]) -> list[Finding]:
    """Everything that was looked at, in the order of the report. `audit` needs no opinion yet."""
    return [
        *_verdicts(audit.verdicts),
        *_position(audit.position),
        *_identical(audit.position, audit.identical),
        *_style(audit.style),
        *_language(audit.language),
        *_family(audit.family),
        *_fakes(audit.fake_verdicts),
        *_judges(audit.judge, agreements),
        *_people(audit.people),
        *(_probe(probe) for probe in (audit.probes if audit.probes is not UNSET else [])),
        *([_repeats(audit.repeats)] if audit.repeats is not UNSET else []),
        *_not_asked(audit),
    ]


def opinion(found: Iterable[Finding]) -> Opinion:
    """The worst finding decides; what could not be looked at is said."""
    worst: dict[str, Level] = {}
    for finding in found:
        worst[finding.topic] = worse(worst.get(finding.topic, "unknown"), finding.level)
    topics = {level: [topic for topic, its in worst.items() if its == level] for level in ("care", "bad", "unknown")}
    untested = f" Not known: {joined(topics['unknown'])}." if topics["unknown"] else ""
    if topics["bad"]:
        care = f" Beside that, care is needed with {joined(topics['care'])}." if topics["care"] else ""
        return Opinion(
            "no", f"Not to be trusted for this bench as it is, because of {joined(topics['bad'])}.{care}{untested}"
        )
    if topics["care"]:
        return Opinion("with care", f"To be trusted with care: see {joined(topics['care'])}.{untested}")
    return Opinion("yes", f"Nothing that was looked at speaks against trusting it here.{untested}")


def _verdicts(report: VerdictReport) -> Iterator[Finding]:
    share = report.unparsed
    level = level_of(share.lower, UNPARSED_CARE, UNPARSED_BAD)
    text = f"{percent(share)} of {report.games:,} games have no verdict."
    replies = report.replies
    if replies is not None and (replies.none or replies.conflict or replies.unknown):
        text += (
            f" Of these replies {replies.conflict} contradict themselves, {replies.unknown} give a label that is none, "
            f"{replies.none} give nothing like one; {replies.readable} of them the lenient rule could read."
        )
    if replies is not None and replies.changed:
        text += f" {replies.changed} verdicts were stored differently from what today's rule reads."
        level = worse(level, "care")
    yield Finding("verdicts", level, text)
    ties = report.ties
    yield Finding(
        "ties",
        level_of(ties.lower, TIES_CARE, 101.0),
        f"{percent(ties)} of the verdicts are ties, {percent(report.strong)} are strong.",
    )
    if report.questions < LEAST_QUESTIONS:
        few = f"Only {report.questions} questions were judged: a judge's faults hardly show in fewer than"
        yield Finding("sample", "care", f"{few} {LEAST_QUESTIONS}.")


def _position(report: PositionReport | None) -> Iterator[Finding]:
    if report is None:
        yield Finding("position", "unknown", "No answer was judged in both places.")
        return
    place, flips = report.first_place, report.flips
    if place.known and flips.known:
        away = distance_from(place, 50.0)
        yield Finding(
            "position",
            level_of(away, FIRST_PLACE_CARE, FIRST_PLACE_BAD),
            f"The answer that stands first takes {percent(place)} of the points (50 would be fair). "
            "Both orders are played, so the scores do not lean, but see the flips.",
        )
        by_model = [each.flips.value for each in report.models if each.flips.value is not None]
        span = f" ({min(by_model):.0f} to {max(by_model):.0f}% by model)" if len(by_model) > 1 else ""
        yield Finding(
            "flips",
            level_of(flips.lower, FLIPS_CARE, FLIPS_BAD),
            f"In {percent(flips)} of {report.pairs:,} pairs of games the winner changes with the places{span}: "
            "these say nothing about the answers.",
        )


def _identical(report: PositionReport | None, probe: IdenticalProbe | UnsetType) -> Iterator[Finding]:
    same = report.identical if report is not None else None
    asked = probe if not isinstance(probe, UnsetType) and probe.biased.known else None
    if same is None and asked is None:
        yield Finding(
            "identical answers", "unknown", "No two equal answers were judged: --probe has one judged against itself."
        )
    if asked is not None:
        yield Finding(
            "identical answers",
            level_of(asked.biased.lower, IDENTICAL_CARE, IDENTICAL_BAD),
            f"Asked about the same text twice it names a winner in {percent(asked.biased)} of {asked.games} games; the "
            f"first place takes {percent(asked.first_place)} of the points.",
        )
    if same is None:
        return
    lean = "first" if same.first_twice >= same.second_twice else "second"
    text = f"The same text twice is a double tie in {same.double_ties} of {same.pairs} pairs"
    if same.first_twice or same.second_twice:
        text += f"; in {max(same.first_twice, same.second_twice)} the {lean} place won both games"
    yield Finding("identical answers", level_of(same.biased.lower, IDENTICAL_CARE, IDENTICAL_BAD), f"{text}.")


def _style(report: PreferenceReport | None) -> Iterator[Finding]:
    if report is None or not report.gains:
        why = report.note if report is not None and report.note else "The answers are not here."
        yield Finding("style", "unknown", f"What style is worth cannot be told: {why}")
        return
    for gain in report.gains:
        if gain.name == "length":
            text = f"Twice the length is worth {points(gain.points)} points in an even match."
            if report.longer_wins.known:
                text += f" The longer answer takes {percent(report.longer_wins)} of the points, better models included."
            yield Finding("length", _style_level(gain), text)
    marks = [gain for gain in report.gains if gain.name != "length"]
    if marks:
        told = joined([f"{gain.name} {points(gain.points)}" for gain in marks])
        level: Level = "good"
        for gain in marks:
            level = worse(level, _style_level(gain))
        yield Finding("format", level, f"One standard deviation more is worth, in points in an even match: {told}.")


def _style_level(gain: StyleGain) -> Level:
    """By the size of the effect, if its interval leaves no doubt that there is one."""
    size = abs(gain.points.value or 0.0) if distance_from(gain.points, 0.0) > 0 else 0.0
    return level_of(size, STYLE_CARE, STYLE_BAD)


def _language(report: LanguageReport | None) -> Iterator[Finding]:
    if report is None or not any(row.answers for row in report.models):
        yield Finding("language", "unknown", "The languages of questions and answers cannot be told.")
        return
    hanging = sorted((row for row in report.models if _hangs(row) >= LANGUAGE_CARE), key=_hangs, reverse=True)
    if not hanging:
        count = sum(row.mismatched for row in report.models)
        text = f"{count} answers are in another language than their question; no score hangs on them."
        yield Finding("language", "good", text)
    for row in hanging[:_MOST_MODELS]:
        punished = value_of(row.score_mismatched) <= value_of(row.score_matched) - PUNISHED
        level: Level = "bad" if _hangs(row) >= LANGUAGE_BAD and not punished else "care"
        other = f" ({row.other})" if row.other else ""
        yield Finding(
            "language",
            level,
            f"{row.model} answers {row.mismatched} of {row.answers} questions in another language{other}; the judge "
            f"gives these {value_of(row.score_mismatched):.1f}, the others {value_of(row.score_matched):.1f}. "
            f"If they lost, its score would be {value_of(row.score_if_lost):.1f}, not {value_of(row.score):.1f}.",
        )

    if len(hanging) > _MOST_MODELS:
        yield Finding("language", "care", f"{len(hanging) - _MOST_MODELS} more models owe points to such answers.")


def _hangs(row: ModelLanguage) -> float:
    """Points of its score that a model owes to answers in another language."""
    if row.mismatched < LEAST_MISMATCHED or not row.score.known or not row.score_if_lost.known:
        return 0.0
    return value_of(row.score) - value_of(row.score_if_lost)


def _family(report: FamilyReport | None) -> Iterator[Finding]:
    if report is None:
        yield Finding("own family", "unknown", "The family of the judge is not known.")
        return
    kin = (["itself"] if report.itself else []) + report.relatives
    if not kin and not report.baseline_is_relative:
        yield Finding("own family", "good", f"No model of the judge's own family ({report.family}) takes part.")
        return
    who = joined([*kin, *(["the baseline"] if report.baseline_is_relative else [])])
    text = f"It judges its own family ({report.family}): {who}."
    if report.advantage is None or not report.advantage.known:
        text += " Whether it favours them only another judge of the same answers can tell."
        yield Finding("own family", "care" if report.itself else "unknown", text)
        return
    more = report.advantage
    lower = more.lower if more.lower is not None else 0.0
    level: Level = (
        "bad" if lower > 0 and value_of(more) > FAMILY_BAD else "care" if lower > 0 or report.itself else "good"
    )
    yield Finding(
        "own family", level, f"{text} They get {points(more)} points more from it than from the other judges."
    )


def _fakes(reports: Sequence[FakeVerdicts]) -> Iterator[Finding]:
    if not reports:
        return
    count = sum(report.answers for report in reports)
    better = [
        report
        for report in reports
        if value_of(report.score) > value_of(report.others) + FAKE_CARE and report.answers > 1
    ]
    told = f"{count} answer{'s hold' if count != 1 else ' holds'} a verdict of {'their' if count != 1 else 'its'} own"
    if better:
        worst = better[0]
        yield Finding(
            "verdicts inside answers",
            "care",
            f"{told}; those of {worst.model} took {percent(worst.score)} of the points, "
            f"its others {percent(worst.others)}.",
        )
    else:
        yield Finding("verdicts inside answers", "good", f"{told}, and took no more points with it than others.")


def _judges(judge: str, agreements: Sequence[JudgeAgreement]) -> Iterator[Finding]:
    for each in agreements:
        if judge in (each.judge, each.other):
            other = each.other if judge == each.judge else each.judge
            yield Finding(
                "other judges",
                kappa_level(each.agreement.kappa),
                f"{percent(each.agreement.same_winner)} of {each.agreement.games:,} games have the same winner as with "
                f"{other}; kappa {kappa_text(each.agreement.kappa)}.",
            )


def _people(report: PeopleReport | None) -> Iterator[Finding]:
    if report is None or report.agreement is None:
        yield Finding("people", "unknown", "Nobody has labelled these games yet: arena-tui review.")
        return
    same = report.agreement
    level = kappa_level(same.kappa) if same.games >= LEAST_LABELS else "unknown"
    winners = percent(same.same_winner)
    text = f"People see the same winner in {winners} of {same.games} games; kappa {kappa_text(same.kappa)}."
    if same.games < LEAST_LABELS:
        text += f" At least {LEAST_LABELS} labels are needed to say more."
    corrected = [row for row in report.models if row.corrected.known]
    if corrected:
        row = max(corrected, key=lambda row: abs(value_of(row.corrected) - row.judged))
        text += f" With their labels {row.model} would score {points(row.corrected, '')}, not {row.judged:.1f}."
    yield Finding("people", level, text)


def _probe(probe: ProbeResult) -> Finding:
    if not probe.points.known:
        return Finding(
            "constant answers", "unknown", f"{probe.name}: none of {probe.unparsed} games brought a verdict."
        )
    text = f"{probe.name} takes {percent(probe.points)} of the points in {probe.games} games; it should take none."
    return Finding("constant answers", level_of(probe.points.value, PROBE_CARE, PROBE_BAD), text)


def _repeats(report: RepeatReport) -> Finding:
    same = report.same_winner
    text = (
        f"Asked {report.times} times, it names the same winner each time in {percent(same)} of {report.games} games, "
        f"the same label in {percent(report.same_label)}."
    )
    level: Level = "good"
    if not same.known:
        level = "unknown"
    elif value_of(same) < REPEAT_BAD:
        level = "bad"
    elif value_of(same) < REPEAT_CARE:
        level = "care"
    return Finding("consistency", level, text)


def _not_asked(audit: JudgeAudit) -> Iterator[Finding]:
    if audit.probes is UNSET:
        yield Finding("constant answers", "unknown", "Not tried: --probe has the judge compare answers that must lose.")
    if audit.repeats is UNSET:
        yield Finding("consistency", "unknown", "Not tried: --repeat N asks for the same verdicts again.")
