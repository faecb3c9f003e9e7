"""The rules of the programs that others publish results with, and patterns of a user's own."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.judging.rules import RULES, parser
from engine.judging.spelling import Verdict

NONE, CONFLICT, UNKNOWN = Verdict(None, "none"), Verdict(None, "conflict"), Verdict(None, "unknown")


def label(value):
    return Verdict(value)


@pytest.mark.parametrize(
    ("reply", "v01", "local", "v2"),
    [
        ("so [[A>B]]", label("A>B"), label("A>B"), label("A>B")),
        ("[[A>>B]] and again [[A>>B]]", label("A>>B"), label("A>>B"), label("A>>B")),
        ("[[A>B]] no, [[B>A]]", CONFLICT, CONFLICT, label("B>A")),
        ("[A>B]", NONE, label("A>B"), label("A>B")),
        ("[A>B] beside [[A>B]]", label("A>B"), CONFLICT, label("A>B")),
        ("[[A>B]] and last [B>A]", label("A>B"), CONFLICT, label("A>B")),
        ("[[a>b]]", NONE, label("A>B"), label("A>B")),
        ("[[a>b]] [[A>B]]", label("A>B"), CONFLICT, label("A>B")),
        ("[[A<<B]]", UNKNOWN, UNKNOWN, label("B>>A")),
        ("[[B=A]]", UNKNOWN, UNKNOWN, label("A=B")),
        ("[[B<A]]", UNKNOWN, UNKNOWN, label("A>B")),
        ("[[A]]", UNKNOWN, UNKNOWN, UNKNOWN),
        ("[[A>>>B]]", UNKNOWN, UNKNOWN, UNKNOWN),
        ("[[A==B]]", UNKNOWN, UNKNOWN, UNKNOWN),
        ("[[A>=B]] [[A>B]]", CONFLICT, CONFLICT, label("A>B")),
        ("[[A>B]] [[A]]", CONFLICT, CONFLICT, UNKNOWN),
        ("x[b] is an index, [[A>B]]", label("A>B"), CONFLICT, label("A>B")),
        ("x[b] is an index", NONE, UNKNOWN, UNKNOWN),
        ("[[A>B]", NONE, label("A>B"), label("A>B")),
        ("[[A > B]]", NONE, NONE, NONE),
        ("[[А>В]]", NONE, NONE, NONE),
        ("**A>B**", NONE, NONE, NONE),
        (r"\boxed{A>B}", NONE, NONE, NONE),
        ("[[Tie]]", NONE, NONE, NONE),
        ("", NONE, NONE, NONE),
    ],
)
def test_each_program_reads_a_reply_by_its_own_rule(reply, v01, local, v2):
    read = (parser("v0.1")(reply), parser("arena-hard-local")(reply), parser("v2")(reply))
    assert read == (v01, local, v2)


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)
@given(
    reply=st.lists(st.sampled_from(["[", "]", "A", "B", "b", ">", "<", "=", " ", "\n", "[[A>B]]", "ß"])).map("".join)
)
def test_no_reply_makes_a_rule_raise(rule, reply):
    verdict = parser(rule)(reply)
    assert (verdict.label is None) == (verdict.reason != "")


def test_a_pattern_finds_its_group():
    read = parser(r"verdict is <(.+?)>;")
    assert read("My verdict is <a > b>;") == label("A>B")
    assert read("My verdict is <A>>B>;") == label("A>>B")


def test_a_pattern_without_a_group_is_the_label_itself():
    assert parser(r"[AB][<>=]+[AB]")("it is B<<A") == label("A>>B")


def test_of_several_groups_the_first_that_matched_counts():
    assert parser(r"label (\S+)|(\S+) wins")("B>A wins") == label("B>A")


def test_a_pattern_that_finds_different_labels_is_a_conflict():
    read = parser(r"\(([AB<>=]+)\)")
    assert read("(A>B) or (B>A)") == CONFLICT
    assert read("(A>B) and (B<A), which is the same") == label("A>B")
    assert read("(A>B) and (A)") == CONFLICT
    assert read("(A)") == UNKNOWN
    assert read("A>B") == NONE


@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?P<a>x)(?P<a>y)"])
def test_a_wrong_pattern_is_refused_in_words(pattern):
    with pytest.raises(ValueError, match=re.escape(", ".join(RULES))):
        parser(pattern)
