"""The whole job on a real vLLM server: `arena-tui` as a user starts it, real HTTP, real files.

The model has random weights, so its answers are noise. It judges only because the server constrains what it may say:
vLLM's structured output for the judge that gives verdicts, nothing for the one that rambles.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.vllm

REPOSITORY = Path(__file__).resolve().parents[2]
QUESTIONS = 4

CONFIG = """
bench = "starter-en"

[answers]
models = ["north", "south"]
max_tokens = 48

[judge]
model = "judge"
baseline = "north"
max_tokens = 48

[models.north]
endpoints = [{{ base_url = "{url}/v1" }}]

[models.south]
system_prompt = "You are the other one."
endpoints = [{{ base_url = "{url}/v1" }}]

[models.judge]
endpoints = [{{ base_url = "{url}/v1" }}]
"""

VERDICTS_ONLY = """
[models.judge.extra_body.structured_outputs]
choice = ["[[A>>B]]", "[[A>B]]", "[[A=B]]", "[[B>A]]", "[[B>>A]]"]
"""


@dataclass(frozen=True)
class Finished:
    """A run that came to its end: where, how, and how many requests the server finished for it."""

    folder: Path
    process: subprocess.CompletedProcess[str]
    calls: int

    @property
    def board(self) -> dict[str, Any]:
        """The leaderboard, of a run that ended well."""
        assert self.process.returncode == 0, self.process.stderr
        board: dict[str, Any] = json.loads(self.process.stdout)
        return board

    @property
    def bench(self) -> Path:
        return self.folder / "data" / "starter-en"

    @property
    def turns(self) -> int:
        """How many turns, and so how many calls, one model's answers took."""
        return sum(len(answer["choices"][0]["turns"]) for answer in self.records("model_answer/north.jsonl"))

    def records(self, file: str) -> list[dict[str, Any]]:
        text = (self.bench / file).read_text("utf-8")
        assert text.endswith("\n"), f"{file} has a torn last line"
        return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


def arena_tui(folder: Path, url: str) -> Finished:
    """`arena-tui --no-ui run` on the config in `folder`, however it ends."""
    before = finished_requests(url)
    command = [sys.executable, "-m", "arena_tui", "-c", folder / "config.toml", "--no-ui", "run", "--json"]
    done = subprocess.run(
        [*command, "--limit", str(QUESTIONS)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(folder, done, finished_requests(url) - before)


def workspace(folder: Path, config: str) -> Path:
    """`folder`, made to hold a config and the English starter questions."""
    bench = folder / "data" / "starter-en"
    bench.mkdir(parents=True)
    (bench / "question.jsonl").write_bytes((REPOSITORY / "data/starter-en/question.jsonl").read_bytes())
    (folder / "config.toml").write_text(config, "utf-8")
    return folder


def finished_requests(url: str) -> int:
    """How many requests the server says it has finished since it started."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as reply:
        metrics = reply.read().decode()
    counts = re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", metrics, re.MULTILINE)
    assert counts, "the server does not count its requests"
    return int(sum(map(float, counts)))


@pytest.fixture(scope="module")
def judged(vllm_url: str, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A first run, whose judge can say nothing but verdicts."""
    folder = workspace(tmp_path_factory.mktemp("judged"), CONFIG.format(url=vllm_url) + VERDICTS_ONLY)
    return arena_tui(folder, vllm_url)


@pytest.mark.parametrize("model", ["north", "south"])
def test_every_question_is_answered_and_the_record_tells_how(judged: Finished, model: str) -> None:
    answers = judged.records(f"model_answer/{model}.jsonl")
    assert len({answer["question_id"] for answer in answers}) == len(answers) == QUESTIONS
    for answer in answers:
        (choice,) = answer["choices"]
        assert all(turn["content"] for turn in choice["turns"])
        assert 0 < answer["usage"]["completion_tokens"] <= 48 * len(choice["turns"])
        assert answer["finish_reason"] in {"stop", "length"}


def test_both_games_of_every_question_hold_the_verdict_that_the_judge_gave(judged: Finished) -> None:
    judgments = judged.records("model_judgment/judge/south.jsonl")
    answered = {answer["question_id"] for answer in judged.records("model_answer/south.jsonl")}
    assert {judgment["question_id"] for judgment in judgments} == answered
    assert len(judgments) == QUESTIONS
    for judgment in judgments:
        assert len(judgment["games"]) == 2
        for game in judgment["games"]:
            assert game["judgment"] == f"[[{game['score']}]]"


def test_every_turn_of_a_question_is_asked_and_answered(judged: Finished) -> None:
    turns_asked = {question["question_id"]: len(question["turns"]) for question in judged.records("question.jsonl")}
    for answer in judged.records("model_answer/south.jsonl"):
        assert len(answer["choices"][0]["turns"]) == turns_asked[answer["question_id"]]


def test_no_call_was_made_twice_and_none_failed(judged: Finished) -> None:
    assert judged.calls == 2 * judged.turns + 2 * QUESTIONS  # two models answer, and each judgment is two games
    assert not (judged.bench / "errors.jsonl").exists()


def test_the_leaderboard_rates_the_model_against_the_baseline(judged: Finished) -> None:
    rows = {row["model"]: row for row in judged.board["rows"]}
    assert set(rows) == {"north", "south"}
    assert [rows["north"][limit] for limit in ("lower", "score", "upper")] == [50.0, 50.0, 50.0]
    south = rows["south"]
    assert (south["questions"], south["games"], south["unparsed"]) == (QUESTIONS, 2 * QUESTIONS, 0)
    assert south["lower"] <= south["score"] <= south["upper"]


def test_a_second_run_asks_the_server_nothing_and_changes_nothing(judged: Finished, vllm_url: str) -> None:
    files = {file: file.read_bytes() for file in judged.bench.rglob("*.jsonl")}
    again = arena_tui(judged.folder, vllm_url)
    assert again.calls == 0
    assert again.board == judged.board
    assert {file: file.read_bytes() for file in judged.bench.rglob("*.jsonl")} == files


def test_a_judge_that_only_rambles_is_asked_again_and_no_verdict_is_made_up(vllm_url: str, tmp_path: Path) -> None:
    rambled = arena_tui(workspace(tmp_path, CONFIG.format(url=vllm_url)), vllm_url)
    games = [game for line in rambled.records("model_judgment/judge/south.jsonl") for game in line["games"]]
    assert len(games) == 2 * QUESTIONS
    assert {game.get("score") for game in games} == {None}
    assert {game["asks"] for game in games} == {3}  # judge.retries
    assert rambled.calls == 2 * rambled.turns + 3 * 2 * QUESTIONS
    assert "no game between two models has a label" in rambled.process.stderr
    assert not rambled.process.stdout, "there is nothing to rate"
