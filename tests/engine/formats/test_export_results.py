"""Results in the files of the places that publish them: of a bench of awkward names, and of one with probabilities."""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest
import yaml
from hostile_bench import BASE, JUDGE
from huggingface_hub import parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from engine.api import leaderboard
from engine.bench import Bench
from engine.bench.question_source import QuestionSource, write_source
from engine.formats.catalogue import EXPORTS
from engine.formats.export import ExportReport, export_bench
from engine.formats.selection import ExportChoice
from engine.judging.probabilities import normalised
from engine.ratings.leaderboard import Leaderboard

REVISION = "0123456789abcdef0123456789abcdef01234567"


def board_of(bench: Bench, judge: str = JUDGE, baseline: str = BASE) -> Leaderboard:
    return leaderboard(bench, judges=judge, baseline=baseline, rounds=50, by="category")


def export(bench: Bench, form: str, out: Path, judge: str = JUDGE, baseline: str = BASE) -> ExportReport:
    board = board_of(bench, judge, baseline)
    return export_bench(bench, ExportChoice(baseline=baseline), form, out, rate=lambda: board)


def from_a_hub(bench: Bench) -> None:
    write_source(
        bench.paths,
        QuestionSource(
            source="hub:owner/set", added="2026-01-01", questions=4, revision=REVISION, subset="ru", split="test",
            endpoint="https://hub.example",
        ),
    )  # fmt: skip


