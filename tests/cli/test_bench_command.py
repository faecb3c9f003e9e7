"""`arena-tui bench` as its users meet it: own files in, preview, list, show, split, removal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CSV = 'id;question;topic\n1;"What is ""BM25""?";search\n2;Explain attention.;nets\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "prompts.csv").write_text(CSV, encoding="utf-8-sig")
    return tmp_path


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_of_prompts_becomes_a_bench(home, arena):
    done = arena("bench", "add", "prompts.csv", "--map", "question=prompt,topic=category", "--yes", cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "data/prompts/question.jsonl: 2 questions\n"
    assert "categories: nets 1, search 1" in done.stderr
    assert records(home / "data" / "prompts" / "question.jsonl") == [
        {"question_id": "1", "category": "search", "cluster": "", "turns": [{"content": 'What is "BM25"?'}]},
        {"question_id": "2", "category": "nets", "cluster": "", "turns": [{"content": "Explain attention."}]},
    ]
    source = json.loads((home / "data" / "prompts" / "source.json").read_text())
    assert source["files"][0]["path"] == "prompts.csv"
    assert source["columns"] == {"question": "prompt", "topic": "category"}


def test_the_preview_writes_nothing_and_is_the_result_of_a_dry_run(home, arena):
    done = arena("bench", "add", "prompts.csv", "--dry-run", cwd=home)
    assert done.returncode == 0
    assert "2 questions" in done.stdout
    assert 'What is "BM25"?' in done.stdout
    assert not (home / "data").exists()
    found = json.loads(arena("bench", "add", "prompts.csv", "--dry-run", "--json", cwd=home).stdout)
    assert (found["bench"], found["questions"]) == ("prompts", 2)


def test_a_script_must_confirm_beforehand(home, arena):
    done = arena("bench", "add", "prompts.csv", cwd=home)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert not (home / "data").exists()


def test_a_person_is_asked(home, terminal):
    screen = terminal("bench", "add", str(home / "prompts.csv"), "--name", "asked")
    screen.wait_for("Write 2 questions")
    screen.press("n", "\r")
    screen.wait_for("nothing was changed")
    assert screen.ended() == 130


def test_rows_that_cannot_be_used_stop_it_with_file_and_line_unless_left_out(home, arena):
    (home / "bad.jsonl").write_text(
        '{"id": 1, "prompt": "one"}\n{"id": 2, "prompt": " "}\n{"id": 1, "prompt": "other"}\n'
    )
    done = arena("bench", "add", "bad.jsonl", "--yes", cwd=home)
    assert done.returncode == 2
    assert "bad.jsonl:2: empty: no text to ask" in done.stderr
    assert "bad.jsonl:3: the id 1 stands in line 1 already, with another text" in done.stderr
    assert "--skip-bad" in done.stderr
    assert not (home / "data").exists()
    assert arena("bench", "add", "bad.jsonl", "--yes", "--skip-bad", cwd=home).returncode == 0
    assert [each["question_id"] for each in records(home / "data/bad/question.jsonl")] == ["1"]


def test_a_file_without_a_known_column_names_those_that_it_has(home, arena):
    (home / "odd.csv").write_text("nr,anliegen\n1,Warum?\n")
    done = arena("bench", "add", "odd.csv", "--yes", cwd=home)
    assert done.returncode == 2
    assert "columns: nr, anliegen" in done.stderr
    assert "--map COLUMN=FIELD" in done.stderr


def test_repeated_questions_are_reported_and_left_out_on_request(home, arena):
    (home / "twice.txt").write_text("What is BM25?\nwhat is bm25\nExplain attention.\n")
    done = arena("bench", "add", "twice.txt", "--dry-run", cwd=home)
    assert "groups of questions with the same words: 1" in done.stdout
    assert "weigh twice in every score: 1" in done.stdout
    done = arena("bench", "add", "twice.txt", "--drop-duplicates", "--yes", cwd=home)
    assert done.stdout.endswith(": 2 questions\n")


def test_questions_are_added_to_a_bench_only_on_request(home, arena):
    add = ("bench", "add", "prompts.csv", "--yes")
    assert arena(*add, cwd=home).returncode == 0
    again = arena(*add, cwd=home)
    assert again.returncode == 0
    assert "nothing to add" in again.stderr
    (home / "prompts.csv").write_text(CSV + "3;Why?;other\n")
    refused = arena(*add, cwd=home)
    assert refused.returncode == 2
    assert "--append" in refused.stderr
    assert arena(*add, "--append", cwd=home).returncode == 0
    assert [each["question_id"] for each in records(home / "data/prompts/question.jsonl")] == ["1", "2", "3"]
    (home / "prompts.csv").write_text(CSV.replace("attention", "retrieval"))
    changed = arena(*add, "--append", cwd=home)
    assert changed.returncode == 2
    assert "other texts" in changed.stderr


def test_list_and_show_say_what_is_there(home, arena):
    assert "bench add" in arena("bench", "list", cwd=home).stderr
    arena("bench", "add", "prompts.csv", "--yes", cwd=home)
    assert arena("bench", "list", cwd=home).stdout.splitlines()[1].split() == ["prompts", "2", "0", "0", "prompts.csv"]
    listed = json.loads(arena("bench", "list", "--json", cwd=home).stdout)
    assert [each["bench"] for each in listed["benches"]] == ["prompts"]
    shown = json.loads(arena("bench", "show", "prompts", "--json", cwd=home).stdout)
    assert (shown["questions"], shown["answers"], shown["source"]["source"]) == (2, {}, "file")
    assert "source: prompts.csv" in arena("bench", "show", "prompts", cwd=home).stdout
    unknown = arena("bench", "show", "promps", cwd=home)
    assert unknown.returncode == 2
    assert "did you mean 'prompts'?" in unknown.stderr


def test_a_split_makes_two_benches(home, arena):
    (home / "many.txt").write_text("".join(f"Question {n} about {n * n}?\n" for n in range(50)))
    arena("bench", "add", "many.txt", "--yes", cwd=home)
    done = arena("bench", "split", "many", "--dev", "10", "--seed", "1", cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "many-dev: 10 questions"
    assert len(records(home / "data/many-test/question.jsonl")) == 40


def judged(home: Path) -> Path:
    root = home / "data" / "prompts"
    (root / "model_answer").mkdir()
    answer = {"question_id": "1", "model_id": "m", "choices": [{"index": 0, "turns": [{"content": "x"}]}]}
    (root / "model_answer" / "m.jsonl").write_text(json.dumps(answer) + "\n")
    return root


def test_a_bench_is_removed_after_asking(home, arena):
    arena("bench", "add", "prompts.csv", "--yes", cwd=home)
    refused = arena("bench", "remove", "prompts", cwd=home)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert (home / "data" / "prompts").exists()
    assert arena("bench", "remove", "prompts", "--yes", cwd=home).returncode == 0
    assert not (home / "data" / "prompts").exists()


def test_results_are_named_and_never_go_with_a_yes_alone(home, arena):
    arena("bench", "add", "prompts.csv", "--yes", cwd=home)
    root = judged(home)
    refused = arena("bench", "remove", "prompts", "--yes", cwd=home)
    assert refused.returncode == 2
    assert "data/prompts/model_answer: 1 records" in refused.stderr
    assert "--with-results" in refused.stderr
    assert (root / "question.jsonl").exists()
    assert (root / "model_answer" / "m.jsonl").exists()
    assert arena("bench", "remove", "prompts", "--yes", "--with-results", cwd=home).returncode == 0
    assert not root.exists()


def test_a_person_types_the_name_of_a_bench_with_results(home, arena, terminal):
    arena("bench", "add", "prompts.csv", "--yes", cwd=home)
    root = judged(home)
    screen = terminal("--data", str(home / "data"), "bench", "remove", "prompts")
    screen.wait_for("Type prompts to remove")
    screen.press("y", "e", "s", "\r")
    screen.wait_for("nothing was removed")
    assert root.exists()


def test_only_the_link_to_a_bench_elsewhere_is_removed(home, arena, tmp_path):
    arena("bench", "add", "prompts.csv", "--yes", cwd=home)
    elsewhere = tmp_path / "elsewhere"
    (home / "data" / "prompts").rename(elsewhere)
    (home / "data" / "prompts").symlink_to(elsewhere)
    assert arena("bench", "remove", "prompts", "--yes", cwd=home).returncode == 0
    assert (elsewhere / "question.jsonl").exists()
    assert not (home / "data" / "prompts").is_symlink()


def test_a_starter_bench_is_added_by_its_name(home, arena):
    done = arena("bench", "add", "starter-en", "--yes", cwd=home)
    assert done.returncode == 0, done.stderr
    assert len(records(home / "data" / "starter-en" / "question.jsonl")) == 48
    assert "starter-en" in arena("bench", "list", cwd=home).stdout
