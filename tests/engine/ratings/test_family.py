"""Calls of several models: wrong ones in no more runs than allowed, the same in any order of arrival."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.labels import Points
from engine.ratings.family import Family, models_refuted, next_level
from engine.ratings.sequential import Decider
from engine.ratings.stop_rule import parse_stop_rule

PATHS = st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), min_size=1, max_size=5)


def called(paths: list[list[int]], order: list[int]) -> dict[int, int]:
    """Feed the evidence of models in an order of arrival; return the position at which each was called."""
    family = Family(range(len(paths)))
    following = [iter(path) for path in paths]
    found: dict[int, int] = {}
    for model in order:
        found |= family.add(model, next(following[model]))
    return found


def closed_testing(paths: list[list[int]]) -> dict[int, int]:
    """Test all sets of models at every question; evidence below the level for one model counts as none."""
    found: dict[int, int] = {}
    for position in range(len(paths[0])):
        waiting = [model for model in range(len(paths)) if model not in found]
        now = {model: paths[model][position] for model in waiting}
        sets = [each for size in range(1, len(waiting) + 1) for each in itertools.combinations(waiting, size)]
        found |= {
            model: position
            for model in waiting
            if all(sum(now[other] for other in each) >= len(each) for each in sets if model in each)
        }
    return found


@settings(max_examples=300, deadline=None)
@given(PATHS, st.randoms(use_true_random=False))
def test_calls_are_those_of_closed_testing_in_any_order_of_arrival(
    paths: list[list[int]], chance: random.Random
) -> None:
    order = [model for model in range(len(paths)) for _ in range(6)]
    chance.shuffle(order)
    assert called(paths, order) == closed_testing(paths)
    assert called(paths, sorted(order)) == closed_testing(paths)


def test_a_model_that_ended_keeps_its_last_evidence() -> None:
    family = Family(("strong", "ended"))
    assert family.add("ended", 1) == {}
    family.end("ended")
    assert family.add("strong", 1) == {"strong": 0, "ended": 0}
    other = Family(("strong", "ended"))
    other.end("ended")
    assert other.add("strong", 1) == {}
    assert other.add("strong", 2) == {"strong": 1}


def test_evidence_is_counted_in_models() -> None:
    level = 3.0
    values = [level - 1e-6, level, level + np.log(2.0), level + np.log(2.9), level + 50.0]
    assert [models_refuted(value, level, 10) for value in values] == [0, 1, 2, 2, 10]


def test_levels_of_comparisons_that_come_one_by_one_never_spend_more_than_alpha() -> None:
    assert next_level([]) == pytest.approx(0.025)
    assert next_level([False]) == pytest.approx(0.05 / 6)
    assert next_level([True]) == pytest.approx(0.025 + 0.05 / 6)
    assert next_level([True] * 40) == pytest.approx(0.05, rel=0.03)
    assert sum(next_level([False] * before) for before in range(500)) <= 0.05


@settings(max_examples=200)
@given(st.lists(st.booleans(), max_size=12))
def test_levels_of_comparisons_without_a_difference_add_up_to_alpha_at_most(differs: list[bool]) -> None:
    """Those that differ are called, the others are not: before a first wrong call."""
    spent = sum(next_level(differs[:at]) for at, each in enumerate(differs) if not each)
    assert spent <= 0.05 + 1e-12


def test_ten_models_without_a_difference_are_rarely_called_better_or_worse_in_any_run() -> None:
    rng, runs, questions = np.random.default_rng(5), 30, 100
    outcomes = [Points(0.0, 2.0), Points(1.0, 2.0), Points(2.0, 2.0), Points(0.0, 6.0), Points(6.0, 6.0)]
    models = [f"m{number}" for number in range(10)]
    wrong = dict.fromkeys(("decided", "decided,per-model"), 0)
    for _ in range(runs):
        drawn = rng.choice(5, p=[0.2, 0.3, 0.2, 0.15, 0.15], size=(questions, 10))
        for rule in wrong:
            decider = Decider(parse_stop_rule(rule), models, baseline="base", order=map(str, range(questions)))
            for question, row in enumerate(drawn.tolist()):
                for model, kind in zip(models, row, strict=True):
                    decider.observe_points(model, str(question), outcomes[kind])
            wrong[rule] += any(decider.decision(model) != "undecided" for model in models)
    assert wrong["decided"] <= 0.05 * runs + 3 * (0.05 * 0.95 * runs) ** 0.5
    assert wrong["decided,per-model"] >= 3 * max(1, wrong["decided"])  # what the family is for


def test_the_rule_says_how_many_models_share_the_level() -> None:
    def control(rule: str) -> tuple[float, int]:
        decider = Decider(parse_stop_rule(rule), ("a", "b", "rival"), baseline="base", order=["q"])
        return decider.error_control.alpha, decider.error_control.models

    assert control("decided") == (0.05, 3)
    assert control("decided:rival,alpha:0.01") == (0.01, 2)
    assert control("equivalent:2,per-model") == (0.05, 1)
    assert control("ci:3") == (0.05, 0)


def test_a_smaller_alpha_takes_more_questions() -> None:
    def needed(rule: str) -> int | None:
        decider = Decider(parse_stop_rule(rule), ("a", "b"), baseline="base", order=map(str, range(60)))
        for question in range(60):
            decider.observe_points("a", str(question), Points(2.0, 2.0))
            decider.observe_points("b", str(question), Points(question % 2 * 2.0, 2.0))
        return decider.standing("a").decided_after

    alone, among_two, strict = needed("decided,per-model"), needed("decided"), needed("decided,alpha:0.001")
    assert alone is not None
    assert among_two is not None
    assert strict is not None
    assert alone == 18
    assert alone < among_two < strict
