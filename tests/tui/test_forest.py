"""Intervals drawn to scale: lines as wide as they should be, ends and middle in their places, ticks to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.output.forest import ASCII, UNICODE, Scale

numbers = st.floats(0.0, 100.0)


@given(st.lists(numbers, min_size=3, max_size=3), st.lists(numbers, max_size=6), st.integers(3, 80))
def test_a_line_is_exactly_as_wide_as_the_scale_and_holds_its_estimate(limits, others, columns):
    lower, point, upper = sorted(limits)
    scale = Scale.around([lower, upper, *others], columns, 50.0)
    line = scale.bar(lower, point, upper, UNICODE)
    assert len(line) == len(scale.axis(UNICODE)) == len(scale.numbers()) == columns
    assert line.count(UNICODE.point) == 1
    assert line.index(UNICODE.point) == scale.place(point)


@given(st.lists(numbers, min_size=1, max_size=6), st.integers(12, 80))
def test_ticks_are_round_lie_on_the_scale_and_have_the_middle_among_them(limits, columns):
    scale = Scale.around(limits, columns, 50.0)
    ticks = scale.ticks()
    assert 50.0 in ticks
    assert all(scale.low - 1e-9 <= tick <= scale.high + 1e-9 for tick in ticks)
    assert len({scale.place(tick) for tick in ticks}) == len(ticks)
    assert all(f"{tick:g}" in scale.numbers() for tick in ticks)


def test_the_baseline_is_marked_beside_and_within_an_interval():
    scale = Scale(0.0, 100.0, 21, 50.0)
    assert scale.bar(60.0, 70.0, 80.0, UNICODE) == "          ┊ ╺━●━╸    "
    assert scale.bar(30.0, 45.0, 70.0, UNICODE) == "      ╺━━●┿━━━╸      "
    assert scale.bar(50.0, 50.0, 50.0, UNICODE) == "          ●          "


def test_an_interval_is_drawn_to_half_a_column():
    scale = Scale(0.0, 100.0, 21, 50.0)  # five points a column
    drawn = [scale.bar(lower, 70.0, 82.5, UNICODE)[10:] for lower in (60.0, 61.0, 62.5, 64.0)]
    assert drawn == ["┊ ╺━●━━    ", "┊ ╺━●━━    ", "┊  ━●━━    ", "┊  ╺●━━    "]
    assert scale.bar(69.0, 70.0, 71.0, UNICODE)[10:] == "┊   ●      "


def test_a_terminal_without_unicode_gets_plain_characters():
    scale = Scale(0.0, 100.0, 21, 50.0)
    assert scale.bar(30.0, 45.0, 70.0, ASCII) == "      |--o+---|      "
    assert scale.axis(ASCII).isascii()


@pytest.mark.parametrize("infinite", [float("inf"), float("-inf")])
def test_infinite_limits_stand_at_the_ends(infinite):
    scale = Scale.around([infinite, 20.0, 80.0], 13, 50.0)
    assert (scale.low, scale.high) == (20.0, 80.0)
    assert scale.place(infinite) in (0, 12)
