"""An export overwrites nothing, stays where it was asked for, and holds only what is of today's texts."""

from __future__ import annotations

import csv
import json
from functools import partial

import pytest
from hostile_bench import BASE, JUDGE, MODELS, text_of_cell, write
from hypothesis import example, given
from hypothesis import strategies as st

from engine.bench.lines import encode_json
from engine.errors import BenchError, StorageError, UsageProblem
from engine.formats.export import export_bench
from engine.formats.selection import ExportChoice, Selection
from engine.formats.tables import neutral

ALL = ExportChoice(baseline=BASE)
FORMS = ["arena-hard-v0.1", "arena-hard-v2", "alpaca-eval", "csv", "parquet"]


@given(st.text() | st.text("'=+;\" \n-a"))
@example("'=1")
@example("=1")
@example("\t=1")
@example(" ＝1")
@example("a;=1")
@example("a;;'=1")
@example('a; "=cmd"')
def test_a_text_in_a_cell_is_never_a_formula_and_can_be_had_back(text):
    cell = neutral(text)
    assert text_of_cell(cell) == text
    blanks, formulas = " \t\r\n\v\f\0\u00a0\u3000\ufeff", ("=", "+", "-", "@", "＝", "＋", "－", "＠")
    assert not cell.lstrip(blanks).startswith(formulas)
    for part in cell.split(";")[1:]:  # where a semicolon separates cells
        assert not part.lstrip(f'{blanks}"').startswith(formulas)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_overwritten_unless_asked_for_and_nothing_is_left_half_done(bench, tmp_path, form):
    out = tmp_path / "exports" / "out"
    export_bench(bench, ALL, form, out)
    before = {path: path.read_bytes() for path in (out, *out.rglob("*")) if path.is_file()}
    write(bench.paths.questions, {"question_id": "new", "turns": [{"content": "new"}]})
    with pytest.raises(UsageProblem, match="exists"):
        export_bench(bench, ALL, form, out)
    assert {path: path.read_bytes() for path in before} == before
    export_bench(bench, ALL, form, out, force=True)
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_force_leaves_other_files_of_the_folder_alone(bench, tmp_path):
    (tmp_path / "out" / "model_answer").mkdir(parents=True)
    theirs = tmp_path / "out" / "model_answer" / "theirs.jsonl"
    theirs.write_text("theirs")
    export_bench(bench, ALL, "arena-hard-v2", tmp_path / "out", force=True)
    assert theirs.read_text() == "theirs"
    assert (tmp_path / "out" / "question.jsonl").exists()


def test_a_file_where_a_folder_should_be_is_refused_even_with_force(bench, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageProblem, match="not a folder"):
        export_bench(bench, ALL, "arena-hard-v2", tmp_path / "out", force=True)


@pytest.mark.parametrize("form", FORMS)
def test_every_file_stays_below_the_place_that_was_named(bench, tmp_path, form):
    around = tmp_path / "a" / "b" / "c"
    export_bench(bench, ALL, form, around / "out")
    assert [path.name for path in around.iterdir()] == ["out"]
    assert [path.name for path in around.parent.iterdir()] == ["c"]


@pytest.mark.parametrize("form", FORMS)
def test_a_disk_that_cannot_be_written_is_reported_and_leaves_nothing(bench, tmp_path, form):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        export_bench(bench, ALL, form, tmp_path / "file" / "out")


