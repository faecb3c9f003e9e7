"""Text that others wrote cannot steer a terminal, whatever is in it, and what is harmless stays as it was."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from arena_tui.safe_text import brief, clip, one_line, printable, readable, shorten, text_width, wrapped

ATTACKS = [
    "\x1b[31mred\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x9b5A up five",
    "bell\x07 back\x08space",
    "\u202egnirts desrever",
    "\u2066isolated\u2069",
    "half a character \ud83d",
    "tag \U000e0041\U000e007f",
]
any_text = st.text(st.characters(), max_size=200)


def steers(text: str) -> bool:
    """Whether a terminal would take any of it for a command, but for line feed and tab."""
    controls = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - {"\n", "\t"}
    bidi = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return any(char in controls or char in bidi or 0xD800 <= ord(char) < 0xE000 for char in text)


@pytest.mark.parametrize("attack", ATTACKS)
def test_known_attacks_are_made_visible_and_can_be_encoded(attack: str):
    for safe in (one_line(attack), printable(attack), readable(attack), brief(attack, 40)):
        assert not steers(safe)
        assert safe
        safe.encode("utf-8")


@pytest.mark.parametrize(
    "command",
    ["::stop-commands::token", "  ::error file=a,line=1,title=b::text", "a ::set-output name=x::y", "x\n::group::y",
     "##[group]x", "a ##[error]b", "##vso[task.complete result=Failed]", "##teamcity[buildProblem description='x']"],
)  # fmt: skip
def test_no_line_is_a_command_to_the_log_of_a_ci_service(command: str):
    for safe in (one_line(command), printable(command)):
        assert not re.search(r"(?:^|\s)::[a-z-]+[^\n]*::", safe)
        assert not re.search(r"##(?:vso|teamcity)?\[", safe)
        assert len(safe) == len(command)


@pytest.mark.parametrize("text", ["std::vector::push", "http://[::1]:80", "::1", "a :: b", "## heading", "x::y", "###"])
def test_other_double_colons_and_hashes_stay(text: str):
    assert one_line(text) == printable(text) == text


@given(any_text)
def test_no_text_at_all_steers_a_terminal(text: str):
    assert not steers(one_line(text))
    assert not steers(printable(text))
    assert not steers(readable(text))
    assert not steers(brief(text, 30))
    assert "\n" not in one_line(text)
    assert "\n" not in brief(text, 30)
    assert "\t" not in readable(text)


@given(any_text, st.integers(0, 60))
def test_what_is_cut_to_a_width_keeps_to_it(text: str, columns: int):
    assert text_width(brief(text, columns)) <= columns
    assert text_width(clip(one_line(text), columns)) <= columns
    assert text_width(shorten(one_line(text), columns)) <= columns


def test_ordinary_text_of_any_language_stays_as_it_is():
    for text in (
        "Почему небо голубое?\n\n- потому",
        "日本語の文章",
        "naïve café",
        "x < y && a[0] > b  [bold]no markup[/]",
    ):
        assert readable(text) == text
        assert printable(text) == text


def test_a_control_character_is_shown_as_its_picture():
    assert readable("a\x00b\x1b[0m\x7f") == "a␀b␛[0m␡"


def test_lines_end_in_newlines_only_and_tabs_become_blanks():
    assert readable("a\r\nb\rc\u2028d\x85e") == "a\nb\nc\nd\ne"
    assert readable("a\tb\n\tc") == "a   b\n    c"


def test_widths_are_those_that_textual_counts_with():
    """Keycaps, variation selectors, skin tones and joiners are what terminals disagree about."""
    for text in ("1\ufe0f\u20e3 one", "👍\U0001f3fd", "👩\u200d👩\u200d👧", "❤\ufe0f", "z\u200bero"):
        assert text_width(readable(text)) == cell_len(readable(text))


def test_stacked_marks_do_not_leave_their_line():
    assert len(readable("Z" + "\u0301" * 500)) <= 4


def test_a_long_text_is_cut_at_its_end_and_says_so():
    assert brief("word " * 1000, 12) == "word word w…"
    assert brief("two\nlines", 40) == "two lines"


def test_a_megabyte_on_one_line_takes_no_time():
    hostile = "\x1b[31m\u202e[" * 150_000
    whole = _fastest(lambda: readable(hostile))
    assert _fastest(lambda: brief(hostile, 80)) < whole / 10  # only what fits into 80 columns is looked at


def _fastest(action: Callable[[], object]) -> float:
    """Seconds of the fastest of five runs: a busy machine slows some of them, hardly all."""

    def seconds() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return min(seconds() for _ in range(5))


@given(st.text(), st.integers(2, 40))
def test_a_wrapped_line_is_never_too_wide_and_no_word_is_lost(text, columns):
    text = one_line(text)
    lines = wrapped(text, columns)
    assert all(text_width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(text.split())
