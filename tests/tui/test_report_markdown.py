"""The report as Markdown: the answer, a table, the rest in folds, and never too long for GitHub."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from judged_bench import make_bench
from markdown_it import MarkdownIt
from test_report_page import HOSTILE, content_of

from arena_tui.output.report.content import ReportContent
from arena_tui.output.report.markdown import MOST_CHARACTERS, markdown_report
from arena_tui.output.verdict import answer_words

MADE = "2026-01-31 12:00 UTC"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> ReportContent:
    folder: Path = tmp_path_factory.mktemp("bench")
    make_bench(folder)
    return content_of(folder, examples=0)


def rendered(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def test_the_answer_and_the_scores_are_open_and_the_rest_is_folded(content):
    text = markdown_report(content, MADE)
    page = rendered(text)
    before, *folds = re.split(r"<details>", page)
    assert f"<strong>{answer_words(content.board)[0]}" in before
    for row in content.board.rows:
        assert f"<td>{row.model}</td>" in before
        assert f"{row.score:.2f}</td>" in before
    assert text.count("<details>") == text.count("</details>") == len(folds) > 3
    assert "<summary>Can the judge be trusted?</summary>" in text
    for fold in folds:
        assert re.search(r"</summary>\s*<", fold), "Markdown within a fold is rendered"
    assert "Examples" not in text


def test_it_never_grows_beyond_what_github_takes(content):
    rows = [
        msgspec.structs.replace(content.board.rows[0], rank=number, model=f"a model with quite a long name {number:04}")
        for number in range(1, 301)
    ]
    large = replace(content, board=msgspec.structs.replace(content.board, rows=rows))
    whole = markdown_report(large, MADE, most=10**9)
    assert "Left out" not in whole
    for most in (MOST_CHARACTERS, 40_000, 20_000, 3_000):
        text = markdown_report(large, MADE, most=most)
        assert len(text) <= most
        assert text.count("<details>") == text.count("</details>")
        if len(whole) > most:
            assert "Left out, since the text would be too long: " in text
    assert MOST_CHARACTERS < 65_536


def test_no_name_becomes_markup(content):
    evil = f"evil {HOSTILE} @someone #12 [x](http://evil) `code`"
    rows = [msgspec.structs.replace(row, model=evil) for row in content.board.rows]
    hostile = replace(content, board=msgspec.structs.replace(content.board, rows=rows, bench=evil))
    page = rendered(markdown_report(hostile, MADE))
    assert "<script" not in page
    assert "<img" not in page
    assert "<a " not in page
    assert "<code>" not in page
    assert "\x1b" not in page
    assert page.count("&lt;script&gt;alert") > 3
