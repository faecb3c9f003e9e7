"""What goes out comes back: the same leaderboard from the exported files as from the bench's own."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hostile_bench import BASE, JUDGE, LABELS, MODELS, QUESTIONS, answer_turns, text_of_cell

from engine.bench import Bench
from engine.bench.digest import inputs_digest
from engine.bench.layout import BenchPaths
from engine.bench.stored import load_questions
from engine.formats.export import export_bench
from engine.formats.importing import import_bench
from engine.formats.selection import ExportChoice
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions
from engine.results import judged_bench, rate

ALL = ExportChoice(baseline=BASE)


def board_of(bench: Bench) -> Leaderboard:
    options = LeaderboardOptions(baseline=BASE, weight=3, rounds=50)
    return rate(judged_bench(bench, (JUDGE,), BASE), options)[0]


@pytest.mark.parametrize("form", ["arena-hard-v0.1", "arena-hard-v2"])
def test_an_exported_folder_imports_to_the_same_leaderboard(bench, tmp_path, form):
    export_bench(bench, ALL, form, tmp_path / "out", count_tokens=lambda: len)
    report = import_bench(tmp_path / "out", tmp_path / "back", "nasty")
    assert report.problems == ()
    back = Bench.open(tmp_path / "back", "nasty")
    own, again = board_of(bench), board_of(back)
    assert [(row.model, row.score, row.lower, row.upper, row.games, row.unparsed) for row in own.rows] == [
        (row.model, row.score, row.lower, row.upper, row.games, row.unparsed) for row in again.rows
    ]
    assert back.questions().items == bench.questions().items
    for model in (BASE, *MODELS):
        turns = {key: answer.turns for key, answer in bench.answers(model).items.items()}
        assert {key: answer.turns for key, answer in back.answers(model).items.items()} == turns


def test_answers_without_a_length_get_one_and_that_is_reported(bench, tmp_path):
    counted = export_bench(bench, ALL, "arena-hard-v0.1", tmp_path / "counted", count_tokens=lambda: len)
    estimated = export_bench(bench, ALL, "arena-hard-v0.1", tmp_path / "estimated")
    assert "4 answers have no token_len: counted with cl100k_base" in counted.notes
    assert "4 answers have no token_len: estimated from their bytes" in estimated.notes
    record = json.loads((tmp_path / "counted/model_answer/plain-model.jsonl").read_bytes().split(b"\n")[0])
    assert record["choices"][0]["turns"][0]["token_len"] == len(answer_turns("plain-model", "q1")[0])


def rows_of(table: Path) -> list[dict[str, object]]:
    if table.suffix == ".parquet":
        return pl.read_parquet(table).to_dicts()
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [{key: text_of_cell(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    numbers = ("points", "game", "model_tokens", "baseline_tokens")
    return [
        {key: None if v == "" and key in (*numbers, "label", "winner") else v for key, v in row.items()} for row in rows
    ]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_holds_every_game_and_every_text_exactly(bench, tmp_path, form):
    out = tmp_path / f"games.{form}"
    export_bench(bench, ALL, form, out)
    rows = rows_of(out)
    assert len(rows) == len(MODELS) * len(QUESTIONS) * 2
    for row in rows:
        game, key, model = int(str(row["game"])), str(row["question_id"]), str(row["model"])
        assert row["label"] == LABELS[key][game - 1]
        assert row["answer"] == "\n\n".join(answer_turns(model, key))
        assert row["baseline_answer"] == "\n\n".join(answer_turns(BASE, key))
        assert row["question"] == "\n\n".join(QUESTIONS[key][1])
    first = [row for row in rows if row["model"] == "plain-model" and row["question_id"] == "q1"]
    assert [(row["winner"], float(str(row["points"])), str(row["strong"]).lower()) for row in first] == [
        ("model", 1.0, "true"),
        ("model", 1.0, "false"),
    ]


def test_annotations_have_the_baseline_first_and_give_the_win_rate(bench, tmp_path):
    export_bench(bench, ExportChoice(baseline=BASE, models=("plain-model",)), "alpaca-eval", tmp_path / "out")
    outputs = json.loads((tmp_path / "out/plain-model/model_outputs.json").read_bytes())
    assert [set(output) for output in outputs] == [{"dataset", "instruction", "output", "generator"}] * 3
    (file,) = (tmp_path / "out/plain-model").glob("*/annotations.json")
    annotations = json.loads(file.read_bytes())
    assert {(each["generator_1"], each["generator_2"], each["annotator"]) for each in annotations} == {
        (BASE, "plain-model", JUDGE)
    }
    assert [each["preference"] for each in annotations] == [2, 2, 0, 0, 1, 1]
    assert {output["output"] for output in outputs} == {each["output_2"] for each in annotations}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [BASE, "plain-model"]


CHAT = [
    {"role": "system", "content": "Be a pirate."},
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "5"},
    {"role": "user", "content": "Sure?"},
]


@pytest.mark.parametrize("form", ["arena-hard-v0.1", "arena-hard-v2"])
def test_system_prompts_and_given_turns_come_back_in_their_roles(empty_bench, tmp_path, write_lines, form):
    write_lines(empty_bench.questions, {"question_id": "q", "turns": CHAT})
    (question,) = load_questions(empty_bench.questions).items
    for model in ("base", "m"):
        parts = [{"type": "text", "text": f"of {model}"}]
        write_lines(empty_bench.answers(model), {"question_id": "q", "choices": [{"message": {"content": parts}}]})
    inputs = inputs_digest(question.shown, ("of base",), ("of m",))
    games = [{"judgment": "", "score": "A>B"}, {"judgment": "", "score": "B>A"}]
    record = {"question_id": "q", "judge": "j", "model": "m", "baseline": "base", "inputs": inputs, "games": games}
    write_lines(empty_bench.judgments("j", "m"), record)
    report = export_bench(Bench(empty_bench.root), ExportChoice(baseline="base"), form, tmp_path / "out")
    assert any("begin with a system prompt or earlier turns" in note for note in report.notes)
    import_bench(tmp_path / "out", tmp_path / "back", "b")
    back = Bench.open(tmp_path / "back", "b")
    assert back.questions().items[0].context == question.context
    assert back.questions().items[0].turns == ("Sure?",)
    assert back.answers("m").items["q"].turns == ("of m",)
    assert back.current.listed("j", "m", "base").current == {"q"}


ODDS = {"A>>B": 0.1, "A>B": 0.2, "A=B": 0.3, "B>A": 0.3, "B>>A": 0.1}


def two_baselines(paths: BenchPaths, write_lines, *, names_first: bool = True) -> Bench:
    """Three models against `base`, and two of them and `base` itself against `other`."""
    keys = [f"q{number}" for number in range(40)]
    write_lines(paths.questions, *({"question_id": key, "turns": [{"content": f"{key}?"}]} for key in keys))
    for model in ("base", "other", "m", "n"):
        choices = [[{"turns": [{"content": f"{key} by {model}", "token_len": 4}]}] for key in keys]
        answers = ({"question_id": key, "choices": each} for key, each in zip(keys, choices, strict=True))
        write_lines(paths.answers(model), *answers)
    for number, (model, baselines) in enumerate(
        {"other": ["base"], "m": ["base", "other"], "n": ["base", "other"], "base": ["other"]}.items()
    ):
        records = []
        for baseline in baselines:
            for at, key in enumerate(keys):
                labels = [("B>A", "A=B"), ("A>B", "B>A"), ("A>>B", "A>B")][(at + number + len(baseline)) % 3]
                games = [{"score": label, "judgment": "", "probabilities": ODDS} for label in labels]
                prompts = (f"{key}? {key} by {baseline} {key} by {model}",) * 2
                games = [game | {"user_prompt": prompt} for game, prompt in zip(games, prompts, strict=True)]
                named = {"baseline": baseline} if names_first or baseline != "base" else {}
                records.append({"question_id": key, "model": model, "judge": "j", **named, "games": games})
        write_lines(paths.judgments("j", model), *records)
    return Bench(paths.root)


def boards(bench: Bench) -> list[bytes]:
    """The leaderboards of every choice of baselines, without what cannot come back (lengths are the same anyway)."""
    found = []
    for baselines in (("base",), ("other",), ("base", "other"), ("other", "base")):
        judged = judged_bench(bench, ("j",), baselines)
        for soft in (False, True):
            board, _ = rate(judged, LeaderboardOptions(baseline=baselines[0], rounds=20, soft=soft))
            found.append(msgspec.json.encode(board))
    return found


@pytest.mark.parametrize("names_first", [True, False])
@pytest.mark.parametrize("form", ["arena-hard-v0.1", "arena-hard-v2"])
def test_games_against_every_baseline_go_out_and_come_back(empty_bench, tmp_path, write_lines, form, names_first):
    bench = two_baselines(empty_bench, write_lines, names_first=names_first)
    report = export_bench(bench, ExportChoice(baseline="base"), form, tmp_path / "out")
    assert sum(file.records for file in report.files if "model_judgment" in file.path) == 6 * 40
    assert not report.notes
    import_bench(tmp_path / "out", tmp_path / "back", bench.name)
    assert boards(Bench.open(tmp_path / "back", bench.name)) == boards(bench)


def test_a_table_has_games_against_every_baseline_with_its_answers(empty_bench, tmp_path, write_lines):
    bench = two_baselines(empty_bench, write_lines)
    export_bench(bench, ExportChoice(baseline="base"), "csv", tmp_path / "games.csv")
    rows = rows_of(tmp_path / "games.csv")
    assert len(rows) == 2 * 6 * 40
    assert all(row["baseline_answer"] == f"{row['question_id']} by {row['baseline']}" for row in rows)


@pytest.mark.parametrize("form", ["arena-hard-v0.1", "csv", "alpaca-eval"])
def test_judgments_against_baselines_that_are_not_exported_are_counted(empty_bench, tmp_path, write_lines, form):
    bench = two_baselines(empty_bench, write_lines)
    report = export_bench(bench, ExportChoice(baseline="base", others=()), form, tmp_path / "out")
    (note,) = [note for note in report.notes if "are not exported" in note]
    assert note.startswith("120 judgments against other are not exported")
    every = export_bench(bench, ExportChoice(baseline="base"), form, tmp_path / "all")
    assert any("are not exported" in note for note in every.notes) == (form == "alpaca-eval")


@pytest.mark.parametrize("names_it", [True, False])
def test_judgments_of_a_baseline_against_itself_are_reported(bench, tmp_path, names_it: bool):
    record = {"question_id": "q1", "model": BASE, "judge": JUDGE, "games": [{"score": "A=B"}, {"score": "A=B"}]}
    path = bench.paths.judgments(JUDGE, BASE)
    path.write_text(json.dumps(record | ({"baseline": BASE} if names_it else {})) + "\n", "utf-8")
    notes = export_bench(bench, ALL, "csv", tmp_path / "table.csv").notes
    assert any("1 judgments of a baseline against itself are not exported" in note for note in notes)
