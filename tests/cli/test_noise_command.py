"""`run --repeats`, killed and resumed, then `noise` and `plan --half-width`, as a user calls them."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.simulator import demo_cast, running_simulator

ARENA = [sys.executable, "-m", "arena_tui"]
QUESTIONS = 40
CONFIG = """
bench = "noisy"
[answers]
models = ["sim-baseline", "sim-strong", "sim-weak"]
temperature = 1.0
[judge]
model = "sim-judge"
baseline = "sim-baseline"
temperature = 2.0
[models]
"""


def write_bench(folder: Path, url: str) -> None:
    entry = f'{{ endpoints = [{{ base_url = "{url}/v1" }}], parallel = 8, price = {{ input = 1.0, output = 4.0 }} }}\n'
    names = ("sim-baseline", "sim-strong", "sim-weak", "sim-judge")
    (folder / "config.toml").write_text(CONFIG + "".join(f"{name} = {entry}" for name in names), "utf-8")
    questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n} + {n}?"}]} for n in range(QUESTIONS)]
    file = folder / "data" / "noisy" / "question.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(each) + "\n" for each in questions), "utf-8")


async def arena(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *ARENA, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def repeats(folder: Path, model: str) -> list[dict[str, Any]]:
    file = folder / "data" / "noisy" / "judgment_repeats" / "sim-judge" / f"{model}.jsonl"
    return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]] if file.exists() else []


async def test_a_killed_run_with_repeats_resumes_and_its_noise_is_split_and_planned_with(tmp_path: Path):
    async with running_simulator(msgspec.structs.replace(demo_cast(), latency=0.02)) as url:
        write_bench(tmp_path, url)
        killed = await asyncio.create_subprocess_exec(
            *ARENA,
            "run",
            "--repeats",
            "3",
            cwd=tmp_path,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(120):
            while len(repeats(tmp_path, "sim-weak")) < 10:
                assert killed.returncode is None
                await asyncio.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        await killed.wait()
        kept = repeats(tmp_path, "sim-weak")
        code, _, err = await arena(tmp_path, "run", "--repeats", "3")
        assert code == 0, err
        for model in ("sim-strong", "sim-weak"):
            made = Counter((r["question_id"], r.get("choice", 0), r.get("repeat", 0)) for r in repeats(tmp_path, model))
            assert len(made) == 4 * QUESTIONS
            assert set(made.values()) == {1}
        assert repeats(tmp_path, "sim-weak")[: len(kept)] == kept, "what was saved before the kill is kept"

    code, out, err = await arena(tmp_path, "noise", "--format", "json")
    assert code == 0, err
    report = json.loads(out)
    assert [(row["model"], row["answers"], row["judgments"]) for row in report["rows"]] == [
        ("sim-strong", 3.0, 5.0),
        ("sim-weak", 3.0, 5.0),
    ]
    for row in report["rows"]:
        assert [each["source"] for each in row["sources"]] == ["questions", "answers", "judge"]
        assert sum(each["share"] for each in row["sources"]) == pytest.approx(1.0)
    code, out, _ = await arena(tmp_path, "noise", "sim-strong", "sim-weak")
    assert code == 0
    assert "sim-strong against sim-weak: ±" in out

    code, out, err = await arena(tmp_path, "plan", "--half-width", "4", "--format", "json")
    assert code == 0, err
    plan = json.loads(out)
    assert plan["questions_in_set"] == QUESTIONS
    assert plan["mixes"][0]["name"] == "cheapest"
    assert all(mix["half_width"] <= 4.0 and mix["cost"] > 0.0 and mix["seconds"] > 0.0 for mix in plan["mixes"])


async def test_components_that_are_given_need_no_judgments(tmp_path: Path):
    write_bench(tmp_path, "http://127.0.0.1:9")
    code, out, _ = await arena(tmp_path, "plan", "--half-width", "3", "--components", "15,15,40")
    assert code == 0
    assert "The cheapest mix: `arena-tui run --repeats 1x" not in out, "the set has fewer questions than it needs"
    assert f"The set has {QUESTIONS} questions" in out
    code, _, err = await arena(tmp_path, "plan", "--components", "15,15,40")
    assert (code, "belong to --half-width" in err) == (2, True)
    code, _, err = await arena(tmp_path, "plan", "--half-width", "3", "--components", "1,2")
    assert (code, "not three numbers" in err) == (2, True)
    code, _, err = await arena(tmp_path, "noise")
    assert code == 2
