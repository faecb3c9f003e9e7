"""`arena-tui audit` and `leaderboard --style` from outside, on a bench that the simulated server made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arena_program import ARENA

Arena = Callable[..., subprocess.CompletedProcess[str]]
NAMES = ("sim-baseline", "sim-strong", "sim-verbose", "sim-judge")


@pytest.fixture(scope="module")
def judged(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The config of a finished run of two models on 12 questions, with the server still there."""
    root = tmp_path_factory.mktemp("audited")
    simulator = subprocess.Popen(
        [*ARENA, "simulate", "--port", "0", "--latency", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert simulator.stdout is not None
        url = simulator.stdout.readline().strip()
        bench = root / "data" / "small"
        bench.mkdir(parents=True)
        lines = (starter / "starter-ru" / "question.jsonl").read_text("utf-8").split("\n")[:12]
        (bench / "question.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        tables = "".join(f'[models."{name}"]\nendpoints = [{{ base_url = "{url}" }}]\n' for name in NAMES)
        config = root / "config.toml"
        config.write_text(
            f'bench = "small"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n{tables}', "utf-8"
        )
        subprocess.run([*ARENA, "-c", str(config), "run"], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        yield config
    finally:
        simulator.kill()
        simulator.communicate()


def test_the_audit_is_a_page_on_stdout_and_asks_nobody(arena: Arena, judged: Path) -> None:
    done = arena("-c", judged, "audit", "--rounds", "100")
    assert done.returncode == 0, done.stderr
    assert "sim-judge  --  trust: " in done.stdout
    assert "Not tested; --probe" in done.stdout
    assert done.stderr == ""


def test_probe_and_repeat_ask_the_judge_and_store_the_probe_alone(arena: Arena, judged: Path) -> None:
    before = {path: path.read_bytes() for path in judged.parent.rglob("*.jsonl")}
    done = arena(
        "-c", judged, "audit", "--probe", "--repeat", "2", "--sample", "4", "--format", "json", "--rounds", "50"
    )
    assert done.returncode == 0, done.stderr
    (judge,) = json.loads(done.stdout)["judges"]
    assert [probe["games"] + probe["unparsed"] for probe in judge["probes"]] == [8, 8, 8]
    assert judge["probes"][0]["points"]["value"] < 50
    assert (judge["repeats"]["games"], judge["repeats"]["times"]) == (4, 2)
    assert judge["repeats"]["same_label"]["value"] == 100.0
    after = {path: path.read_bytes() for path in judged.parent.rglob("*.jsonl")}
    stored = after.pop(judged.parent / "data" / "small" / "probes.jsonl")
    assert after == before
    record = json.loads(stored)
    assert (record["judge"], len(record["compared"]), len(record["probes"])) == ("sim-judge", 4, 3)
    assert record["settings"] in before[judged.parent / "data" / "small" / "settings.jsonl"].decode()
    board = json.loads(arena("-c", judged, "leaderboard", "--format", "json").stdout)
    assert [each["answer"] for each in board["known_bad"]] == [probe["name"] for probe in judge["probes"]]
    assert "answers that must lose score at most" in arena("-c", judged, "leaderboard").stdout


def test_style_is_controlled_by_words_and_told_in_the_headline(arena: Arena, judged: Path) -> None:
    done = arena("-c", judged, "leaderboard", "--style", "length", "--rounds", "50")
    assert done.returncode == 0, done.stderr
    assert "style controlled: length" in done.stdout
    assert "same style" in done.stdout
    both = arena("-c", judged, "leaderboard", "--style", "markdown,length", "--rounds", "50", "--format", "json")
    board = json.loads(both.stdout)
    assert board["style"]["words"] == ["length", "markdown"]
    assert all("same_style" in row for row in board["rows"])
    plain = json.loads(arena("-c", judged, "leaderboard", "--rounds", "50", "--format", "json").stdout)
    assert "style" not in plain
    assert all("same_style" not in row for row in plain["rows"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("leaderboard", "--style", "lenght"), "lenght"),
        (("leaderboard", "--style", ""), "length, markdown"),
        (("leaderboard", "--style", "length", "--ci", "battle"), "resample questions"),
        (("audit", "--repeat", "1"), "--repeat"),
        (("audit", "--judge", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_2(
    arena: Arena, judged: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = arena("-c", judged, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_published_battles_are_audited_without_a_config(arena: Arena, tmp_path: Path) -> None:
    rows = [
        {"question_id": f"q{number}", "model_a": "base", "model_b": "m", "winner": winner}
        for number in range(40)
        for winner in ("model_a", "model_b" if number % 4 == 0 else "model_a")
    ]
    path = tmp_path / "battles.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    done = arena("audit", "--battles", path, "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (judge,) = json.loads(done.stdout)["judges"]
    assert judge["position"]["flips"]["value"] == 25.0
    assert judge["language"] is None
    refused = arena("audit", "--battles", path, "--probe", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--battles" in refused.stderr
