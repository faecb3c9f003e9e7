"""`arena-tui report` as its users meet it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from arena_program import ARENA
from test_export_command import CONFIG


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a judged bench and a config."""
    folder = tmp_path_factory.mktemp("home")
    command = [*ARENA, "--data", str(folder / "data"), "--demo", "--no-ui"]
    subprocess.run(command, capture_output=True, timeout=240, stdin=subprocess.DEVNULL, check=True)
    (folder / "config.toml").write_text(CONFIG)
    return folder


def test_a_page_is_written_and_named_with_the_scores_of_the_leaderboard(home, arena):
    done = arena("report", cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "demo-report.html\n"
    page = (home / "demo-report.html").read_text("utf-8")
    board = json.loads(arena("leaderboard", "--format", "json", cwd=home).stdout)
    for row in board["rows"]:
        assert row["model"] in page
        assert f"<td>{row['score']:.2f}</td>" in page
    assert page.count('role="img"') == 3
    assert page.count("<article") == 6
    assert arena("report", "--examples", "2", cwd=home).returncode == 0, "a report replaces a report"
    assert (home / "demo-report.html").read_text("utf-8").count("<article") == 2


def test_another_file_is_not_overwritten(home, arena, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    refused = arena("report", "--output", mine, cwd=home)
    assert refused.returncode == 2
    assert "exists" in refused.stderr
    assert "--force" in refused.stderr
    assert mine.read_text() == "mine"
    assert arena("report", "-o", mine, "--force", cwd=home).returncode == 0
    assert "<!DOCTYPE html>" in mine.read_text("utf-8")


def test_markdown_goes_to_stdout_and_the_page_does_on_request(home, arena, tmp_path):
    done = arena("report", "--format", "markdown", cwd=home)
    assert done.returncode == 0
    assert done.stdout.startswith("## demo\n\n**")
    assert "| sim-strong |" in done.stdout
    assert arena("report", "-o", "-", cwd=home).stdout.lstrip().startswith("<!DOCTYPE html>")
    written = arena("report", "--format", "markdown", "-o", tmp_path / "report.md", cwd=home)
    assert written.stdout == f"{tmp_path / 'report.md'}\n"
    same = re.sub(r"on \d{4}-.*UTC", "", done.stdout)
    assert re.sub(r"on \d{4}-.*UTC", "", (tmp_path / "report.md").read_text("utf-8")) == same


def test_a_file_of_battles_has_a_report_too(home, arena, tmp_path):
    saved = tmp_path / "battles.jsonl"
    assert arena("leaderboard", "--save-battles", saved, cwd=home).returncode == 0
    done = arena("report", "--battles", saved, "-o", tmp_path / "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "sim-strong" in page
    assert "<article" not in page
    assert "no examples: a file of battles has no texts" in done.stderr


def test_a_problem_is_reported_and_nothing_written(home, arena, tmp_path):
    done = arena("report", "--judge", "nobody", "-o", tmp_path / "x.html", cwd=home)
    assert done.returncode == 2
    assert not (tmp_path / "x.html").exists()
    unknown = arena("report", "--models", "sim-strnog", "-o", tmp_path / "x.html", cwd=home)
    assert unknown.returncode == 2
    assert "sim-strong" in unknown.stderr
    assert not (tmp_path / "x.html").exists()


def test_noise_is_shown_where_something_was_judged_again(home, arena, tmp_path):
    command = [*ARENA, "--data", str(tmp_path / "data"), "--demo", "run", "--repeats", "2x2", "--limit", "12"]
    subprocess.run(command, capture_output=True, timeout=240, stdin=subprocess.DEVNULL, check=True)
    (tmp_path / "config.toml").write_text(CONFIG)
    done = arena("report", "--format", "markdown", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(arena("noise", "--format", "json", cwd=tmp_path).stdout)
    assert found["rows"]
    (section,) = re.findall(r"<summary>Where the noise comes from</summary>(.*?)</details>", done.stdout, re.DOTALL)
    for row in found["rows"]:
        sources = " | ".join(f"{100 * each['share']:.0f}% ±{each['half_width']:.2f}" for each in row["sources"])
        assert f"| {row['model']} | ±{row['half_width']:.2f} | {sources} |" in section
    assert "Where the noise" not in arena("report", "--format", "markdown", cwd=home).stdout
