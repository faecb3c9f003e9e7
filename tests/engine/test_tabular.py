"""Results as frames and as tables of a notebook: values stay what they are, and text stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from engine.tabular import SHOWN_COLUMNS, SHOWN_ROWS, Tabular


class Inner(msgspec.Struct, frozen=True):
    low: float
    high: float | None


class One(msgspec.Struct, frozen=True):
    model: str
    score: float = 50.0
    limits: Inner | UnsetType = UNSET
    notes: tuple[str, ...] = ()


class Result(Tabular, msgspec.Struct, frozen=True):
    rows: list[One]
    warnings: list[str] = msgspec.field(default_factory=list)


class Read(HTMLParser):
    """The cells and the tags of a table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert attrs in ([], [("scope", "col")])

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_frame_has_a_column_for_each_number_of_any_row():
    frame = Result([One("a"), One("b", 61.5, Inner(55.0, None), ("x",))]).to_polars()
    assert frame.columns == ["model", "score", "limits_low", "limits_high"]
    assert frame.rows() == [("a", 50.0, None, None), ("b", 61.5, 55.0, None)]


def test_a_result_without_rows_is_an_empty_frame():
    assert Result([]).to_polars().height == 0
    assert "<table>" in Result([])._repr_html_()


def test_a_notebook_shows_rows_limits_and_warnings():
    shown = Read(Result([One("a", 61.518, Inner(55.0, 70.25))], ["few questions"])._repr_html_())
    assert shown.texts == [
        "model",
        "score",
        "limits_low",
        "limits_high",
        "a",
        "61.52",
        "55.00",
        "70.25",
        "few questions",
    ]


def test_a_long_table_names_what_it_leaves_out():
    class Wide(Tabular, msgspec.Struct, frozen=True):
        rows: list[msgspec.Struct]

    row = msgspec.defstruct("WideRow", [(f"n{number}", int, number) for number in range(SHOWN_COLUMNS + 3)])
    page = Wide([row()] * (SHOWN_ROWS + 7))._repr_html_()
    assert page.count("<tr>") == 1 + SHOWN_ROWS
    assert "7 more rows and 3 more columns" in page


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b", '"><img onerror=x>', "</td></table>"])
def test_names_of_models_are_no_markup(text: str):
    shown = Read(Result([One(text)], [text])._repr_html_())
    assert shown.tags <= {"table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert "".join(shown.texts).count(text) == 2


@given(st.text(max_size=200))
def test_any_name_is_shown_as_text(text: str):
    assert Read(Result([One(text)])._repr_html_()).tags == {"table", "thead", "tbody", "tr", "th", "td"}
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|th|td)\b)", Result([One(text)])._repr_html_())
