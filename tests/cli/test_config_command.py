"""`arena-tui config`: what counts and where it comes from, every problem at once, and changes that keep the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import tomli

from arena_tui.completing import SCHEMA
from arena_tui.starters import write_first_config

Arena = Callable[..., "CompletedProcess[str]"]
SECRET = "sk-planted-0123456789abcdef"
CONFIG = """#:schema ./config.schema.json
bench = "small"          # the bench
[judge]
model = "big"
baseline = "base"
max_tokens = 512         # of one reply
[models.big]
endpoints = [{ base_url = "http://localhost:9/v1", api_key = "${JUDGE_KEY}" }]
extra_body = { token = "sk-planted-in-a-field-0123456789" }
[models.base]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    (bench / "question.jsonl").write_text('{"question_id": "q", "turns": [{"content": "?"}]}\n')
    return tmp_path


def test_show_is_toml_that_says_where_each_value_comes_from_and_never_a_key(arena: Arena, home: Path):
    environ = os.environ | {"JUDGE_KEY": SECRET, "ARENA_TUI_JUDGE__RETRIES": "7"}
    done = arena("--set", "models.big.rate=2", "config", "show", "--data", "elsewhere", cwd=home, env=environ)
    assert done.returncode == 0, done.stderr
    origins = dict(tuple(part.strip() for part in line.split("  # ")) for line in done.stdout.splitlines())
    assert origins["judge.max_tokens = 512"] == "config.toml"
    assert origins["judge.retries = 7"] == "ARENA_TUI_JUDGE__RETRIES"
    assert origins["models.big.rate = 2.0"] == "--set"
    assert origins['data = "elsewhere"'] == "--data"
    assert origins['judge.verdict = "text"'] == "default"
    document = tomli.loads(done.stdout)
    assert document["models"]["big"]["endpoints"] == [{"base_url": "http://localhost:9/v1", "api_key": "[key]"}]
    assert "planted" not in done.stdout + done.stderr


def test_show_without_defaults_of_some_tables_as_json(arena: Arena, home: Path):
    done = arena("config", "show", "judge", "models.big.endpoints", "--changed", "--json", cwd=home)
    assert json.loads(done.stdout) == {
        "file": "config.toml",
        "values": {
            "judge.model": {"value": ["big"], "from": "config.toml"},
            "judge.baseline": {"value": ["base"], "from": "config.toml"},
            "judge.max_tokens": {"value": 512, "from": "config.toml"},
            "models.big.endpoints": {"value": [{"base_url": "http://localhost:9/v1"}], "from": "config.toml"},
        },
    }
    unknown = arena("config", "show", "jugde", cwd=home)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert 'jugde: no such key in the config\n  did you mean "judge"?' in unknown.stderr


def test_check_reports_every_problem_at_once(arena: Arena, home: Path):
    well = arena("config", "check", cwd=home, env=os.environ | {"JUDGE_KEY": SECRET})
    assert (well.returncode, well.stdout) == (0, "config.toml: no problems\n")
    (home / "config.toml").write_text(CONFIG.replace('"small"', '"gone"').replace("512", "0") + "rat = 1\n")
    done = arena("config", "check", cwd=home)
    assert (done.returncode, done.stdout) == (2, "")
    for problem in ("4 problems", "no bench 'gone'", "judge.max_tokens", "JUDGE_KEY is not set", "models.base.rat"):
        assert problem in done.stderr
    listed = json.loads(arena("config", "check", "--json", cwd=home).stdout)["problems"]
    assert [each["key"] for each in listed][1:] == [
        "judge.max_tokens",
        "models.big.endpoints[0].api_key",
        "models.base.rat",
    ]
    assert listed[3]["hint"] == 'did you mean "rate"?'


def test_set_changes_one_value_and_keeps_comments_layout_and_permissions(arena: Arena, home: Path):
    file = home / "config.toml"
    file.chmod(0o600)
    done = arena("config", "set", "judge.max_tokens", "256", cwd=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "config.toml: judge.max_tokens = 256\n")
    assert file.read_text("utf-8") == CONFIG.replace("512", "256")
    assert file.stat().st_mode & 0o777 == 0o600
    assert arena("config", "set", "models.big.top_k", "-1", cwd=home).returncode == 0
    assert tomli.loads(file.read_text("utf-8"))["models"]["big"]["top_k"] == -1
    assert [path.name for path in home.iterdir()].count("config.toml") == 1


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("judge.max_tokens", "0", "config.toml: not changed: 1 problem\n  judge.max_tokens: must be at least 1, not 0"),
        ("judge.max_token", "9", 'judge.max_token: unknown key (did you mean "max_tokens"?)'),
        ("judge.model", "big2", 'judge.model: unknown model "big2"'),
        ("models.bigg.rate", "1", "models.bigg: no such model in the config"),
        ("judge..x", "1", '"judge..x" is no key of a config'),
        ("models.big.endpoints[0].api_key", SECRET, "keys stay in the environment"),
        ("judge.max_tokens", "[1", "VALUE for judge.max_tokens: the value is not TOML"),
    ],
)
def test_what_would_be_wrong_is_not_written(arena: Arena, home: Path, key: str, value: str, says: str):
    done = arena("config", "set", key, value, cwd=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "planted" not in done.stderr
    assert (home / "config.toml").read_text("utf-8") == CONFIG


def test_a_config_with_other_problems_can_be_mended_one_by_one(arena: Arena, home: Path):
    file = home / "config.toml"
    file.write_text(CONFIG.replace("512", "0") + "rate = -1\n")
    assert arena("config", "set", "judge.max_tokens", "9", cwd=home).returncode == 0
    assert arena("config", "set", "models.base.rate", "9", cwd=home).returncode == 0
    assert arena("config", "check", cwd=home, env=os.environ | {"JUDGE_KEY": SECRET}).returncode == 0


def test_set_says_where_another_value_wins(arena: Arena, home: Path):
    done = arena("config", "set", "judge.retries", "5", cwd=home, env=os.environ | {"ARENA_TUI_JUDGE__RETRIES": "7"})
    assert done.returncode == 0
    assert "note: ARENA_TUI_JUDGE__RETRIES is set and wins over the file" in done.stderr


def test_a_link_to_a_config_stays_a_link(arena: Arena, home: Path):
    (home / "config.toml").rename(home / "shared.toml")
    (home / "config.toml").symlink_to("shared.toml")
    assert arena("config", "set", "judge.max_tokens", "256", cwd=home).returncode == 0
    assert (home / "config.toml").is_symlink()
    assert (home / "shared.toml").read_text("utf-8") == CONFIG.replace("512", "256")


def test_the_schema_is_printed_without_a_config(arena: Arena, tmp_path: Path):
    done = arena("config", "schema", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["properties"]["judge"] == {"$ref": "#/$defs/JudgeConfig"}


@pytest.mark.parametrize("command", ["show", "check", "set judge.retries 1"])
def test_a_missing_config_is_said_as_elsewhere(arena: Arena, tmp_path: Path, command: str):
    done = arena("config", *command.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert "config.toml: no such file" in done.stderr


def test_a_first_config_names_the_schema_that_is_written_beside_it(tmp_path: Path):
    write_first_config(tmp_path / "config.toml", None)
    assert (tmp_path / "config.toml").read_text("utf-8").startswith("#:schema ./config.schema.json\n")
    assert (tmp_path / "config.schema.json").read_bytes() == SCHEMA.read_bytes()
