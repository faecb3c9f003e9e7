"""Stop rules are parsed, and problems in them reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageProblem
from engine.ratings.stop_rule import StopRule, parse_stop_rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("decided", StopRule(decided=True)),
        ("decided:org/model:v2", StopRule(decided=True, opponent="org/model:v2")),
        ("ci:2.5", StopRule(half_width=2.5)),
        ("calls:400", StopRule(calls=400)),
        ("minutes:0.5", StopRule(minutes=0.5)),
        ("decided,alpha:0.00123456789", StopRule(decided=True, alpha=0.00123456789)),
        ("per-model,equivalent:2", StopRule(margin=2.0, per_model=True)),
        (" decided , ci:3,calls:9 ", StopRule(decided=True, half_width=3.0, calls=9)),
    ],
)
def test_conditions_are_read(text: str, rule: StopRule) -> None:
    assert parse_stop_rule(text) == rule
    assert parse_stop_rule(str(rule)) == rule


def test_a_rule_is_described_in_words() -> None:
    message = parse_stop_rule("decided,ci:2.5,calls:400,minutes:20").describe("base")
    assert message == (
        "it is decided to be better or worse than base, or its score is known to ±2.5 points, "
        "or 400 judge calls were made for all models, or the run has lasted 20 minutes"
    )
    assert parse_stop_rule("decided:rival").describe("base") == "it is decided to be better or worse than rival"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a condition is empty"),
        ("decided,", "a condition is empty"),
        ("decided:", "names no model"),
        ("decide", "unknown condition 'decide'"),
        ("ci", "ci needs a number"),
        ("ci:wide", "not 'wide'"),
        ("ci:0", "above 0 and at most 50"),
        ("ci:nan", "above 0"),
        ("calls:1.5", "whole number"),
        ("minutes:-1", "above 0"),
        ("minutes:inf", "above 0"),
        ("ci:2,ci:3", "ci is given twice"),
        ("alpha:0.6,decided", "at most 0.5"),
        ("alpha:0.01", "alpha needs decided"),
        ("ci:2,per-model", "per-model needs decided"),
        ("decided,per-model:2", "unknown condition 'per-model:2'"),
        ("decided,decided:a", "decided is given twice"),
    ],
)
def test_a_wrong_rule_is_reported(text: str, message: str) -> None:
    with pytest.raises(UsageProblem) as problem:
        parse_stop_rule(text)
    assert message in problem.value.title
    assert "decided:MODEL" in problem.value.hint


@given(st.text(max_size=40) | st.from_regex(r"(decided|ci|calls|minutes):[-+.\de_]{1,9}", fullmatch=True))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        rule = parse_stop_rule(text)
    except UsageProblem:
        return
    assert rule != StopRule()
