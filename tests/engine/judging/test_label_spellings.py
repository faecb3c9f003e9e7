"""One label, however judges and published files spell it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.judging.spelling import normalise_label
from engine.labels import LABELS

SPELLINGS = {
    "A>>B": ["A>>B", "[[A>>B]]", "B<<A", "[[ a >> b ]]", "[[А>>В]]", "A≫B", r"A \gg B", "А » Б", "[A&gt;&gt;B]"],
    "A>B": [
        "A>B",
        "[A>B]",
        "[[A > B]]",
        "[[a>b]]",
        "[[B<A]]",
        "**А>В**",
        r"\boxed{A>B}",
        r"\boxed{\text{A>B}}",
        r"A\>B",
    ],
    "A=B": ["A=B", "[[B=A]]", "[A=B]", "[[Tie]]", "tie.", "**Ничья**", "A == B", r"[[A \approx B]]", "\n[[A=B]]\n"],
    "B>A": ["B>A", "[[A<B]]", "[[Assistant B > Assistant A]]", "[[В>А]]", '"B>A"', "**B** > **A**", "А < Б"],
    "B>>A": ["B>>A", "[[A<<B]]", "`B>>A`", "$B \\gg A$", "【【B>>A】】", "[[b>>a]]", "B＞＞A"],
}


@pytest.mark.parametrize(("label", "text"), [(label, text) for label, texts in SPELLINGS.items() for text in texts])
def test_every_spelling_means_its_label(label, text):
    assert normalise_label(text) == label


@pytest.mark.parametrize(
    "text",
    ["", "A", "[[A]]", "[[C]]", "A>>>B", "A>B>A", "A>A", "A<>B", "A>=B", "AB", "x>y", "A>B C", "BA>AB", "A>B [[B>A]]"],
)
def test_what_is_no_label_is_none(text):
    assert normalise_label(text) is None


def test_a_label_at_the_end_of_prose_is_not_a_label_by_itself():
    assert normalise_label("I think that the better one is A>B") is None


@settings(deadline=None)
@given(st.text(alphabet="АABВбb<>=[]*\\&gt;{}boxed tie≫ \n", max_size=60))
def test_a_normalised_label_stays_itself(text):
    label = normalise_label(text)
    assert label is None or normalise_label(label) == label


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_label_or_none(text):
    assert normalise_label(text) in (*LABELS, None)
