"""`export --to html`: the report with every judgment in full, as far as the page has room."""

from __future__ import annotations

from pathlib import Path

import pytest
from judged_bench import ANSWERS, LABELS, answer, judgment, make_bench, write
from page_reader import PageReader, words

from arena_tui.invocation import Invocation
from arena_tui.output.report.exporting import export_page
from arena_tui.output.report.judgments import Fold, judgment_folds
from engine.bench import Bench
from engine.errors import BenchError, UsageProblem
from engine.formats.selection import ExportChoice, Selection


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(make_bench(tmp_path))


def export(bench: Bench, out: Path, **options: bool) -> None:
    config = Invocation(bench.paths.root.parent.parent / "config.toml").config(keys=False)
    export_page(config, bench, ExportChoice(baseline="base", judges=("the-judge",)), out, **options)


def test_the_page_has_every_answer_and_what_the_judge_wrote_on_each(bench, tmp_path):
    export(bench, tmp_path / "page.html")
    page = PageReader((tmp_path / "page.html").read_text("utf-8"))
    shown = page.by_id("judgments")
    (section,) = [each for each in page.all("section") if shown in list(each)]
    text = words(section)
    for expected in (*ANSWERS.values(), "the-judge, game 2 (baseline is B): A>B", "no verdict"):
        assert " ".join(expected.split()) in text
    titles = [words(each) for each in section.iter() if str(each.tag).endswith("summary")]
    assert len(titles) == 3 + len(LABELS)
    assert "q1 science" in titles


def test_a_page_that_would_be_too_large_says_what_it_leaves_out(bench):
    whole = list(judgment_folds(Selection(bench, ExportChoice(baseline="base"))))
    assert len(whole) == 3
    assert isinstance(whole[0], Fold)
    room = whole[0].size + 10
    part = list(judgment_folds(Selection(bench, ExportChoice(baseline="base")), most_text=room))
    assert part[0] == whole[0]
    assert "2 more questions are not shown" in part[1]


def test_a_report_replaces_a_report_and_nothing_else(bench, tmp_path):
    out = tmp_path / "page.html"
    export(bench, out)
    before = out.read_text("utf-8")
    write(bench.paths.answers("new-model"), answer("new-model", "q1", "Something new."))
    record = judgment("good-model", "q1") | {"model": "new-model"}
    games = [game | {"user_prompt": ""} for game in record["games"]]
    write(bench.paths.judgments("the-judge", "new-model"), record | {"games": games})
    export(Bench(bench.paths.root), out)
    assert "new-model" in out.read_text("utf-8")
    assert "new-model" not in before
    mine = tmp_path / "mine.html"
    mine.write_text("<!DOCTYPE html>\n<title>mine</title>")
    with pytest.raises(UsageProblem, match="exists"):
        export(bench, mine)
    assert "mine" in mine.read_text()
    export(bench, mine, force=True)
    assert "good-model" in mine.read_text()


def test_nothing_is_written_without_judgments(bench, tmp_path):
    config = Invocation(bench.paths.root.parent.parent / "config.toml").config(keys=False)
    choice = ExportChoice(baseline="good-model", judges=("the-judge",))
    with pytest.raises(BenchError, match="no judgment"):
        export_page(config, bench, choice, tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_the_scores_are_against_the_baseline_that_was_chosen(bench, tmp_path):
    for key in (key for model, key in LABELS if model == "good-model"):
        record = judgment("good-model", key) | {"model": "base", "baseline": "bad-model"}
        games = [game | {"user_prompt": ""} for game in record["games"]]
        write(bench.paths.judgments("the-judge", "base"), record | {"games": games})
    config = Invocation(bench.paths.root.parent.parent / "config.toml").config(keys=False)
    choice = ExportChoice(baseline="bad-model", judges=("the-judge",))
    export_page(config, bench, choice, tmp_path / "page.html")
    page = PageReader((tmp_path / "page.html").read_text("utf-8"))
    assert "baseline bad-model" in page.text
