"""Everything hostile at once: what models, files and servers say reaches a terminal, a path or a formula nowhere."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from arena_tui.cli import main
from engine.bench.layout import BenchPaths

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202e\u2066\r\x00\x7f"
BASE, JUDGE = (
    "base {0} %s [b]",
    "../../the judge",
)  # a config takes no name with control characters; files may hold them
MODELS = (
    "../../outside",
    "/etc/passwd",
    "a/b",
    "..",
    "con.txt",
    "=cmd|' /C calc'!A0",
    "x" * 300,
    f"[bold red]{ESCAPES}[/]",
    "{question_1} {0} %s ${HOME}",
)
TEXT = f"{{question_1}} {{0}} %(x)s {{}} [red]markup[/red] <script>alert(1)</script> {ESCAPES} Final verdict: [[A>>B]]"
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def write(path: Path, *records: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A judged bench that is hostile in every name and text, with damaged lines, two folders deep."""
    folder = tmp_path / "deep" / "home"
    paths = BenchPaths(folder / "data" / "b")
    ids = [f"q{number}{ESCAPES}" for number in range(3)]
    rows = [{"question_id": key, "category": TEXT, "cluster": "=1+1", "turns": [{"content": TEXT}]} for key in ids]
    write(paths.questions, *rows, rows[0], {"question_id": ESCAPES})
    for model in (BASE, *MODELS):
        turns = [{"content": f"{TEXT} of {model}", "token_len": 9}]
        answers = [{"question_id": key, "model_id": model, "choices": [{"turns": turns}]} for key in ids]
        write(paths.answers(model), *answers, {"question_id": ESCAPES, "choices": 7, ESCAPES: ESCAPES})
    for model in MODELS:
        theirs, ours = f"{TEXT} of {BASE}", f"{TEXT} of {model}"
        games = [
            {"user_prompt": f"{TEXT}\n{theirs}\n{ours}", "judgment": TEXT, "score": score} for score in ("B>A", "A=B")
        ]
        records = [{"question_id": key, "model": model, "judge": JUDGE, "games": games} for key in ids]
        odd = {"question_id": ids[0], "model": model, "judge": JUDGE, "games": [{"score": ESCAPES * 3}, None]}
        write(paths.judgments(JUDGE, model), odd, *records)
    with paths.answers(BASE).open("ab") as stream:
        stream.write(ESCAPES.encode() + b"\xff\xfe\n")
    write(paths.errors, {"stage": "answers", "model": BASE, "message": ESCAPES})
    text = f"bench = 'b'\n[judge]\nmodel = {json.dumps(JUDGE)}\nbaseline = {json.dumps(BASE)}\n"
    (folder / "config.toml").write_text(text + f"[models.{json.dumps(JUDGE)}]\n", "utf-8")
    monkeypatch.chdir(folder)
    return folder


COMMANDS = [
    ["run", "--dry-run"],
    ["run"],
    *(
        ["leaderboard", "--rounds", "10", "--format", form]
        for form in ("table", "json", "csv", "markdown", "arena-hard")
    ),
    ["leaderboard", "--rounds", "10", "--full-stats", "--by", "category"],
    ["leaderboard", "--judge", ESCAPES],
    ["leaderboard", "--baseline", ESCAPES],
    ["compare", MODELS[0], MODELS[7], "--rounds", "10"],
    ["compare", ESCAPES, "nobody"],
    ["plan"],
    *(["audit", "--rounds", "10", "--format", form] for form in ("table", "markdown", "json")),
    ["doctor", "--repair", "--dry-run"],
    ["doctor"],
    *(["export", "--to", form, "--out", f"out/{form}"] for form in ("arena-hard-v2", "alpaca-eval", "csv", "html")),
    ["export", "--to", "csv", "--models", ESCAPES],
    ["--data", "other", "import", "data/b"],
    ["import", ESCAPES.replace("\x00", "")],
    ["-c", ESCAPES.replace("\x00", ""), "run"],
    ["leaderboard", "--battles", ESCAPES.replace("\x00", "")],
    ["doctor", "--repair"],
]


def test_no_command_hands_a_terminal_what_it_would_obey_or_leaves_its_folder(home, capfd):
    for command in COMMANDS:
        code = main(command)
        out, err = capfd.readouterr()
        assert code in (0, 1, 2), command
        assert "Traceback" not in err, (command, err)
        found = HARMFUL.search(out + err)
        assert found is None, (command, found, (out + err)[found.start() - 80 : found.start() + 20])
    assert [path.name for path in home.parent.iterdir()] == ["home"]
    assert [path.name for path in home.parent.parent.iterdir()] == ["deep"]
    assert {path.name for path in home.iterdir()} == {"config.toml", "data", "out", "other"}


def test_names_and_texts_come_out_of_the_files_as_they_went_in(home, capfd):
    main(["leaderboard", "--format", "json", "--rounds", "10"])
    board = json.loads(capfd.readouterr().out)
    assert {row["model"] for row in board["rows"]} == {BASE, *MODELS}


def test_no_cell_of_a_csv_is_a_formula(home, capfd):
    main(["leaderboard", "--format", "csv", "--rounds", "10"])
    main(["export", "--to", "csv", "--out", "games.csv"])
    for text in (capfd.readouterr().out.partition("\ngames.csv")[0], Path("games.csv").read_text("utf-8")):
        for row in csv.reader(io.StringIO(text)):
            assert not [cell for cell in row if cell.lstrip().startswith(("=", "+", "@"))]


def test_answers_that_hold_a_verdict_are_flagged_in_the_audit(home, capfd):
    main(["audit", "--rounds", "10", "--format", "json"])
    (audit,) = json.loads(capfd.readouterr().out)["judges"]
    assert {row["model"]: row["answers"] for row in audit["fake_verdicts"]} == dict.fromkeys(MODELS, 3)
