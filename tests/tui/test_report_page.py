"""The report as a page: valid, accessible, with the numbers of the commands, and closed to whatever models wrote."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from judged_bench import ANSWERS, LABELS, QUESTIONS, answer, judgment, make_bench, write
from page_reader import ALLOWED, PageReader, tag, words
from training_bench import make_training

from arena_tui.invocation import Invocation
from arena_tui.output.curve_words import curve_words
from arena_tui.output.report.content import ReportContent, ReportRequest, gather
from arena_tui.output.report.page import html_page, policy, style_sheet
from arena_tui.output.report.plots import PlotPoint, forest_plot
from arena_tui.output.verdict import answer_words
from engine import audit, compare, curves, leaderboard
from engine.ratings.leaderboard import LeaderboardOptions

HOSTILE = (
    '"\'</pre></style></svg><script>alert("x")</script><img src=http://evil/x onerror=alert(1)> &lt;b&gt; {{ 7*7 }} '
    "$x^2$ \x1b[2J\x00\u202e\u2067 end"
)
PLAIN_PART = '<script>alert("x")</script>'  # of the text above, as a reader sees it
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def content_of(folder: Path, **changes: Any) -> ReportContent:
    invocation = Invocation(folder / "config.toml")
    source = invocation.open_source(None)
    options = LeaderboardOptions(baseline=source.baseline, weight=source.weight)
    return gather(ReportRequest(source=source, origin=invocation.config(keys=False), options=options, **changes))


def page_of(folder: Path, **changes: Any) -> PageReader:
    return PageReader("".join(html_page(content_of(folder, **changes), "2026-01-31 12:00 UTC")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("bench")
    make_bench(found)
    return found


@pytest.fixture(scope="module")
def page(folder: Path) -> PageReader:
    return page_of(folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> PageReader:
    """The page of a bench in which every text that somebody else may choose is hostile."""
    found = tmp_path_factory.mktemp("hostile")
    bench = make_bench(found)
    judge = UNSEEN.sub("", f"judge {HOSTILE}")
    model = f"evil {HOSTILE}"
    (found / "config.toml").write_text(
        f"bench = 'small'\n[judge]\nmodel = {toml(judge)}\nbaseline = 'base'\n[models.{toml(judge)}]\n"
        "endpoints = [{ base_url = 'http://127.0.0.1:9/v1' }]\n"
    )
    key = f"q4 {HOSTILE}"
    won = ("A>B", "B>A"), ("B>>A", "A>>B")
    write(bench / "question.jsonl", {"question_id": key, "category": HOSTILE, "turns": [{"content": HOSTILE}]})
    judgments = bench / "model_judgment"
    from engine.bench import Bench

    paths = Bench(bench).paths
    for name in (model, "good-model"):
        for question_id in (*QUESTIONS, key):
            if (name, question_id) not in LABELS:
                write(paths.answers(name), answer(name, question_id, HOSTILE))
            games = [{"user_prompt": "", "judgment": HOSTILE, "score": label} for label in won[name == model]]
            record = {"question_id": question_id, "model": name, "judge": judge, "games": games, "baseline": "base"}
            write(paths.judgments(judge, name), record)
    write(paths.answers("base"), answer("base", key, HOSTILE))
    assert judgments.is_dir()
    return page_of(found)


def toml(text: str) -> str:
    return '"' + "".join(char if char.isalnum() else f"\\u{ord(char):04x}" for char in text) + '"'


def test_the_answer_comes_first_in_words(page, folder):
    first = words(page.all("section")[0])
    lines = answer_words(leaderboard(Invocation(folder / "config.toml").config(keys=False)))
    assert lines
    assert first == " ".join(f"{line}." for line in lines)


def test_every_section_has_its_place_in_the_navigation(page):
    (nav,) = page.all("nav")
    targets = [each.get("href", "") for each in nav.iter() if tag(each) == "a"]
    sections = [
        each.get("aria-labelledby") for each in page.all("section") if each.get("aria-labelledby") != "warnings"
    ]
    assert [target.removeprefix("#") for target in targets] == [each for each in sections if each]
    for name in ("leaderboard", "pairs", "categories", "flips", "length", "judge", "examples", "method"):
        assert f"#{name}" in targets
        assert tag(page.by_id(name)) == "h2"


def test_its_numbers_are_those_of_the_commands(page, folder):
    config = Invocation(folder / "config.toml").config(keys=False)
    tables = page.tables()
    board = leaderboard(config)
    head, *rows = tables["Table of the scores"]
    at = {title: number for number, title in enumerate(head)}
    shown = {row[at["model"]]: row for row in rows}
    for row in board.rows:
        assert shown[row.model][at["score"]] == f"{row.score:.2f}"
        limits = "baseline" if row.model == "base" else f"[{row.lower:.2f}, {row.upper:.2f}]"
        assert shown[row.model][at["95% CI"]] == limits
    compared = compare(config)
    matrix = {row[1]: row[2:] for row in tables["Win rates of all pairs"][1:]}
    order = [model.model for model in compared.models]
    for pair in compared.pairs:
        cell = matrix[pair.model_a][order.index(pair.model_b)]
        assert cell.removeprefix("~") == f"{pair.won + pair.tied / 2:.0f}"
    found = audit(config)
    (verdicts,) = [row[2] for row in tables["Findings on the-judge"] if row[1] == "verdicts"]
    assert verdicts.startswith(f"{found.judges[0].verdicts.unparsed.value:.1f}%")
    assert f"of {found.judges[0].verdicts.games} games" in verdicts
    by_category = leaderboard(config, by="category")
    cells = {row[0]: row[1:] for row in tables["Scores by category"][1:]}
    for number, group in enumerate(by_category.groups):
        for row in group.rows:
            assert cells[row.model][number].startswith(f"{row.score:.1f}")


def test_an_example_shows_both_answers_and_what_the_judge_wrote(page):
    examples = page.all("article")
    assert examples
    text = "".join(words(each) for each in examples)
    assert "I compared both. My final verdict is: [[B>>A]]" in text
    assert "the-judge, game 2: good-model (A) against base (B): A>B" in text
    assert any(words(each) for each in page.all("pre"))
    assert {words(each) for each in page.all("h4")} >= {"good-model"}


def test_words_that_only_one_answer_has_are_marked(tmp_path):
    bench = make_bench(tmp_path)
    for model, word in (("base", "red"), ("good-model", "green"), ("bad-model", "blue")):
        text = f"The sky of the evening is {word} and the sea below it is calm and dark."
        write(bench / "model_answer" / f"{model}.jsonl", *(answer(model, key, text) for key in QUESTIONS))
    for model, key in LABELS:  # of the new texts
        record = judgment(model, key)
        record["games"] = [game | {"user_prompt": ""} for game in record["games"]]
        write(bench / "model_judgment" / "the-judge" / f"{model}.jsonl", record)
    marked = {words(each) for each in page_of(tmp_path).all("mark")}
    assert marked
    assert marked <= {"red", "green", "blue"}


def test_it_is_valid_html_and_its_parts_can_be_found_by_a_screen_reader(page):
    assert page.root.get("lang") == "en"
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
    levels = [int(tag(each)[1]) for each in page.all("h1", "h2", "h3", "h4")]
    assert all(after <= before + 1 for before, after in pairwise(levels)), "no level is skipped"
    ids = [each.get("id") for each in page.elements if each.get("id")]
    assert len(ids) == len(set(ids))
    for table in page.all("table"):
        assert any(tag(each) == "caption" and words(each) for each in table)
        heads = [each for each in table.iter() if tag(each) == "th"]
        assert all(each.get("scope") in ("col", "row") for each in heads)
        assert all(words(each) for each in heads)
        for row in table.iter():
            if tag(row) == "tr":
                assert sum(tag(cell) == "th" for cell in row) >= 1, "each row is named"
    for picture in page.all("svg"):
        assert picture.get("role") == "img"
        assert words(page.by_id(picture.get("aria-labelledby")))
    for element, name, value in page.attributes():
        if name == "href":
            assert page.by_id(value.removeprefix("#")) is not None
        if name in ("aria-labelledby", "for"):
            assert page.by_id(value) is not None
        if name == "tabindex":
            assert value == "0", "the order of the keyboard is that of the page"
        if element.get("role") == "region":
            assert words(page.by_id(element.get("aria-labelledby")))
    for choice in page.all("input"):
        assert choice.get("type") == "radio"
    for label in page.all("label"):
        assert [tag(each) for each in label] == ["input"]
        assert words(label)


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(page):
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    (shown,) = [each.get("content") for each in page.all("meta") if each.get("http-equiv")]
    assert shown == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert shown == policy(page.style)
    assert not re.search(r"@import|url\(|expression", page.style)
    refuse_active_parts(page)


def refuse_active_parts(page: PageReader) -> None:
    """No element, attribute or address that loads, runs or sends anything, or that the policy would forbid."""
    assert {tag(each) for each in page.elements} <= ALLOWED
    for _, name, value in page.attributes():
        assert not name.startswith("on")
        assert name not in ("style", "src", "srcset", "srcdoc", "action", "formaction", "background", "ping", "data")
        if name.endswith("href"):
            assert value.startswith("#")
        assert "url(" not in value or value.startswith("url(#")


def test_nothing_that_a_model_or_a_judge_wrote_becomes_markup(hostile):
    refuse_active_parts(hostile)
    assert not [value for _, _, value in hostile.attributes() if "alert" in value or "evil" in value or "q4" in value]
    assert not UNSEEN.search(hostile.page)
    assert "{{ 7*7 }}" in hostile.text, "no template is run twice"
    assert hostile.text.count(PLAIN_PART) > 10, "it can still be read"
    for place in ("h3", "h4", "th", "pre", "dd", "figcaption", "summary"):
        assert any(PLAIN_PART in words(each) for each in hostile.all(place)), place
    assert any(words(each).startswith("evil \"'</pre>") for each in hostile.all("text")), "shortened, as in all plots"


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colours(theme: int) -> dict[str, str]:
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style_sheet())
    return {name: pair[theme] for name, *pair in found}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_all_texts_have_enough_contrast_in_both_themes(theme):
    known = colours(theme)
    surfaces = ("back", "pane")
    pairs = [(text, surface) for text in ("text", "soft", "accent", "mark", "good", "care") for surface in surfaces]
    pairs += [("text", each) for each in ("better", "much-better", "worse", "much-worse", "own-words")]
    low = {pair: round(ratio, 2) for pair in pairs if (ratio := contrast(known[pair[0]], known[pair[1]])) < 4.5}
    assert low == {}
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_every_colour_of_the_page_and_of_its_plots_is_one_of_the_style_sheet(page):
    known = set(colours(0))
    rules = page.style.split("* { box-sizing", 1)[1]
    assert set(re.findall(r"var\(--([\w-]+)\)", page.style)) <= known
    assert not re.search(r"#[0-9a-f]{3,8}\b(?![\w-]*\s*[:{,)])", rules), "no colour beside the themes'"
    drawn = [value for element, name, value in page.attributes() if name in ("fill", "stroke", "color")]
    assert drawn
    for value in drawn:
        assert value == "none" or (value.startswith("var(--") and value[6:-1] in known), value


def test_the_theme_follows_the_system_and_can_be_chosen_without_a_script(page):
    assert "color-scheme: light dark" in page.style
    for theme in ("light", "dark"):
        assert f":root:has(#theme-{theme}:checked) {{ color-scheme: {theme}; }}" in page.style
        assert page.by_id(f"theme-{theme}").get("type") == "radio"
    assert "@media print" in page.style
    assert "script" not in {tag(each) for each in page.elements}


def test_many_models_make_a_page_of_bounded_size(tmp_path):
    bench = make_bench(tmp_path)
    names = [f"model-{number:02}" for number in range(50)]
    for number, name in enumerate(names):
        write(
            bench / "model_answer" / f"{name}.jsonl", *(answer(name, key, "word " * (number + 1)) for key in QUESTIONS)
        )
        for at, key in enumerate(QUESTIONS):
            record = judgment("good-model", key) | {"model": name}
            labels = ("B>A", "A>B") if (number + at) % 3 else ("A>B", "B>A")
            games = [{"user_prompt": "", "judgment": "said " * 400, "score": label} for label in labels]
            write(bench / "model_judgment" / "the-judge" / f"{name}.jsonl", record | {"games": games})
    found = page_of(tmp_path)
    assert len(found.page) < 1_000_000
    assert len(found.tables()["Table of the scores"]) == 1 + 50 + 3
    assert len(found.tables()["Win rates of all pairs"]) == 1 + 20
    assert "The 20 best of all models are compared" in found.text


def test_the_verdicts_alone_are_audited_where_texts_are_not_to_be_read(folder):
    found = page_of(folder, texts=False)
    assert "Only the verdicts were examined" in found.text
    topics = {row[1] for row in found.tables()["Findings on the-judge"]}
    assert {"verdicts", "ties", "position", "flips"} <= topics
    assert not topics & {"length", "format", "language", "own family"}


def test_only_the_models_that_were_named_are_shown(folder):
    found = page_of(folder, models=("good-model",))
    assert {row[1] for row in found.tables()["Table of the scores"][1:]} == {"good-model", "base"}
    assert "bad-model" not in found.text


def test_there_are_no_examples_if_none_are_wanted(folder):
    found = page_of(folder, examples=0)
    assert found.all("article") == []
    assert ANSWERS["bad-model"] not in found.text


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_reports_no_violation_of_the_policy(page, hostile, tmp_path):
    for number, each in enumerate((page, hostile)):
        assert messages(each.page, tmp_path / f"{number}.html") == []
    broken = page.page.replace("<h1>", '<h1 style="color: red">')
    assert any("Content Security Policy" in line for line in messages(broken, tmp_path / "broken.html"))


def messages(page: str, path: Path, run: Callable[..., Any] = subprocess.run) -> list[str]:
    """What the console of the browser says about a page."""
    path.write_text(page, "utf-8")
    profile = path.with_suffix(".profile")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    command += [f"--user-data-dir={profile}", "--dump-dom", path.as_uri()]
    done = run(command, capture_output=True, text=True, timeout=240, check=True, errors="replace")
    assert "<h1>" in done.stdout or "<h1 " in done.stdout
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_checkpoints_have_a_curve_with_the_numbers_of_the_command(tmp_path, page):
    make_training(tmp_path)
    found = page_of(tmp_path)
    report = curves(Invocation(tmp_path / "config.toml").config(keys=False))
    (curve,) = report.curves
    assert words(found.by_id("curve")) == "Over the steps of the training"
    for sentence in curve_words(curve):
        assert sentence[1:] in found.text
    head, *rows = found.tables()["Table of the checkpoints of run"]
    assert [row[head.index("step")] for row in rows] == [f"{point.step:,}" for point in curve.points]
    assert [row[head.index("score")] for row in rows] == [f"{point.score:.1f}" for point in curve.points]
    (picture,) = [each for each in found.all("svg") if each.get("aria-labelledby") == "curve-caption-0"]
    drawn = [value for _, name, value in found.attributes() if name in ("fill", "stroke")]
    assert all(value == "none" or value.startswith("var(--") for value in drawn)
    assert len(list(picture.iter())) > len(curve.points)
    refuse_active_parts(found)
    assert "curve" not in {each.get("id") for each in page.elements}, "absent where models have no steps"


def test_no_name_is_read_as_a_formula():
    point = PlotPoint("$x^2$ _a_ </text>", 60.0, 55.0, 65.0)
    drawn = forest_plot([point, PlotPoint("b", 50.0, 50.0, 50.0)], 50.0, "score", "caption")
    assert "$x^2$ _a_ &lt;/text&gt;" in drawn
    assert forest_plot([point], 50.0, "score", "caption") == forest_plot([point], 50.0, "score", "caption")
