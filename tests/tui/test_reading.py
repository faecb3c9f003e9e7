"""Long texts in rows: nothing is lost, nothing is wider than its column, and nothing steers the terminal."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from arena_tui.judgments.code import code_stretches
from arena_tui.judgments.markdown import renderer
from arena_tui.judgments.page import Heading, Page
from arena_tui.judgments.passages import (
    MOST_CHARACTERS,
    Ink,
    Passage,
    RawText,
    Stack,
    Words,
    code_blocks,
    stretches,
    wrap,
)
from arena_tui.theme import Inks
from engine.review.search import hit_pattern

any_text = st.text(st.characters(), max_size=300)
line = st.text(st.characters(exclude_characters="\n"), max_size=200)
ESC = "\x1b"
HOSTILE = {
    "colours and a cleared screen": f"{ESC}[31mred{ESC}[2J{ESC}[H",
    "a clipboard written": f"{ESC}]52;c;cm0gLXJm\x07",
    "a link": f"{ESC}]8;;http://evil\x07click{ESC}]8;;\x07",
    "C1 controls": "\x9b31m \x9d0;title\x9c",
    "NULs": "a\x00b\x00c",
    "markup": "[bold red]no[/] [link=http://evil]x[/link] [@click=app.quit]quit[/]",
    "right to left": "\u202egnirts\u202c \u2067iso\u2069",
    "zero width": "z\u200be\u200dr\ufeffo",
    "an entity of an override": "a &#x202e; b &#27;[31m &#155;2J &NewLine; c",
    "a fence that never ends": "text\n```python\nx = 1\n\n# no heading",
    "nested quotes": ">" * 3000 + " deep",
    "nested lists": "".join("  " * depth + "- x\n" for depth in range(200)),
    "many brackets": "[" * 3000 + "](" * 300,
    "a table": "|a|b|\n|-|-|\n" + "|x|y|\n" * 50,
    "formulas that never end": "$$ " * 2000 + "\\(" * 2000 + "\\[" * 2000,
    "code that never ends": '```python\n"""' + "\\" * 3000,
    "stars": "**" * 3000,
    "line breaks of all kinds": "a\r\nb\rc\x85d\u2028e\u2029f\x0bg\x0ch",
    "wide and combining": "字" * 90 + "e\u0301" * 90 + "👩\u200d👩\u200d👧" * 20,
}


INKS = Inks(*(Style(color=name) for name in ("white", "green", "red", "yellow", "blue", "cyan")))


@pytest.fixture
def inks() -> Inks:
    return INKS


def rows_of(passage: Passage, inks: Inks) -> list[str]:
    return ["".join(segment.text for segment in passage.segments(row, inks)) for row in range(passage.height)]


def steers(text: str) -> bool:
    directions = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return any(char < " " or "\x7f" <= char <= "\x9f" or char in directions for char in text)


@given(line, st.integers(2, 90))
@example("字字字字", 3)
@example("a" * 50 + " " + "b" * 50, 20)
@example("- a list item whose text is longer than the width of the pane", 12)
def test_wrapping_loses_nothing_but_the_blank_at_a_break(text: str, width: int):
    at = 0
    for start, end, indent in wrap(text, width):
        assert start - at in (0, 1)
        assert start == at or text[at] == " "
        assert indent + cell_len(text[start:end]) <= max(width, 2)
        at = end
    assert text[at:].strip(" ") == ""


def test_what_follows_a_list_marker_hangs_under_it():
    rows = wrap("10. one two three four five six", 14)
    assert [row.indent for row in rows] == [0, *[4] * (len(rows) - 1)]


@given(any_text)
def test_stretches_cover_a_line_without_gaps(text: str):
    for one in text.split("\n"):
        found = stretches(one, is_code=False)
        assert [stretch.start for stretch in found] == [0, *(stretch.end for stretch in found[:-1])]
        assert found[-1].end == len(one)


