"""The program from outside: what it prints where, and what it exits with."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
from arena_program import ARENA, records

SAID_SIMULATED = "SIMULATED"

YAML_FILES = {
    "api_config.yaml": """\
small:
  model_name: small
  endpoints: [{api_base: http://localhost:8010/v1, api_key: secret-words}]
  api_type: openai
  parallel: 8
big:
  model_name: big
  endpoints: [{api_base: http://localhost:8020/v1, api_key: EMPTY}]
  api_type: openai
  parallel: 8
""",
    "gen_answer_config.yaml": """\
name: gen
bench_name: arena-hard-v0.1
temperature: 0.0
max_tokens: 4096
num_choices: 1
model_list: [small]
""",
    "judge_config.yaml": """\
name: judge
bench_name: arena-hard-v0.1
judge_model: big
baseline: true
baseline_model: base
pairwise: true
temperature: 0
max_tokens: 512
number_of_judgment_attempts: 3
regex_pattern: \\[\\[([AB<>=]+)\\]\\]
system_prompt: Judge.
prompt_template: ["{question_1} {answer_1} {answer_2}"]
model_list: [small]
""",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A finished demo: its data folder and what the program said."""
    data = tmp_path_factory.mktemp("demo") / "data"
    command = [*ARENA, "--data", str(data), "--demo", "--no-ui"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
    return data, done


def config_for(data: Path, url: str = "http://127.0.0.1:9/v1", more: str = "") -> Path:
    """A config beside the demo's bench, as a user would write one."""
    names = ("sim-baseline", "sim-strong", "sim-careful", "sim-verbose", "sim-weak", "sim-tiny", "sim-judge")
    tables = "".join(f'[models."{name}"]\nendpoints = [{{ base_url = "{url}" }}]\n' for name in names)
    path = data.parent / "config.toml"
    text = f'bench = "demo"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n{more}{tables}'
    path.write_text(text, "utf-8")
    return path


def test_the_demo_ends_in_a_leaderboard_and_says_that_it_is_simulated(demo):
    _, done = demo
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(SAID_SIMULATED) == 2
    scores = [line.split() for line in done.stdout.split("\n") if " sim-" in line]
    order = [line[1] for line in scores if line[0].isdecimal()]
    assert order == ["sim-strong", "sim-careful", "sim-verbose", "sim-baseline", "sim-weak", "sim-tiny"]


def test_the_demo_again_calls_nobody_and_prints_the_same_bytes(demo, arena):
    data, first = demo
    again = arena("--data", data, "--demo", "--no-ui")
    assert again.stdout == first.stdout
    assert "done: 0 calls" in again.stderr


def test_json_on_stdout_has_the_shape_of_the_contract(demo, arena):
    data, _ = demo
    done = arena("-c", config_for(data), "leaderboard", "--format", "json", "--rounds", 50, "--seed", 3)
    board = json.loads(done.stdout)
    assert {key: board[key] for key in ("bench", "judges", "baseline", "ci", "rounds", "seed", "weight")} == {
        "bench": "demo",
        "judges": ["sim-judge"],
        "baseline": "sim-baseline",
        "ci": "question",
        "rounds": 50,
        "seed": 3,
        "weight": 3,
    }
    keys = {"rank", "model", "score", "lower", "upper", "avg_tokens", "questions", "games", "unparsed", "missing"}
    assert all(set(row) == keys for row in board["rows"])
    (baseline,) = [row for row in board["rows"] if row["model"] == "sim-baseline"]
    assert (baseline["score"], baseline["lower"], baseline["upper"]) == (50.0, 50.0, 50.0)
    scores = [row["score"] for row in board["rows"]]
    assert scores == sorted(scores, reverse=True)


def test_other_formats_hold_the_same_scores(demo, arena):
    data, _ = demo
    config = config_for(data)
    board = json.loads(arena("-c", config, "leaderboard", "--format", "json").stdout)
    told = list(csv.DictReader(io.StringIO(arena("-c", config, "leaderboard", "--format", "csv").stdout)))
    assert [row["model"] for row in told] == [row["model"] for row in board["rows"]]
    original = arena("-c", config, "leaderboard", "--format", "arena-hard").stdout.split("\n")
    assert original[0].startswith("sim-strong".ljust(50) + " | score: ")
    assert "| 95% CI: " in original[0]
    assert "| average #tokens: " in original[0]
    markdown = arena("-c", config, "leaderboard", "--format", "markdown").stdout
    assert "| sim-strong |" in markdown


def test_a_misnamed_judge_is_told_and_never_passed_over_in_silence(demo, arena):
    data, _ = demo
    both = arena("-c", config_for(data), "leaderboard", "--judge", "sim-judge,sim-jugde")
    assert both.returncode == 0
    assert "no judgment by sim-jugde" in both.stderr
    alone = arena("-c", config_for(data), "leaderboard", "--judge", "sim-jugde")
    assert alone.returncode == 2
    assert "sim-judge" in alone.stderr


def test_saved_battles_give_the_same_leaderboard_again(demo, arena, tmp_path):
    data, _ = demo
    config, battles, rounds = config_for(data), tmp_path / "battles.jsonl", tmp_path / "rounds.jsonl"
    own = arena("-c", config, "leaderboard", "--format", "json", "--save-battles", battles, "--save-bootstrap", rounds)
    read = arena("leaderboard", "--battles", battles, "--baseline", "sim-baseline", "--format", "json", cwd=tmp_path)
    scores = [[(row["model"], row["score"]) for row in json.loads(done.stdout)["rows"]] for done in (own, read)]
    assert scores[0] == scores[1]
    assert len(records(rounds)) == 1000


def test_a_dry_run_says_what_a_run_then_does(demo, arena, simulator, tmp_path):
    data = tmp_path / "data"
    (data / "demo").mkdir(parents=True)
    questions = (demo[0] / "demo" / "question.jsonl").read_text("utf-8").split("\n")[:3]
    (data / "demo" / "question.jsonl").write_text("\n".join(questions) + "\n", "utf-8")
    config = config_for(data, simulator("--latency", "0"))
    planned = arena("-c", config, "run", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert not list(data.rglob("model_answer")), "a dry run makes nothing"
    done = arena("-c", config, "run", "--json")
    (calls,) = [line.split()[0] for line in planned.stdout.split("\n") if " calls; about " in line]
    assert f"done: {calls} calls" in done.stderr
    assert json.loads(done.stdout)["bench"] == "demo"
    assert "\n0 calls; about" in arena("-c", config, "run", "--dry-run").stdout


def test_ctrl_c_saves_says_how_to_go_on_and_exits_with_130(demo, start, simulator, arena, tmp_path):
    data = tmp_path / "data"
    (data / "demo").mkdir(parents=True)
    (data / "demo" / "question.jsonl").write_bytes((demo[0] / "demo" / "question.jsonl").read_bytes())
    config = config_for(data, simulator("--latency", "0.3"))
    process = start("-c", config, "run")
    answers = data / "demo" / "model_answer" / "sim-strong.jsonl"
    deadline = time.monotonic() + 30
    while not (answers.exists() and answers.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stdout == ""
    assert "run the same command to resume" in stderr
    saved = len(records(answers))
    rest = arena("-c", config, "run", "--json")
    assert rest.returncode == 0, rest.stderr
    assert len(records(answers)) == 48
    assert saved > 0


def test_every_problem_of_a_config_is_told_at_once_with_exit_code_2(arena, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(
        'bench = "b"\n[answers]\nmax_token = 5\n[judge]\nmodel = "nobody"\nbaseline = "base"\ntemperature = "hot"\n',
        "utf-8",
    )
    done = arena("-c", config, "run")
    assert done.returncode == 2
    assert done.stdout == ""
    for told in ("max_token", "max_tokens", "nobody", "judge.temperature"):
        assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-c", "nowhere.toml", "run"], "nowhere.toml"),
        (["run", "--limit", "0"], "--limit"),
        (["leaderboard", "--battles", "nowhere.jsonl"], "nowhere.jsonl"),
        (["import", "nowhere"], "nowhere"),
        (["flyy"], "flyy"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(arena, tmp_path, arguments, told):
    done = arena(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_calls_that_fail_for_good_make_exit_code_1_and_what_succeeded_is_kept(demo, arena, simulator, tmp_path):
    data = tmp_path / "data"
    (data / "demo").mkdir(parents=True)
    questions = (demo[0] / "demo" / "question.jsonl").read_text("utf-8").split("\n")[:2]
    (data / "demo" / "question.jsonl").write_text("\n".join(questions) + "\n", "utf-8")
    config = config_for(data, simulator("--latency", "0"))
    beyond_its_context = "max_tokens = 2000000\n"  # belongs to sim-judge, the last table
    config.write_text(config.read_text("utf-8") + beyond_its_context, "utf-8")
    done = arena("-c", config, "run")
    assert done.returncode == 1
    failures = records(data / "demo" / "errors.jsonl")
    assert {failure["stage"] for failure in failures} == {"judgments"}
    assert len(records(data / "demo" / "model_answer" / "sim-strong.jsonl")) == 2
    assert "errors.jsonl" in done.stderr


def test_the_originals_yaml_becomes_a_config_that_loads(arena, tmp_path):
    folder = tmp_path / "yaml"
    folder.mkdir()
    for name, text in YAML_FILES.items():
        (folder / name).write_text(text, "utf-8")
    done = arena("import", folder, "--output", tmp_path / "config.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "config.toml").read_text("utf-8")
    document = tomllib.loads(text)
    assert document["judge"]["baseline"] == "base"
    assert document["answers"]["models"] == ["small"]
    assert "secret-words" not in text + done.stdout + done.stderr


def test_doctor_tells_the_truth_about_a_server_that_is_not_there(demo, arena):
    data, _ = demo
    done = arena("-c", config_for(data), "doctor")
    assert done.returncode == 2
    assert "PROBLEM  endpoint of sim-judge" in done.stdout
    assert "48 questions" in done.stdout


def test_doctor_finds_nothing_wrong_where_a_run_would_work(demo, arena, simulator):
    data, _ = demo
    done = arena("-c", config_for(data, simulator()), "doctor")
    assert done.returncode == 0, done.stdout
    assert "a run has everything it needs" in done.stdout


def test_keys_are_in_no_file_and_on_no_screen(demo, arena, simulator, tmp_path):
    data = tmp_path / "data"
    (data / "demo").mkdir(parents=True)
    (data / "demo" / "question.jsonl").write_bytes((demo[0] / "demo" / "question.jsonl").read_bytes())
    config = config_for(data, "http://127.0.0.1:9/v1")
    text = config.read_text("utf-8").replace('/v1" }', '/v1", api_key = "${PLANTED}" }')
    config.write_text(text, "utf-8")
    secret = "planted-0123456789-secret"
    environment = os.environ | {"PLANTED": secret}
    said = [arena("-c", config, *command, env=environment) for command in (["run", "--wait", "0"], ["doctor"])]
    said.append(arena("-c", config, "run", "--dry-run", env=environment))
    assert not any(secret in done.stdout + done.stderr for done in said)
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_closed_pipe_is_no_error(demo, tmp_path):
    data, _ = demo
    command = f"{' '.join(ARENA)} -c {config_for(data)} leaderboard --format json | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr


def test_a_whole_clone_of_the_original_comes_in_at_once_its_config_and_its_benches(arena, tmp_path):
    clone = tmp_path / "clone"
    (clone / "config").mkdir(parents=True)
    for name, text in YAML_FILES.items():
        (clone / "config" / name).write_text(text, "utf-8")
    bench = clone / "data" / "arena-hard-v0.1"
    bench.mkdir(parents=True)
    (bench / "question.jsonl").write_text('{"question_id": "q", "turns": [{"content": "why?"}]}\n', "utf-8")
    done = arena("import", clone, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "config.toml").exists()
    assert (tmp_path / "data" / "arena-hard-v0.1" / "question.jsonl").exists()
    assert "1 questions" in done.stdout


def test_answers_of_another_program_come_in_with_their_questions(arena, tmp_path):
    (tmp_path / "my-model.csv").write_text("prompt,response\nWhy?,Because.\n", "utf-8")
    unnamed = arena("import", tmp_path / "my-model.csv", cwd=tmp_path)
    assert unnamed.returncode == 2
    assert "--name" in unnamed.stderr
    done = arena("import", tmp_path / "my-model.csv", "--name", "fresh", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "question.jsonl: 1 questions" in done.stdout
    assert len(records(tmp_path / "data" / "fresh" / "model_answer" / "my-model.jsonl")) == 1
