"""`gate` as a CI job meets it: exit codes, stored results, refusals, and a summary in Markdown."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from arena_tui.cli import main
from engine.bench.digest import inputs_digest
from engine.labels import Label
from engine.records import AnswerRecord, Choice, Game, JudgmentRecord, Turn

QUESTIONS = 60
CONFIG = """\
bench = "tiny"
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{ base_url = "http://localhost:1/v1" }]
"""
Arena = Callable[..., tuple[int, str, str]]


class Desk:
    """A bench whose judgments are written, not asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = folder / "data" / "tiny"
        self.bench.mkdir(parents=True)
        (folder / "config.toml").write_text(CONFIG, "utf-8")
        self.questions = [f"question {n}" for n in range(QUESTIONS)]
        self.write_questions()
        self.settings("s1", max_tokens=512)
        self.settings("a-base", model="base", max_tokens=100)
        self.answer("base")

    def write_questions(self) -> None:
        lines = [{"question_id": f"q{n:02}", "turns": [{"content": text}]} for n, text in enumerate(self.questions)]
        (self.bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    def settings(self, digest: str, **what: object) -> None:
        with (self.bench / "settings.jsonl").open("a") as file:
            file.write(json.dumps({"settings": digest, **what}) + "\n")

    def answer(self, model: str, text: str = "answer") -> None:
        records = [
            AnswerRecord(f"q{n:02}", "id", model, (Choice(0, (Turn(f"{text} of {model}"),)),), settings=f"a-{model}")
            for n in range(QUESTIONS)
        ]
        self.append(f"model_answer/{model}.jsonl", records)

    def judge(
        self, model: str, share: float, *, settings: str = "s1", count: int = QUESTIONS, base: str = "answer"
    ) -> None:
        """Answers of the model, and judgments of which it wins about `share`."""
        self.settings(f"a-{model}", model=model, max_tokens=100)
        self.answer(model)
        rng = random.Random(model)
        won = [rng.random() < share for _ in range(QUESTIONS)]
        self.append(
            f"model_judgment/judge/{model}.jsonl",
            [
                JudgmentRecord(
                    f"q{n:02}",
                    model,
                    "judge",
                    tuple(Game("prompt", "reply", label) for label in _labels(won[n])),
                    baseline="base",
                    settings=settings,
                    inputs=inputs_digest([self.questions[n]], [f"{base} of base"], [f"answer of {model}"]),
                )
                for n in range(count)
            ],
        )

    def append(self, name: str, records: list[AnswerRecord] | list[JudgmentRecord]) -> None:
        path = self.bench / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.writelines(msgspec.json.encode(record) + b"\n" for record in records)


def _labels(won: bool) -> tuple[Label, Label]:
    return ("B>A", "A>B") if won else ("A>B", "B>A")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def arena(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Arena:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["-c", str(desk.folder / "config.toml"), *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_a_worse_checkpoint_fails_and_the_better_one_passes(desk: Desk, arena: Arena) -> None:
    desk.judge("old", 0.6)
    desk.judge("new", 0.95)
    code, out, err = arena("gate", "new", "--not-worse-than", "old", "--margin", "2")
    assert (code, err) == (0, "")
    assert "Gate passed" in out
    code, out, _ = arena("gate", "old", "--not-worse-than", "new", "--margin", "2")
    assert code == 1
    assert "Gate failed: old" in out
    assert "old is worse than new by more than 2 points" in out


def test_json_has_all_that_a_script_needs(desk: Desk, arena: Arena) -> None:
    desk.judge("old", 0.6)
    desk.judge("new", 0.6)
    code, out, _ = arena("gate", "new", "--not-worse-than", "old", "--margin", "20", "--format", "json")
    report = json.loads(out)
    (check,) = report["checks"]
    assert (code, report["passed"], report["margin"], report["alpha"]) == (0, True, 20.0, 0.025)
    assert (check["model"], check["reference"], check["finding"], check["questions"]) == ("new", "old", "not worse", 60)
    assert check["lower"] < check["difference"] < check["upper"]


@pytest.mark.parametrize("kind", ["leaderboard", "gate"])
def test_a_stored_result_is_a_reference_until_something_is_different(desk: Desk, arena: Arena, kind: str) -> None:
    desk.judge("m", 0.6)
    _, out, _ = arena(kind, *(["--margin", "50"] if kind == "gate" else []), "--format", "json")
    stored = desk.folder / "stored.json"
    stored.write_text(out, "utf-8")
    assert arena("gate", "m", "--baseline-result", stored, "--margin", "6")[0] == 0
    desk.judge("next", 0.1)
    code, out, _ = arena("gate", "next", "--baseline-result", stored, "--not-worse-than", "m")
    assert code == 1
    assert "next is worse than m (stored)" in out

    desk.settings("s2", max_tokens=64)
    desk.judge("other", 0.6, settings="s2")
    code, out, err = arena("gate", "other", "--baseline-result", stored, "--not-worse-than", "m")
    assert (code, out) == (2, "")
    assert "another prompt or other settings than m: max_tokens=512 (now 64)" in err

    desk.judge("short", 0.6, count=50)
    code, _, err = arena("gate", "short", "--baseline-result", stored, "--not-worse-than", "m")
    assert code == 2
    assert "missing coverage: of 60 questions short has no judgment on 10" in err

    code, _, err = arena("gate", "m", "--baseline-result", stored, "--weight", "1")
    assert code == 2
    assert "another weight of a strong label" in err


def test_a_question_or_an_answer_of_the_baseline_that_changed_is_refused(desk: Desk, arena: Arena) -> None:
    desk.judge("m", 0.6)
    stored = desk.folder / "stored.json"
    stored.write_text(arena("leaderboard", "--format", "json")[1], "utf-8")
    desk.answer("base", "better answer")
    desk.judge("new", 0.9, base="better answer")
    code, _, err = arena("gate", "new", "--baseline-result", stored, "--not-worse-than", "m")
    assert code == 2
    assert "other texts: 60 questions, or the baseline's answers to them, have changed" in err


def test_the_stored_leaderboard_keeps_the_shape_of_the_contract(desk: Desk, arena: Arena) -> None:
    desk.judge("m", 0.6)
    board = json.loads(arena("leaderboard", "--format", "json")[1])
    keys = ("bench", "judges", "baseline", "ci", "rounds", "seed", "weight", "rows", "warnings")
    assert tuple(board)[: len(keys)] == keys
    assert set(board) - set(keys) == {"answer", "evidence", "limits", "noise"}
    assert len(board["evidence"]["questions"]) == QUESTIONS
    assert all(board["evidence"]["compared_with"])
    assert board["evidence"]["models"]["m"]["settings"] == {"judge": ["s1"]}


def test_markdown_is_a_summary_that_names_cannot_break(desk: Desk, arena: Arena) -> None:
    desk.judge("old", 0.6)
    desk.judge("n|e*w<b>", 0.9)
    code, out, _ = arena("gate", "n|e*w<b>", "--not-worse-than", "old", "--format", "markdown")
    assert code == 0
    assert out.startswith("### ✅ Gate passed")
    assert r"| n\|e\*w\<b\> |" in out
    assert "97.5% lower limit" in out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not a stored result"),
        (b"\xff\xfe", "not a stored result"),
        (b'{"bench": "b", "judges": [], "baseline": "base", "weight": 3, "rows": []}', "evidence"),
        (b'{"bench": "b", "judges": [], "baseline": "base", "weight": 3, "evidence": {"soft": false, '
         b'"questions": ["q"], "compared_with": [], "models": {}}}', "its evidence is damaged"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_result_is_refused(desk: Desk, arena: Arena, content: bytes, told: str) -> None:
    desk.judge("m", 0.6)
    stored = desk.folder / "stored.json"
    stored.write_bytes(content)
    code, out, err = arena("gate", "m", "--baseline-result", stored)
    assert (code, out) == (2, "")
    assert told in err
    assert "leaderboard --format json" in err


def test_a_gate_without_judgments_is_a_usage_error(desk: Desk, arena: Arena) -> None:
    assert arena("gate")[0] == 2
    desk.judge("m", 0.6)
    assert arena("gate", "--baseline-result", "nowhere.json")[0] == 2
    assert arena("gate", "--margin", "-1")[0] == 2
    code, _, err = arena("gate", "--soft")
    assert code == 2
    assert "probabilities" in err, "no judgment comes with any"
