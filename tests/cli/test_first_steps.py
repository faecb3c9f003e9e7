"""What the program says around a first config: the step after an import, all problems at once, the user's editor."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from arena_program import ARENA
from pty_terminal import Terminal

Arena = Callable[..., "CompletedProcess[str]"]
CONFIG = """
bench = "{bench}"
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{{ base_url = "{url}", api_key = "${{KEY_THAT_IS_NOT_SET}}" }}]
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A bench as it is downloaded."""
    bench = tmp_path / "clone" / "arena-hard"
    bench.mkdir(parents=True)
    (bench / "question.jsonl").write_text('{"question_id": "1", "category": "c", "turns": [{"content": "Why?"}]}\n')
    return bench


def test_an_import_names_the_next_step(arena: Arena, tmp_path: Path, clone: Path):
    done = arena("import", clone, cwd=tmp_path)
    assert done.returncode == 0
    assert "next: `arena-tui` finds servers" in done.stderr
    assert "next:" not in done.stdout
    (tmp_path / "config.toml").write_text(CONFIG.format(bench="other", url="http://localhost:1/v1"))
    assert 'next: set bench = "arena-hard" in config.toml' in arena("import", clone, cwd=tmp_path).stderr
    (tmp_path / "config.toml").write_text(CONFIG.format(bench="arena-hard", url="http://localhost:1/v1"))
    assert "next: `arena-tui run --dry-run`" in arena("import", clone, cwd=tmp_path).stderr


@pytest.mark.parametrize("command", [["run"], ["doctor"], ["run", "--dry-run"]], ids=" ".join)
def test_a_missing_bench_a_bad_url_and_an_unset_key_are_reported_together(arena: Arena, tmp_path: Path, command):
    (tmp_path / "config.toml").write_text(CONFIG.format(bench="absent", url="htp:/localhost"))
    done = arena(*command, cwd=tmp_path)
    assert done.returncode == 2
    said = done.stdout + done.stderr
    for words in ("no bench 'absent'", "base_url: must be an address", "KEY_THAT_IS_NOT_SET is not set"):
        assert words in said, words


def test_the_config_is_edited_with_the_editor_of_the_user_and_read_again(tmp_path: Path, clone: Path):
    (tmp_path / "data").mkdir()
    clone.rename(tmp_path / "data" / "arena-hard")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(bench="arena-hard", url="http://localhost:1/v1"))
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys\n"
        "input('EDITOR OPEN')\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "if '[models.base]' not in file.read_text():\n"
        "    file.write_text(file.read_text() + '[models.base]\\nendpoints = [{base_url = \"http://localhost:1/v1\"}]\\n')\n"
        "else:\n"
        "    file.write_text(file.read_text().replace('[judge]', '[judge]\\nmax_tokens = 7'))\n"
    )
    window = Terminal(ARENA, tmp_path, EDITOR=f"{sys.executable} {editor}", VISUAL="")
    try:
        window.wait_for("1 problem", "baseline", "e opens the file in your editor")
        window.press("e")
        window.wait_for("EDITOR OPEN")
        window.press("enter")
        window.wait_for("arena-hard", "Plan:")
        window.press("e")
        window.wait_for("EDITOR OPEN")
        window.press("enter")
        window.wait_for("read config.toml again", "Plan:")
        window.press("q")
        assert window.ended() == 0
    finally:
        window.close()
    assert "max_tokens = 7" in config.read_text()
