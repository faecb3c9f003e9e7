"""The HTML report: one file that holds everything, loads nothing and runs nothing, whatever models wrote."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from judged_bench import ANSWERS, answer, judgment, make_bench, write

from arena_tui.output.html_report import export_html, judgments_section
from engine.bench import Bench
from engine.errors import BenchError, UsageProblem
from engine.formats.selection import ExportChoice, Selection

HOSTILE = '</pre></style><script>alert("x")</script><img src=http://evil/x onerror=alert(1)> &lt;b&gt; \x1b[2J\u202e'
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "li", "div"),
    *(
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "svg",
        "line",
        "text",
        "circle",
        "details",
        "summary",
        "pre",
        "span",
    ),
}


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(make_bench(tmp_path))


def exported(bench: Bench, out: Path, **choice: object) -> str:
    export_html(bench, ExportChoice(baseline="base", **choice), out, force=True)  # type: ignore[arg-type]
    return out.read_text("utf-8")


def test_the_page_shows_scores_answers_and_what_the_judge_said(bench, tmp_path):
    page = exported(bench, tmp_path / "report.html")
    parsed = _Tags(page)
    assert parsed.open == []
    said = "\n".join(parsed.texts)
    for told in ("good-model", "baseline", *ANSWERS.values(), "the-judge, game 2 (baseline is B): A>B", "no verdict"):
        assert told in said
    assert page.count("<circle") == 3


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(bench, tmp_path):
    page = exported(bench, tmp_path / "report.html")
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "prefers-color-scheme: dark" in style
    assert not re.search(r"@import|url\(", style)


def test_nothing_that_a_model_or_a_judge_wrote_becomes_markup(bench, tmp_path):
    name = f"evil {HOSTILE}"
    write(bench.paths.answers(name), answer(name, "q1", HOSTILE))
    record = judgment("good-model", "q1") | {"model": name}
    prompt = record["games"][0]["user_prompt"].replace(ANSWERS["good-model"], HOSTILE)
    games = [{"user_prompt": prompt, "judgment": HOSTILE, "score": "A>B", "reasoning": HOSTILE}]
    write(bench.paths.judgments("the-judge", name), record | {"games": games})
    page = exported(bench, tmp_path / "report.html")
    parsed = _Tags(page)
    assert parsed.open == []
    assert parsed.tags <= ALLOWED
    assert not {each for each in parsed.attributes if each.startswith("on") or each in ("src", "href", "style")}
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)
    assert sum('<script>alert("x")' in text for text in parsed.texts) >= 3, "it can still be read"


def test_a_page_that_would_be_too_large_says_what_it_leaves_out(bench):
    whole = list(judgments_section(Selection(bench, ExportChoice(baseline="base"))))
    assert len(whole) == 3
    part = list(judgments_section(Selection(bench, ExportChoice(baseline="base")), most_text=len(whole[0]) + 10))
    assert part[0] == whole[0]
    assert "2 more questions are not shown" in part[1]


def test_a_report_is_not_written_over_another_and_not_without_judgments(bench, tmp_path):
    out = tmp_path / "report.html"
    export_html(bench, ExportChoice(baseline="base"), out)
    with pytest.raises(UsageProblem, match="exists"):
        export_html(bench, ExportChoice(baseline="base"), out)
    with pytest.raises(BenchError, match="no judgment"):
        export_html(bench, ExportChoice(baseline="good-model", judges=("the-judge",)), tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()