def test_what_is_not_of_todays_texts_stays_behind_and_is_reported(bench, tmp_path):
    lines = bench.paths.questions.read_bytes().split(b"\n")
    edited = lines[0].replace(b"Why?", b"Why so?")
    bench.paths.questions.write_bytes(b"\n".join([edited, *lines[2:]]))  # q1 was edited, q2 was taken out
    report = export_bench(bench, ALL, "csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        assert {text_of_cell(row["question_id"]) for row in csv.DictReader(stream)} == {"q3", "7"}
    assert any("2 judgments of plain-model" in note for note in report.notes)


def test_of_several_records_of_a_question_the_last_goes_out(bench, tmp_path):
    turns = [{"content": "a later answer", "token_len": 3}]
    later = {"question_id": "q2", "answer_id": "b", "model_id": BASE, "choices": [{"index": 0, "turns": turns}]}
    write(bench.paths.answers(BASE), later, {**later, "choices": [{"index": 0, "turns": [{"content": "$ERROR$"}]}]})
    export_bench(bench, ALL, "arena-hard-v0.1", tmp_path / "out")
    lines = (tmp_path / "out" / "model_answer" / "base.jsonl").read_bytes().split(b"\n")[:-1]
    found = {record["question_id"]: record["choices"][0]["turns"][0]["content"] for record in map(json.loads, lines)}
    assert len(lines) == 4
    assert found["q2"] == "a later answer"


@pytest.mark.parametrize(
    ("choice", "reported"),
    [
        (ExportChoice(baseline=BASE, models=("plain-modle",)), "plain-model"),
        (ExportChoice(baseline=BASE, judges=("org/the judgee",)), "org/the judge"),
    ],
)
def test_an_unknown_name_is_reported_with_the_one_that_was_meant(bench, tmp_path, choice, reported):
    with pytest.raises(UsageProblem) as refused:
        export_bench(bench, choice, "csv", tmp_path / "out.csv")
    assert reported in refused.value.hint
    assert not (tmp_path / "out.csv").exists()


def test_only_the_named_models_go_out_with_the_baseline(bench, tmp_path):
    export_bench(bench, ExportChoice(baseline=BASE, models=(MODELS[1],)), "arena-hard-v0.1", tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out" / "model_answer").iterdir()) == [
        "%2E.%2F..%2Fx.jsonl",
        "base.jsonl",
    ]


@pytest.mark.parametrize("odd", [b'"\\ud800"', b"NaN", b'"\\udc00 \\ud83d"'])
def test_a_record_that_needs_mending_to_be_read_goes_out_too(bench, tmp_path, odd):
    line = b'{"question_id": "q1", "odd": ODD, "choices": [{"index": 0, "turns": [{"content": "new"}]}]}\n'
    with bench.paths.answers(BASE).open("ab") as stream:
        stream.write(line.replace(b"ODD", odd))
    assert bench.answers(BASE).items["q1"].turns == ("new",)
    export_bench(bench, ALL, "arena-hard-v0.1", tmp_path / "out")
    records = (tmp_path / "out" / "model_answer" / "base.jsonl").read_bytes().split(b"\n")[:-1]
    assert [r["choices"][0]["turns"][0]["content"] for r in map(json.loads, records) if r["question_id"] == "q1"] == [
        "new"
    ]


def test_a_record_that_is_appended_during_an_export_is_not_in_it(bench, tmp_path):
    selection = Selection(bench, ALL)
    before = list(selection.answers(BASE))
    with bench.paths.answers(BASE).open("ab") as stream:
        stream.write(encode_json({**before[0][2], "choices": [{"turns": [{"content": "later"}]}]}) + b"\n")
    assert list(selection.answers(BASE)) == before
    assert [question for question, _, _ in selection.judgments(JUDGE, MODELS[1])]


@pytest.mark.parametrize("what", ["answers", "judgments"])
def test_a_record_that_changes_after_it_was_checked_is_never_exported(bench, what):
    selection = Selection(bench, ALL)
    read = partial(getattr(selection, what), *((MODELS[1],) if what == "answers" else (JUDGE, MODELS[1])))
    path = bench.paths.answers(MODELS[1]) if what == "answers" else bench.paths.judgments(JUDGE, MODELS[1])
    assert list(read())
    data = path.read_bytes()
    old, new = (b"**bold**", b"**BOLD**") if what == "answers" else (b"So: ", b"SO: ")
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(BenchError, match="cannot be read"):
        list(read())