def test_what_readers_look_for_is_marked():
    def inks_of(text: str) -> list[Ink]:
        return [stretch.ink for stretch in stretches(text, is_code=False)]

    assert inks_of("## Title") == [Ink.HEADING]
    assert inks_of("1. use `x` **now**") == [Ink.MARK, Ink.PLAIN, Ink.CODE, Ink.PLAIN, Ink.STRONG]
    assert inks_of("My final verdict is: [[A>>B]]") == [Ink.PLAIN, Ink.MARK]
    assert inks_of("> quoted") == [Ink.FAINT]
    assert inks_of("#no heading") == [Ink.PLAIN]


def test_a_fence_ends_where_it_is_closed_and_an_open_one_holds_the_rest():
    assert list(code_blocks(["a", "```py", "b", "```", "c"])) == [(1, 4, "py", True)]
    assert list(code_blocks(["~~~", "```", "b"])) == [(0, 3, "", False)]
    assert list(code_blocks(["````", "```", "````", "a"])) == [(0, 3, "", True)]


def colours(passage: Passage, words: str) -> list[str]:
    """The colours of the segments that are exactly these words."""
    found = [part for row in range(passage.height) for part in passage.segments(row, INKS) if part.text == words]
    return [str(part.style.color.name) if part.style and part.style.color else "" for part in found]


CODE = """Text
```python
def f(x):
    \"\"\"Two
    lines.\"\"\"
    return "a" + 1  # why
```
`def` outside"""


@pytest.mark.parametrize("lay_out", [RawText, renderer(INKS)], ids=["raw", "rendered"])
def test_code_has_the_colours_of_its_language(lay_out):
    passage = lay_out(CODE, 60)
    assert colours(passage, "def")[0] == "blue"  # the accent
    assert colours(passage, '"a"') == ["green"]
    assert colours(passage, "# why") == ["white"]
    assert any("lines." in row for row in rows_of(passage, INKS))


def test_code_of_no_language_and_code_that_takes_too_long_have_one_colour():
    assert colours(RawText("```\ndef f\n```", 60), "def f") == ["green"]
    assert colours(RawText("```nolanguage\ndef f\n```", 60), "def f") == ["green"]
    assert code_stretches("x = 1\n" * 10_000, "python") is None
    assert code_stretches("x" * 501, "python") is None


@given(any_text)
def test_code_in_any_text_keeps_every_character(text: str):
    lines = text.split("\n")
    known = code_stretches(text, "python")
    for line, parts in zip(lines, known or (), strict=False):
        assert "".join(line[part.start : part.end] for part in parts) == line


def test_formulas_and_raw_html_stay_as_written_in_rendered_markdown():
    text = (
        "Euler: \\( e^{i\\pi} * 2 * \\) and $x_1 * y_2$, for $5 and $6.\n\n\\[\na\n= b\n- c\n\\]\n\n"
        '$$ \\frac{1}{2} $$\n\n<div class="x">raw <b>bold</b></div>\n\nPress <kbd>K</kbd>.'
    )
    rows = [row.strip() for row in rows_of(renderer(INKS)(text, 70), INKS)]
    assert rows[0] == "Euler: \\( e^{i\\pi} * 2 * \\) and $x_1 * y_2$, for $5 and $6."
    assert rows[2:7] == ["\\[", "a", "= b", "- c", "\\]"]
    assert "$$ \\frac{1}{2} $$" in rows
    assert '<div class="x">raw <b>bold</b></div>' in rows
    assert "Press <kbd>K</kbd>." in rows


def test_hits_are_found_across_wrapped_rows_and_line_breaks():
    text = RawText("the moon pulls\n- the Moon  pulls water across", 16)
    hits = text.hits(hit_pattern(["moon", "pulls"]))
    shown = [[rows_of(text, INKS)[row][start:end] for row, start, end in hit] for hit in hits]
    assert shown == [["moon pulls"], ["Moon ", "pulls"]]
    stack = Stack([Words("moon pulls", 20), text])
    assert [hit[0].row for hit in stack.hits(hit_pattern(["moon"]))] == [hit[0].row + 2 for hit in hits]


