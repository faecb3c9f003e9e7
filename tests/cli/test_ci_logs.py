"""In the log of a CI service, no name of a model or bench is a command, wherever the program writes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from engine.bench.layout import BenchPaths

NAMES = ("::stop-commands::t", "##[error]evil", "##vso[task.complete result=Failed]", "a ::add-mask::b")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A judged bench whose models have names that are commands, and a config that wants one more question."""
    paths = BenchPaths(tmp_path / "data" / "b")
    base, judge, *models = (*NAMES[:2], *NAMES)
    models = [name for name in models if name != base]
    for name in (base, *models):
        turns = [{"content": "::error::x", "token_len": 3}]
        append(paths.answers(name), {"question_id": "q0", "model_id": name, "choices": [{"index": 0, "turns": turns}]})
    for name in models:
        games = [{"user_prompt": "", "judgment": "[[A>B]]", "score": "A>B"}] * 2
        append(
            paths.judgments(judge, name),
            {"question_id": "q0", "model": name, "judge": judge, "games": games, "baseline": base},
        )
    for number in range(2):
        append(paths.questions, {"question_id": f"q{number}", "turns": [{"content": "why?"}], "category": NAMES[0]})
    entries = "".join(
        f'[models.{json.dumps(name)}]\nattempts = 1\nendpoints = [{{ base_url = "http://127.0.0.1:9/v1" }}]\n'
        for name in NAMES
    )
    chosen = f"[judge]\nmodel = {json.dumps(judge)}\nbaseline = {json.dumps(base)}\n"
    (tmp_path / "config.toml").write_text(f'bench = "b"\n{chosen}{entries}')
    return tmp_path


def append(path: Path, record: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(json.dumps(record) + "\n")


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--dry-run"),
        ("doctor",),
        *(("leaderboard", "--rounds", "10", "--by", "category", "--format", form) for form in
          ("table", "json", "csv", "markdown", "arena-hard")),
        *(("compare", NAMES[2], NAMES[3], "--rounds", "10", "--format", form) for form in ("table", "json")),
        *(("audit", "--rounds", "10", "--format", form) for form in ("table", "json", "markdown")),
        ("leaderboard", "--judge", "::error::nobody"),
        ("run", "--models", "::error::nobody"),
        ("export", "--to", "csv"),
    ],
)  # fmt: skip
def test_no_line_is_a_command(arena, home, command):
    done = arena(*command, cwd=home)
    written = done.stdout + done.stderr
    assert re.search("stop-commands|nobody|csv|base", written), written
    assert not [line for line in written.splitlines() if re.match(r"\s*::\S.*::|.*##(vso|teamcity)?\[", line)]
    assert "Traceback" not in written
