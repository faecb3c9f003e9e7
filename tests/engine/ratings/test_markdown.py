"""Markdown is counted as arena-hard-auto v2 counts it, and its published figures come out of our own counting."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ratings.markdown import MarkdownCounts, count_markdown

ANSWER = """\
# Title

Some **bold** words, some __more__ of them, and a * lone star.

## Part one
1. first
2. second
   - nested
* star
+ plus
### Part two
#hashtag is no header
10) is no list item
"""


def test_every_element_of_an_answer_is_counted_once() -> None:
    assert count_markdown(ANSWER) == MarkdownCounts(
        headers=(1, 1, 1, 0, 0, 0), ordered=2, unordered=3, bold_stars=1, bold_underscores=1
    )


def test_sums_join_the_kinds_of_an_element() -> None:
    counts = count_markdown(ANSWER)
    assert (counts.header_count, counts.list_count, counts.bold_count) == (3, 5, 2)


def test_what_stands_in_a_code_block_is_no_markdown() -> None:
    assert count_markdown("```python\n# comment\n- item\n**x**\n```\n# Header") == MarkdownCounts(
        headers=(1, 0, 0, 0, 0, 0)
    )


def test_bold_does_not_run_over_the_end_of_a_line() -> None:
    assert count_markdown("**open\nclosed**").bold_count == 0


@pytest.mark.parametrize("unit", ["\n", " ", "**", "__a", "* ", "```a", "```a``````b```", "# ", "1"])
def test_a_megabyte_of_anything_is_counted_in_no_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    begin = perf_counter()
    count_markdown(text)
    assert perf_counter() - begin < 60.0  # a quadratic scan would take hours


@given(st.text(alphabet="#*_-+1.` \n\u2028ab", max_size=200))
def test_any_text_can_be_counted(text: str) -> None:
    counts = count_markdown(text)
    assert counts.header_count + counts.list_count + counts.bold_count <= len(text)


@pytest.mark.realdata
@pytest.mark.parametrize("model", ["o3-mini-2025-01-31", "sky-t1-32b"])
def test_the_metadata_of_published_answers_comes_out_of_our_counting(shared_data: Path, model: str) -> None:
    path = shared_data / "arena-hard-v2.0" / "model_answer" / f"{model}.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert len(records) > 700
    for record in records:
        counts = count_markdown(record["messages"][-1]["content"]["answer"])
        assert {
            "header_count": {f"h{level}": count for level, count in enumerate(counts.headers, start=1)},
            "list_count": {"ordered": counts.ordered, "unordered": counts.unordered},
            "bold_count": {"**": counts.bold_stars, "__": counts.bold_underscores},
        }.items() <= record["metadata"].items()
