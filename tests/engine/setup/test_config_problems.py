"""All problems of a config and its bench are found at once."""

from __future__ import annotations

from pathlib import Path

from engine.setup.problems import config_problems

CONFIG = """
bench = "absent"
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{ base_url = "htp:/localhost:8000", api_key = "${KEY_THAT_IS_NOT_SET}" }]
"""


def test_a_missing_bench_a_bad_url_and_an_unset_key_are_reported_together(tmp_path: Path):
    file = tmp_path / "config.toml"
    file.write_text(CONFIG)
    (tmp_path / "data" / "absenty").mkdir(parents=True)
    (tmp_path / "data" / "absenty" / "question.jsonl").write_text('{"question_id": "1"}\n')
    problems = config_problems(file, environ={})
    assert [problem.key for problem in problems] == [
        "bench",
        "models.judge.endpoints[0].api_key",
        "models.judge.endpoints[0].base_url",
    ]
    assert "did you mean 'absenty'?" in problems[0].hint
    without_keys = config_problems(file, environ={}, keys=False)
    assert len(without_keys) == 2
    named = config_problems(file, tmp_path / "data", {"KEY_THAT_IS_NOT_SET": "x"}, bench="absenty")
    assert [problem.key for problem in named] == ["models.judge.endpoints[0].base_url"]


def test_a_file_that_is_no_toml_has_that_problem_alone(tmp_path: Path):
    file = tmp_path / "config.toml"
    file.write_text("bench = \n")
    assert [problem.key for problem in config_problems(file)] == ["TOML"]
    assert [problem.key for problem in config_problems(tmp_path / "none.toml")] == ["file"]
