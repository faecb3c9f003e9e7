"""Columns fitted to a width: narrow ones first, then fewer, and never a line that is too wide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.widgets.columns import Column, Columns


def columns(gap: int = 1) -> Columns[str]:
    return Columns(
        [
            Column("name", lambda row, _: row, width=None, least=6, most=20, need=9),
            Column("", lambda row, width: "=" * width, width=None, least=4, need=5),
            Column("questions", lambda row, _: "500", width=9, narrow=5, short="qu.", right=True, need=1),
            Column("score", lambda row, _: "71.8", width=5, right=True, need=8),
        ],
        gap,
    )


@given(st.integers(1, 120), st.text(max_size=30, alphabet="abcdef"), st.integers(1, 2))
def test_a_row_is_never_wider_than_the_line(width, name, gap):
    fitted = columns(gap)
    assert fitted.header(width).cell_len <= max(width, 6)
    assert fitted.row(name, width).cell_len == fitted.header(width).cell_len


def test_narrow_widths_and_short_titles_come_before_leaving_a_column_out():
    fitted = columns()
    assert "questions" in fitted.header(60).plain
    assert "qu." in fitted.header(24).plain
    assert "qu." not in fitted.header(18).plain
    assert "score" in fitted.header(18).plain


def test_room_that_is_left_is_shared_up_to_the_most_that_each_takes():
    fitted = columns()
    name, bar, *_ = fitted._columns
    place = fitted.place(bar, 100)
    assert fitted.place(name, 100) == (0, 20)
    assert place is not None
    assert place[1] == 100 - 20 - 9 - 5 - 3  # all but the other columns and the gaps
    assert fitted.row("a", 100).plain[place[0] : place[0] + place[1]] == "=" * place[1]