def test_a_number_is_found_as_a_whole():
    assert [hit[0][1:] for hit in RawText("7 77 777 a77b", 60).hits(hit_pattern(["77"]))] == [(2, 4), (10, 12)]


@given(any_text, st.integers(4, 60))
def test_no_text_at_all_leaves_its_column_or_steers_the_terminal(text: str, width: int):
    for row in rows_of(RawText(text, width), INKS):
        assert cell_len(row) <= width
        assert not steers(row)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("rendered", [False, True])
def test_hostile_texts_are_shown_harmlessly(name: str, rendered: bool, inks: Inks):
    make = renderer(inks) if rendered else RawText
    passage = make(HOSTILE[name], 40)
    page = Page([Heading(("left", "right")), (passage, passage)], 100)
    for y in range(page.height):
        strip = page.row(y, inks)
        assert strip.cell_length == 100
        assert not steers(strip.text)
        assert strip.crop(49, 50).text == ("│" if y else "┬"), "neither side reaches over the rule"
        assert all(segment.control is None for segment in strip)
        assert all(segment.style is None or not (segment.style.link or segment.style.meta) for segment in strip)


def test_markup_is_shown_as_it_was_written(inks: Inks):
    assert rows_of(RawText(HOSTILE["markup"], 100), inks) == [HOSTILE["markup"]]


@pytest.mark.parametrize(
    "unit", ["a", "word ", "字", "слово ", f"{ESC}[31m\u202e[", "**`[[A>B]]", "- x\n", "\n", "```\n", "e\u0301"]
)
def test_a_megabyte_is_cut_quickly_and_says_so(unit: str, inks: Inks):
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    passage = RawText(text, 50)
    for row in range(min(40, passage.height)):
        passage.segments(row, inks)
    assert time.process_time() - began < 2.0  # 0.3 s on a quiet machine
    last = " ".join(rows_of(passage, inks)[-4:])
    assert "more characters not shown" in last
    assert passage.height <= MOST_CHARACTERS + 10


def test_rendering_shows_what_markdown_means(inks: Inks):
    rows = rows_of(
        renderer(inks)("# Title\n\nSome **bold** text and [a link](http://x.org).\n\n```\ncode\n```", 60), inks
    )
    text = "\n".join(row.rstrip() for row in rows)
    assert "Title" in text
    assert "**" not in text
    assert "http://x.org" in text, "a link tells where it leads"
    assert "  code" in text


def test_a_very_long_text_is_not_rendered(inks: Inks):
    assert isinstance(renderer(inks)("**x** " * 20_000, 60), RawText)


def test_passages_are_stacked_with_a_blank_row_between(inks: Inks):
    stack = Stack([Words("one", 20), RawText("two\nthree", 20)])
    assert rows_of(stack, inks) == ["one", "", "two", "three"]


def test_a_page_knows_its_headings_and_every_row_has_its_width(inks: Inks):
    page = Page([Heading(("First",)), Words("one\ntwo", 28), Heading(("Second",)), Words("three", 28)], 30)
    texts = [page.row(y, inks).text.rstrip(" ─") for y in range(page.height)]
    assert texts == [" First", " one", " two", "", " Second", " three"]
    assert page.headings == [0, 4]
    assert [page.heading_at(y) for y in (0, 2, 4, 5)] == [0, 0, 4, 4]
    assert {page.row(y, inks).cell_length for y in range(-1, page.height + 2)} == {30}


def test_columns_of_unequal_height_stand_side_by_side(inks: Inks):
    page = Page([Heading(("Left", "Right")), (Words("a\nb\nc", 10), Words("d", 10))], 29)
    rows = [page.row(y, inks).text for y in range(page.height)]
    assert len(rows) == 4
    assert [row.split("│")[0].strip() for row in rows[1:]] == ["a", "b", "c"]
    assert [row.split("│")[1].strip() for row in rows[1:]] == ["d", "", ""]


def test_an_empty_text_is_one_empty_row(inks: Inks):
    assert rows_of(RawText("", 20), inks) == [""]