@pytest.fixture
def odds(tmp_path: Path) -> Bench:
    """A bench whose judge gave probabilities: 40 questions, two games each."""
    root = tmp_path / "data" / "odds"
    for folder in ("model_answer", "model_judgment/judge"):
        (root / folder).mkdir(parents=True)
    first = normalised({"A>>B": 0.1, "A>B": 0.5, "A=B": 0.2, "B>A": 0.2})
    second = normalised({"A>B": 0.25, "B>A": 0.75})
    questions, answers, judgments = [], {"m": [], "base": []}, []
    for number in range(40):
        key = str(number)
        questions.append({"question_id": key, "category": "c", "turns": [{"content": f"Question {key}"}]})
        for model, records in answers.items():
            turns = [{"content": f"{model} answers {key}", "token_len": 3}]
            records.append({"question_id": key, "model_id": model, "choices": [{"index": 0, "turns": turns}]})
        games = [
            {"user_prompt": "", "judgment": "", "score": label, "probabilities": chances}
            for label, chances in (("A>B", first), ("B>A", second))
        ]
        judgments.append(
            {
                "question_id": key,
                "model": "m",
                "judge": "judge",
                "games": games[:2],
                "baseline": "base",
                "tstamp": 1.7e9,
            }
        )
    files = {"question.jsonl": questions, "model_judgment/judge/m.jsonl": judgments}
    files |= {f"model_answer/{model}.jsonl": records for model, records in answers.items()}
    for name, records in files.items():
        (root / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return Bench(root)


def test_the_leaderboard_csv_has_the_columns_of_the_published_ones(bench, tmp_path):
    export(bench, "arena-hard-csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["model", "score", "rating_q025", "rating_q975", "CI", "avg_tokens", "date"]
    board = board_of(bench)
    assert [float(row["score"]) for row in rows] == [round(row.score, 2) for row in board.rows]
    low, high = (float(part) for part in rows[0]["CI"].strip("()").split(","))
    assert low == pytest.approx(board.rows[0].lower - board.rows[0].score, abs=0.01)
    assert high == pytest.approx(board.rows[0].upper - board.rows[0].score, abs=0.01)


def test_model_cards_take_what_is_written(bench, tmp_path):
    from_a_hub(bench)
    report = export(bench, "model-index", tmp_path / "out")
    rows = {row.model: row for row in board_of(bench).rows if row.model != BASE}
    indexes = [each for each in report.files if each.path.endswith("model-index.yaml")]
    assert len(indexes) == len(rows)
    for file in indexes:
        index = yaml.safe_load((tmp_path / "out" / file.path).read_text("utf-8"))["model-index"]
        name, results = model_index_to_eval_results(index)
        assert results[0].metric_value == round(rows[name].score, 2)
        assert results[0].metric_args["lower"] == round(rows[name].lower, 2)
        assert (results[0].dataset_type, results[0].dataset_revision) == ("owner/set", REVISION)
    entries = [each for each in report.files if "/.eval_results/" in each.path]
    assert len(entries) == len(rows)
    for file in entries:
        (entry,) = parse_eval_result_entries(yaml.safe_load((tmp_path / "out" / file.path).read_text("utf-8")))
        assert (entry.dataset_id, entry.task_id, entry.dataset_revision) == ("owner/set", "ru", REVISION)
        assert "95% interval" in entry.notes


def test_eval_results_are_only_for_data_sets_of_a_hub(bench, tmp_path):
    report = export(bench, "model-index", tmp_path / "out")
    assert not [each for each in report.files if ".eval_results" in each.path]
    assert any("no .eval_results" in note for note in report.notes)


def test_lm_eval_results_have_the_layout_that_its_readers_expect(bench, tmp_path):
    report = export(bench, "lm-eval", tmp_path / "out")
    rows = {row.model: row for row in board_of(bench).rows}
    for file in report.files:
        found = json.loads((tmp_path / "out" / file.path).read_text("utf-8"))
        row = rows[found["model_name"]]
        task = bench.name
        assert found["results"][task]["win_rate,none"] == pytest.approx(row.score / 100, abs=1e-6)
        assert found["results"][task]["win_rate_stderr,none"] > 0
        for part in ("configs", "versions", "n-shot", "higher_is_better", "n-samples"):
            assert found[part].keys() == found["results"].keys()
        assert set(found["group_subtasks"][task]) == found["results"].keys() - {task}
        assert found["n-samples"][task]["effective"] == row.questions


STRINGS = ("additional_details", "details", "metadata")


def check_strings(value: Any, name: str = "") -> None:
    """In the schema, values of these objects are strings."""
    if isinstance(value, dict):
        if name in STRINGS:
            assert all(isinstance(each, str) for each in value.values())
        for key, each in value.items():
            check_strings(each, key)
    elif isinstance(value, list):
        for each in value:
            check_strings(each)


def test_every_eval_ever_has_a_record_and_every_game_of_a_model(bench, tmp_path):
    from_a_hub(bench)
    export(bench, "every-eval-ever", tmp_path / "out")
    records = sorted((tmp_path / "out" / "data").rglob("*.json"))
    rows = {row.model: row for row in board_of(bench).rows if row.model != BASE}
    assert len(records) == len(rows)
    for path in records:
        record = json.loads(path.read_text("utf-8"))
        required = {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info",
                    "eval_library", "evaluation_results"}  # fmt: skip
        assert record.keys() <= required | {"evaluation_timestamp", "detailed_evaluation_results"}
        assert record.keys() >= required
        assert UUID(path.stem).version == 4
        (result,) = record["evaluation_results"]
        row = rows[record["model_info"]["id"]]
        metric, score = result["metric_config"], result["score_details"]
        assert (metric["score_type"], metric["min_score"], metric["max_score"]) == ("continuous", 0.0, 100.0)
        assert metric["metric_parameters"]["pairwise_opponent"] == BASE
        assert all(isinstance(each, str | int | float) for each in metric["metric_parameters"].values())
        assert metric["llm_scoring"].keys() >= {"judges", "input_prompt"}
        assert score["score"] == pytest.approx(row.score, abs=1e-6)
        assert score["uncertainty"]["confidence_interval"]["upper"] == pytest.approx(row.upper, abs=1e-6)
        assert result["source_data"]["hf_repo"] == "owner/set"
        check_strings(record)
        details = record["detailed_evaluation_results"]
        data = path.with_suffix(".jsonl").read_bytes()
        assert details["checksum"] == sha256(data).hexdigest()
        games = [json.loads(line) for line in data.split(b"\n")[:-1]]
        assert details["total_rows"] == len(games) == row.games
        for game in games:
            assert game.keys() >= {"schema_version", "evaluation_id", "model_id", "evaluation_name", "sample_id",
                                   "interaction_type", "input", "answer_attribution", "evaluation"}  # fmt: skip
            assert game["evaluation_id"] == record["evaluation_id"]
            assert game["evaluation"]["is_correct"] is (game["evaluation"]["score"] == 1.0)
            assert game["metadata"]["pairwise_opponent"] == BASE
            is_single = game["interaction_type"] == "single_turn"
            assert (game["output"] is None) is not is_single
            assert (game["messages"] is None) is is_single
            check_strings(game)


def test_a_data_set_folder_has_a_card_and_the_tables_that_it_names(bench, tmp_path):
    export(bench, "datasets", tmp_path / "out")
    head, _, text = (tmp_path / "out" / "README.md").read_text("utf-8").removeprefix("---\n").partition("\n---\n")
    configs = yaml.safe_load(head)["configs"]
    tables = {
        config["config_name"]: pl.read_parquet(tmp_path / "out" / config["data_files"][0]["path"]) for config in configs
    }
    assert set(tables) == {"games", "questions", "answers", "leaderboard"}
    board = board_of(bench)
    assert tables["leaderboard"]["score"].to_list() == pytest.approx([row.score for row in board.rows])
    assert tables["questions"].height == len(bench.questions().items)
    assert tables["games"].height == sum(row.games + row.unparsed for row in board.rows)
    turns = {key: list(answer.turns) for key, answer in bench.answers(BASE).items.items()}
    own = tables["answers"].filter(pl.col("model") == BASE)
    known = {each.id for each in bench.questions().items}
    assert dict(own.select("question_id", "turns").iter_rows()) == {k: v for k, v in turns.items() if k in known}
    assert "\n| 1 | " in text
    assert "<script" not in text


def test_alpaca_eval_has_soft_preferences_where_there_are_probabilities(odds, tmp_path):
    export(odds, "alpaca-eval", tmp_path / "out", "judge", "base")
    records = json.loads((tmp_path / "out" / "m" / "judge" / "annotations.json").read_text())
    assert [records[0]["preference"], records[1]["preference"]] == pytest.approx([1 + 0.2 + 0.1, 1 + 0.25])
    assert all(record["output_1"].startswith("base ") for record in records)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_have_the_probabilities_of_the_labels(odds, tmp_path, form):
    export(odds, form, tmp_path / f"out.{form}", "judge", "base")
    read = pl.read_csv if form == "csv" else pl.read_parquet
    rows = read(tmp_path / f"out.{form}").to_dicts()
    assert rows[0]["expected_points"] == pytest.approx(0.3)
    assert [
        rows[0][each] for each in ("p_a_much_better", "p_a_better", "p_equal", "p_b_better", "p_b_much_better")
    ] == (pytest.approx([0.1, 0.5, 0.2, 0.2, 0.0]))
    assert rows[1]["expected_points"] == pytest.approx(0.25)


def test_the_table_of_formats_names_each_once():
    names = [entry.name for entry in EXPORTS]
    assert len(names) == len(set(names))
    assert all(entry.about and (entry.ending == "" or entry.ending.startswith(".")) for entry in EXPORTS)


@pytest.mark.parametrize("form", [entry.name for entry in EXPORTS if entry.rated])
def test_a_format_of_scores_needs_them(bench, tmp_path, form):
    with pytest.raises(TypeError, match="needs `rate`"):
        export_bench(bench, ExportChoice(baseline=BASE), form, tmp_path / "out")
