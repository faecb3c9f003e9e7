"""Which models, judges and files a bench folder holds."""

from __future__ import annotations

import pytest

from engine.bench.layout import BenchPaths

LONG = "org/" + "very-long-" * 40


def test_the_places_are_those_of_the_ecosystem(bench: BenchPaths):
    def place(path):
        return path.relative_to(bench.root).as_posix()

    assert place(bench.questions) == "question.jsonl"
    assert place(bench.answers("aya-23-8B")) == "model_answer/aya-23-8B.jsonl"
    assert place(bench.judgments("judge", "aya-23-8B")) == "model_judgment/judge/aya-23-8B.jsonl"
    assert place(bench.errors) == "errors.jsonl"
    assert place(bench.review("anna")) == "review/anna.jsonl"


def test_models_and_judges_are_found_under_their_own_names(bench, write_lines):
    for model in ("aya-23-8B", "Qwen/Qwen2-7B", LONG):
        write_lines(bench.answers(model), {"question_id": "q", "model_id": model})
    write_lines(bench.judgments("org/judge", "aya-23-8B"), {"question_id": "q", "judge": "org/judge"})
    write_lines(bench.judgments(LONG, LONG), {"question_id": "q", "judge": LONG, "model": LONG})

    assert bench.models_with_answers() == sorted(["aya-23-8B", "Qwen/Qwen2-7B", LONG])
    assert bench.judges() == sorted(["org/judge", LONG])
    assert bench.judged_models("org/judge") == ["aya-23-8B"]
    assert bench.judged_models(LONG) == [LONG]


def test_hidden_and_foreign_files_are_no_models(bench, write_lines):
    write_lines(bench.answers("aya-23-8B"), {"question_id": "q"})
    write_lines(bench.answers_dir / ".ipynb_checkpoints" / "old.jsonl", {"question_id": "q"})
    write_lines(bench.answers_dir / "aya-23-8B.jsonl.torn", b"{")
    write_lines(bench.judgments_dir / ".ipynb_checkpoints" / "m.jsonl", {"question_id": "q"})
    (bench.judgments_dir / "nobody").mkdir()

    assert bench.models_with_answers() == ["aya-23-8B"]
    assert bench.judges() == []


@pytest.mark.parametrize("line", [b"{torn", b"[]", b'{"model_id": 7}', b'{"model_id": "another"}', b"\xff"])
def test_a_shortened_file_that_does_not_tell_its_name_is_no_model(bench, write_lines, line):
    write_lines(bench.answers(LONG), line)
    assert bench.models_with_answers() == []


def test_an_empty_bench_has_no_models_and_no_judges(bench):
    assert (bench.models_with_answers(), bench.judges(), bench.judged_models("j")) == ([], [], [])


def test_everything_that_is_appended_to_is_listed_but_not_the_question_set(bench, write_lines):
    written = [
        bench.answers("m"),
        bench.judgments("j", "m"),
        bench.review("anna"),
        bench.errors,
        bench.journal,
        bench.settings,
    ]
    for path in [*written, bench.questions]:
        write_lines(path, {})
    assert bench.appended_files() == sorted(written)
