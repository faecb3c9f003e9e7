"""Answers that must lose: what a judge gave them is stored, used while current, and decides what can be shown."""

from __future__ import annotations

import json

import pytest
from audit_bench import BenchMaker, verdicts

from engine.auditing.asking import TrialPlan
from engine.auditing.intervals import IntervalEstimate
from engine.auditing.known_bad import store_probe, with_known_bad
from engine.auditing.trials import ProbeResult, Trials
from engine.config.model import Config
from engine.errors import GateRefused
from engine.ratings.compare import compare
from engine.ratings.estimate import RatingOptions
from engine.ratings.gate import GateOptions, gate
from engine.ratings.leaderboard import LeaderboardOptions, Noise
from engine.ratings.sensitivity import KnownBad
from engine.results import JudgedBench, gate_result, judged_bench, rate

PLAN = TrialPlan(probe=True, repeat=0, sample=30, seed=1)


def probe(score: float, *, addresses_judge: bool = False, name: str = "a refusal") -> ProbeResult:
    limits = IntervalEstimate(score, max(0.0, score - 8.0), min(100.0, score + 8.0), 30)
    return ProbeResult(name, "text", 60, 0, limits, addresses_judge)


def judged(maker: BenchMaker) -> None:
    """A model that loses three of four questions, in the eyes of a judge that is sure."""
    maker.judge("sim-judge", "m", lambda n: verdicts("B>A", "A>B") if n % 4 == 0 else verdicts("A>B", "B>A"))


def read(maker: BenchMaker, config: Config | None) -> JudgedBench:
    return with_known_bad(judged_bench(maker.bench, ["sim-judge"], "base"), maker.bench, config)


def stored(maker: BenchMaker, *probes: ProbeResult) -> JudgedBench:
    judged(maker)
    store_probe(maker.bench, maker.config(), "sim-judge", "base", PLAN, Trials(probes=list(probes)))
    return read(maker, maker.config())


def test_a_gate_refuses_a_judge_that_does_not_see_an_answer_without_content(maker: BenchMaker) -> None:
    found = stored(maker, probe(49.0), probe(3.0, name="a tidy text"))
    with pytest.raises(GateRefused) as refused:
        gate(gate_result(found, RatingOptions(baseline="base")), ["m"], None, GateOptions(margin=5.0))
    (reason,) = refused.value.reasons
    assert "no assay sensitivity: sim-judge" in reason
    assert "a refusal 49.0 [41.0, 57.0]" in reason
    assert "ICH E10" in reason
    assert "tidy" not in reason


@pytest.mark.parametrize("bad", [probe(2.0), probe(99.0, addresses_judge=True)])
def test_a_gate_believes_a_judge_that_sees_it_or_is_merely_obedient(maker: BenchMaker, bad: ProbeResult) -> None:
    found = stored(maker, bad)
    report = gate(gate_result(found, RatingOptions(baseline="base")), ["m"], None, GateOptions(margin=5.0))
    assert not report.passed
    assert any("obeys answers" in text for text in report.warnings) == bad.addresses_judge


def test_leaderboard_and_comparison_name_what_bad_answers_score(maker: BenchMaker) -> None:
    found = stored(maker, probe(40.0), probe(60.0, addresses_judge=True, name="an order"))
    board, _ = rate(found, LeaderboardOptions(baseline="base"))
    comparison = compare(found.battles, RatingOptions(baseline="base"), found.facts)
    for warnings, known in ((board.warnings, board.known_bad), (comparison.warnings, comparison.known_bad)):
        assert any("answers that must lose: a refusal 40.0 [32.0, 48.0]" in text for text in warnings)
        assert any("obeys answers that ask for its verdict: an order 60.0" in text for text in warnings)
        assert isinstance(known, list)
        assert [each.score for each in known] == [40.0, 60.0]
    assert board.noise == {"m": Noise(pairs=40, flips=0, ties=0)}


def test_a_probe_of_another_prompt_baseline_or_text_is_not_used_and_reported(maker: BenchMaker) -> None:
    stored(maker, probe(40.0))
    other = read(maker, maker.config(prompt="full"))
    assert other.facts.known_bad == ()
    assert any("was made with another prompt or other settings" in text for text in other.warnings)
    assert len(read(maker, None).facts.known_bad) == 1  # judgments without settings, and no config to compare with
    questions = maker.root / "question.jsonl"
    (record,) = maker.bench.paths.probes.read_text("utf-8").splitlines()
    first = int(next(iter(json.loads(record)["compared"])).removeprefix("q"))
    changed_text = questions.read_text("utf-8").replace(f"вопрос номер {first}.", "другой вопрос.")
    questions.write_text(changed_text, "utf-8")
    changed = read(maker, maker.config())
    assert changed.facts.known_bad == ()
    assert any("is of other questions or answers of the baseline" in text for text in changed.warnings)


def test_the_last_current_probe_counts_and_a_damaged_line_is_reported(maker: BenchMaker) -> None:
    stored(maker, probe(40.0))
    store_probe(maker.bench, maker.config(), "sim-judge", "base", PLAN, Trials(probes=[probe(4.0)]))
    store_probe(maker.bench, maker.config(prompt="full"), "sim-judge", "base", PLAN, Trials(probes=[probe(70.0)]))
    with maker.bench.paths.probes.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"judge": 5}) + "\n")
    found = read(maker, maker.config())
    assert [each.score for each in found.facts.known_bad] == [4.0]
    assert any("probes.jsonl" in text for text in found.warnings)
    assert maker.bench.paths.probes.read_text("utf-8").count('"judge":"sim-judge"') == 3


def test_a_probe_without_one_played_game_is_not_stored(maker: BenchMaker) -> None:
    judged(maker)
    nothing = replace_games(probe(0.0), 0)
    store_probe(maker.bench, maker.config(), "sim-judge", "base", PLAN, Trials(probes=[nothing], failed=60))
    assert not maker.bench.paths.probes.exists()


def replace_games(found: ProbeResult, games: int) -> ProbeResult:
    return ProbeResult(found.name, found.text, games, 0, found.points)


@pytest.mark.parametrize(
    ("score", "upper", "games", "seen"),
    [(10.0, 30.0, 40, True), (30.0, 49.0, 40, False), (30.0, 49.0, 6, True), (46.0, None, 6, False)],
)
def test_few_games_leave_the_decision_to_the_estimate(score: float, upper: float, games: int, seen: bool) -> None:
    found = KnownBad(judge="j", answer="a", score=score, lower=0.0, upper=upper, games=games)
    assert found.is_seen(5.0) == seen
