"""What a judge gave to answers that must lose, stored beside the records in `probes.jsonl`, one line per probe.

A probe counts only for the judge as it is now: made with today's settings and prompt, against the same baseline, on
questions and answers of the baseline that have not changed since. The last one of a judge counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.auditing.trials import IdenticalProbe, ProbeResult, Trials
from engine.bench import Bench
from engine.bench.appender import append_lines
from engine.bench.lines import encode_line, load_structs
from engine.bench.settings import register_settings
from engine.config.model import Config
from engine.config.sampling import judge_settings, settings_digest
from engine.errors import Advice, AdviceKind
from engine.judged import compared_with
from engine.pairing import Pairing
from engine.ratings.sensitivity import KnownBad
from engine.results import JudgedBench

if TYPE_CHECKING:
    from engine.auditing.asking import TrialPlan  # with the client, which reading does without


class StoredProbe(msgspec.Struct, frozen=True, kw_only=True):
    """One probe of a judge: the results of the constant answers, and of the baseline's answer against itself.

    Attributes:
        settings: the digest of the settings of the judge, as in judgments.
        compared: by question, the digest of its text and of the baseline's answer.
        failed: games without a reply.
    """

    judge: str
    baseline: str
    settings: str
    probes: list[ProbeResult]
    compared: dict[str, str]
    identical: IdenticalProbe | None = None
    sample: int = 0
    seed: int = 0
    failed: int = 0
    tstamp: float = 0.0


_decoder: msgspec.json.Decoder[StoredProbe] = msgspec.json.Decoder(StoredProbe)


def store_probe(bench: Bench, config: Config, judge: str, baseline: str, plan: TrialPlan, trials: Trials) -> None:
    """Append the results of a probe, and the settings behind their digest. Raises StorageError."""
    from engine.work.plan import seeded_order

    if trials.probes is None or not any(probe.games for probe in trials.probes):
        return
    questions = bench.questions().items
    pairing = config.judge.pairing.first.on({question.category for question in questions})
    digests = compared_with(bench, pairing if pairing.anchor == baseline else Pairing((baseline,)))
    asked = [question.id for question in seeded_order(questions, plan.seed) if question.id in digests]
    settings = _settings(config, judge)
    digest = settings_digest(settings)
    register_settings(bench.paths.settings, {digest: settings})
    record = StoredProbe(
        judge=judge,
        baseline=baseline,
        settings=digest,
        probes=trials.probes,
        compared={question: digests[question] for question in asked[: plan.sample]},
        identical=trials.identical,
        sample=plan.sample,
        seed=plan.seed,
        failed=trials.failed,
        tstamp=time.time(),
    )
    append_lines(bench.paths.probes, [encode_line(record)])


def with_known_bad(judged: JudgedBench, bench: Bench, config: Config | None) -> JudgedBench:
    """Return the judgments with what their judges gave to answers that must lose, where that was probed.

    Without a config, the settings of the judgments stand for today's. Probes that do not count are reported.
    """
    if not bench.paths.probes.exists():
        return judged
    found, notes = known_bad(bench.paths.probes, judged, {} if config is None else _digests(config, judged))
    facts = msgspec.structs.replace(judged.facts, known_bad=tuple(found))
    return replace(judged, facts=facts, warnings=[*judged.warnings, *notes])


def known_bad(path: Path, judged: JudgedBench, today: Mapping[str, str]) -> tuple[list[KnownBad], list[str]]:
    """Return the results of the last current probe of each judge, and warnings about probes that are not current.

    `today` has the digests of the settings of judges; for others those of their judgments count.
    """
    loaded = load_structs(path, _decoder)
    notes = [str(problem) for problem in loaded.problems]
    found: list[KnownBad] = []
    anchor = judged.facts.baselines[0] if judged.facts.baselines else ""
    for judge in judged.facts.judges:
        mine = [probe for probe in loaded.items if (probe.judge, probe.baseline) == (judge, anchor)]
        if not mine:
            continue
        allowed = {today[judge]} if judge in today else _settings_of_judgments(judged, judge)
        reasons = [_stale(probe, allowed, judged.compared) for probe in mine]
        current = [probe for probe, reason in zip(mine, reasons, strict=True) if not reason]
        if current:
            found += _results(current[-1])
        else:
            text = f"the probe of {judge} with answers that must lose {reasons[-1]} and is not used; probe it again"
            notes.append(Advice(text, AdviceKind.PROBE))
    return found, notes


def _stale(probe: StoredProbe, allowed: set[str], compared: Mapping[str, str]) -> str:
    """Return why a probe is not of the judge and the texts of today; empty if it is."""
    if allowed and probe.settings not in allowed:
        return "was made with another prompt or other settings"
    if any(compared.get(question) != digest for question, digest in probe.compared.items()):
        return "is of other questions or answers of the baseline than today's"
    return ""


def _results(probe: StoredProbe) -> Iterator[KnownBad]:
    for each in probe.probes:
        points = each.points
        if each.games and points.value is not None:
            yield KnownBad(
                judge=probe.judge,
                answer=each.name,
                score=points.value,
                lower=points.lower,
                upper=points.upper,
                games=each.games,
                addresses_judge=each.addresses_judge,
            )


def _settings_of_judgments(judged: JudgedBench, judge: str) -> set[str]:
    every: list[Sequence[str | None]] = [judges.get(judge, ()) for judges in judged.settings.values()]
    return {digest for digests in every for digest in digests if digest is not None}


def _digests(config: Config, judged: JudgedBench) -> dict[str, str]:
    return {judge: settings_digest(_settings(config, judge)) for judge in judged.facts.judges if judge in config.models}


def _settings(config: Config, judge: str) -> dict[str, object]:
    from engine.work.plan import wording_digest

    settings: dict[str, object] = judge_settings(config, judge, wording_digest(config))
    own = {category: wording_digest(config, category) for category, _ in config.judge.pairing.rules}
    if set(own.values()) - {settings["prompt_digest"]}:
        settings["by_category"] = own
    return settings
