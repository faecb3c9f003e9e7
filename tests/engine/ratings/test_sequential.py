"""The decider stops models as soon as it may, on the questions in their order, and never changes its mind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UsageProblem
from engine.formats.battles_file import load_battles
from engine.labels import Label, Points
from engine.ratings import FEWEST_QUESTIONS
from engine.ratings.outcomes import outcome_table
from engine.ratings.sequential import Decider
from engine.ratings.stop_rule import StopRule, parse_stop_rule

ORDER = [f"q{number:03}" for number in range(200)]
WIN: tuple[Label, Label] = ("B>A", "A>B")
LOSS: tuple[Label, Label] = ("A>B", "B>A")
TIE: tuple[Label, Label] = ("A=B", "A=B")


def make_decider(until: str, *models: str, **options: object) -> Decider:
    return Decider(parse_stop_rule(until), models or ("m",), baseline="base", order=ORDER, **options)


def feed(decider: Decider, model: str, labels: Iterable[tuple[Label | None, ...]]) -> list[str]:
    """Judge the model on the questions in their order; return the models that were settled."""
    pairs = zip(ORDER, labels, strict=False)
    return [name for question, pair in pairs for name in decider.observe(model, question, pair)]


@pytest.mark.parametrize(("wins", "needed"), [(WIN, 18), (("B>>A", "A>>B"), FEWEST_QUESTIONS)])
def test_few_questions_decide_if_all_are_won_and_fewer_if_strongly(wins: tuple[Label, Label], needed: int) -> None:
    decider = make_decider("decided")
    assert feed(decider, "m", [wins] * (needed - 1)) == []
    assert decider.observe("m", ORDER[needed - 1], wins) == ("m",)
    assert decider.decision("m") == "better"
    assert decider.is_settled("m")
    assert decider.all_settled


def test_a_losing_model_is_worse_and_an_even_one_stays_undecided() -> None:
    decider = make_decider("decided", "loser", "even")
    feed(decider, "loser", [LOSS] * 40)
    feed(decider, "even", [WIN, LOSS] * 100)
    assert (decider.decision("loser"), decider.decision("even")) == ("worse", "undecided")
    assert not decider.all_settled


def test_a_verdict_stays_though_later_judgments_say_the_opposite() -> None:
    decider = make_decider("decided")
    feed(decider, "m", [WIN] * 30 + [LOSS] * 170)
    assert decider.decision("m") == "better"
    assert decider.standing("m").score == pytest.approx(15.0)
    assert (decider.standing("m").decided_after, decider.standing("m").questions) == (18, 200)


def test_judgments_wait_for_their_turn() -> None:
    decider = make_decider("decided")
    for question in ORDER[1:60]:
        assert decider.observe("m", question, WIN) == ()
    assert decider.standing("m").questions == 0
    assert decider.observe("m", ORDER[0], LOSS) == ("m",)
    assert decider.standing("m").questions == 60


def test_a_failed_question_does_not_delay_those_behind_it() -> None:
    decider = make_decider("decided")
    for question in ORDER[1:60]:
        decider.observe("m", question, WIN)
    assert decider.skip("m", ORDER[0]) == ("m",)
    assert decider.standing("m").questions == 59


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_the_order_of_arrival_changes_no_verdict(random, seed: int) -> None:
    verdicts = np.random.default_rng(seed).choice(4, size=120, p=[0.5, 0.2, 0.2, 0.1])
    labels = [(WIN, LOSS, TIE, (None, None))[kind] for kind in verdicts]
    calm, hasty = make_decider("decided,ci:9", "m"), make_decider("decided,ci:9", "m")
    feed(calm, "m", labels)
    arrival = list(range(120))
    random.shuffle(arrival)
    for index in arrival:
        hasty.observe("m", ORDER[index], labels[index])
    assert hasty.standing("m") == calm.standing("m")


def test_the_width_alone_can_settle_and_is_the_reported_one() -> None:
    decider = make_decider("ci:12")
    settled_at = next(
        count for count, question in enumerate(ORDER, 1) if decider.observe("m", question, (WIN, LOSS)[count % 2])
    )
    standing = decider.standing("m")
    assert decider.decision("m") == "precise"
    assert 30 < settled_at < 200
    assert (standing.upper - standing.lower) / 2 <= 12.0


def test_a_budget_that_is_used_up_settles_every_model_that_is_still_open() -> None:
    decider = make_decider("decided,calls:100", "won", "open")
    feed(decider, "won", [WIN] * 30)
    assert decider.exhaust() == ("open",)
    assert (decider.decision("won"), decider.decision("open")) == ("better", "budget")
    assert decider.all_settled
    assert decider.exhaust() == ()


def test_a_named_opponent_is_needed_until_the_last_is_decided_against_it() -> None:
    decider = make_decider("decided:rival", "rival", "m", "n")
    rivals = [WIN, LOSS] * 30
    feed(decider, "rival", rivals)
    feed(decider, "m", [WIN] * 60)
    assert (decider.decision("m"), decider.is_settled("rival")) == ("better", False)
    feed(decider, "n", [LOSS] * 60)
    assert (decider.decision("n"), decider.is_settled("rival"), decider.all_settled) == ("worse", True, True)
    standing = decider.standing("m")
    assert standing.difference == pytest.approx(50.0)
    assert 0.0 < standing.difference_lower < 50.0 < standing.difference_upper


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_verdicts_against_a_named_opponent_do_not_depend_on_the_order_of_arrival(random, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = [(WIN, LOSS, TIE, (None, None))[kind] for kind in rng.choice(4, size=240, p=[0.5, 0.3, 0.15, 0.05])]
    judged = [
        (model, index, kinds[index + 120 * at]) for at, model in enumerate(("m", "rival")) for index in range(120)
    ]
    calm, hasty = make_decider("decided:rival,ci:12", "m", "rival"), make_decider("decided:rival,ci:12", "m", "rival")
    for model, index, labels in sorted(judged, key=lambda each: each[1]):
        calm.observe(model, ORDER[index], labels)
    random.shuffle(judged)
    for model, index, labels in judged:
        hasty.observe(model, ORDER[index], labels)
    assert [hasty.standing(model) for model in ("m", "rival")] == [calm.standing(model) for model in ("m", "rival")]


def test_it_reports_how_far_in_the_order_a_model_is() -> None:
    decider = make_decider("decided")
    decider.observe("m", ORDER[1], WIN)
    assert (decider.counted("m"), decider.position(ORDER[1]), decider.position("elsewhere")) == (0, 1, None)
    decider.skip("m", ORDER[0])
    assert decider.counted("m") == 2


def test_models_that_win_the_same_questions_stay_undecided() -> None:
    decider = make_decider("decided:rival", "rival", "m")
    pattern = [WIN, WIN, LOSS, WIN] * 50
    feed(decider, "rival", pattern)
    feed(decider, "m", pattern)
    assert decider.decision("m") == "undecided"
    assert make_decider("decided:base", "m").decision("m") == "undecided"  # naming the baseline is no opponent


def test_an_opponent_that_is_not_judged_is_reported() -> None:
    with pytest.raises(UsageProblem, match="no such model is judged"):
        make_decider("decided:nobody", "m")
    with pytest.raises(UsageProblem, match="no other model is judged"):
        make_decider("decided:m", "m")


def test_a_question_counts_when_all_judges_have_reported_and_only_once() -> None:
    decider = make_decider("decided", "m", judges=2)
    for question in ORDER[:40]:
        decider.observe("m", question, WIN, judge="one")
        decider.observe("m", question, LOSS, judge="one")  # a second word of the same judge
    assert decider.standing("m").questions == 0
    for question in ORDER[:40]:
        decider.observe("m", question, WIN, judge="two")
    assert decider.standing("m").questions == 40
    assert decider.standing("m").score == 100.0


def test_records_of_other_models_and_questions_are_ignored() -> None:
    decider = make_decider("decided")
    assert decider.observe("m", "elsewhere", WIN) == ()
    assert decider.observe("stranger", ORDER[0], WIN) == ()
    assert decider.skip("stranger", ORDER[0]) == ()
    assert decider.standing("m").questions == 0


@pytest.mark.realdata
def test_published_models_are_decided_within_a_tenth_of_the_questions(shared_data: Path) -> None:
    battles = load_battles(shared_data / "arena-hard-ru" / "arena_hard_battles.jsonl").battles
    table = outcome_table(battles, "Phi-3-medium-128k-instruct", 3)
    score = table.won.sum(axis=0) / table.total.sum(axis=0)
    rng = np.random.default_rng(1)
    clear = np.flatnonzero(np.abs(score - 0.5) >= 0.18)
    assert len(clear) == 6
    medians = []
    for column in clear:
        outcomes = list(map(Points, table.won[:, column].tolist(), table.total[:, column].tolist()))
        taken = []
        for _ in range(1000):
            order = rng.permutation(len(outcomes)).tolist()
            decider = Decider(StopRule(decided=True), ["m"], baseline="base", order=map(str, order))
            taken.append(next(n for n, at in enumerate(order, 1) if decider.observe_points("m", str(at), outcomes[at])))
            assert decider.decision("m") == ("better" if score[column] > 0.5 else "worse")
        medians.append(float(np.median(taken)))
        assert np.percentile(taken, 90) <= 110
    assert np.all(np.sort(medians) <= [9, 13, 15, 20, 35, 41])


def test_equivalence_is_decided_against_the_baseline_and_against_another_model() -> None:
    order = [f"q{number:04}" for number in range(1500)]
    seen = [WIN, LOSS] * 40 + [TIE] * 1420
    for rule, model in (("equivalent:5", "m"), ("equivalent:5:rival", "m")):
        decider = Decider(parse_stop_rule(rule), ("m", "rival"), baseline="base", order=order)
        for question, labels in zip(order, seen, strict=True):
            decider.observe("rival", question, labels)
            decider.observe(model, question, labels)
        standing = decider.standing(model)
        assert (standing.verdict, standing.margin) == ("equivalent", 5.0)
        assert standing.decided_after is not None
        assert standing.decided_after < 1500


def test_a_rule_about_equivalence_also_ends_for_a_model_that_is_surely_further_apart() -> None:
    decider = make_decider("equivalent:2", "winner", "loser")
    feed(decider, "winner", [WIN] * 60)
    feed(decider, "loser", [LOSS] * 60)
    assert (decider.decision("winner"), decider.decision("loser")) == ("better", "worse")


def test_a_judge_that_only_ties_or_follows_the_places_decides_no_equivalence() -> None:
    for labels in (TIE, ("B>A", "B>A")):
        decider = make_decider("equivalent:10")
        feed(decider, "m", [labels] * 200)
        assert decider.decision("m") == "undecided"


def test_a_model_at_the_margin_is_rarely_called_equivalent_at_any_look() -> None:
    """Ties, and strong losses on 6 % of the questions: skewed, and the true difference is the margin."""
    rng, runs = np.random.default_rng(3), 200
    share = 0.06
    margin = 100.0 * (0.5 - (1.0 - share) / (2.0 * (1.0 - share) + 6.0 * share))
    wrong = 0
    for _ in range(runs):
        decider = Decider(StopRule(margin=margin), ("m", "other"), baseline="base", order=ORDER)
        feed(decider, "other", [WIN] * 200)
        lost = rng.random(200) < share
        feed(decider, "m", [("A>>B", "B>>A") if each else TIE for each in lost])
        wrong += decider.decision("m") == "equivalent"
    assert wrong <= 0.05 * runs + 3 * (0.05 * 0.95 * runs) ** 0.5


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("equivalent:2", "equivalent:2"),
        ("decided, equivalent:1.5", "decided,equivalent:1.5"),
        ("equivalent:2:rival", "equivalent:2:rival"),
        ("decided:rival,equivalent:2", "decided:rival,equivalent:2"),
        ("equivalent:2:rival,decided", "decided:rival,equivalent:2"),
    ],
)
def test_a_rule_with_a_margin_reads_as_it_is_written(text: str, written: str) -> None:
    assert str(parse_stop_rule(text)) == written
    assert parse_stop_rule(written) == parse_stop_rule(text)


@pytest.mark.parametrize(
    "text", ["equivalent", "equivalent:0", "equivalent:50", "equivalent:2:", "decided:a,equivalent:2:b"]
)
def test_a_rule_with_a_wrong_margin_or_two_opponents_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem):
        parse_stop_rule(text)
