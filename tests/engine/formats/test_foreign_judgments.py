"""Judgments of other programs, imported: who won, in which order, with what texts, and back again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.api import leaderboard
from engine.bench import Bench
from engine.errors import BenchError, UsageProblem
from engine.formats.battles_file import load_battles
from engine.formats.export import export_bench
from engine.formats.import_source import import_source
from engine.formats.importing import import_bench
from engine.formats.selection import ExportChoice
from engine.labels import Label


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows) if path.suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows))
    return path


def imported(path: Path, tmp_path: Path, rows: list[dict[str, Any]]) -> Bench:
    import_bench(written(path, rows), tmp_path / "data", "b")
    return Bench(tmp_path / "data" / "b")


def labels_of(bench: Bench, judge: str, model: str) -> dict[str, tuple[Label | None, ...]]:
    return {key: each.labels for key, each in bench.judgments(judge, model).items.items()}


def annotation(**more: Any) -> dict[str, Any]:
    row = {"instruction": "Why?", "output_1": "old", "generator_1": "base", "output_2": "new", "generator_2": "m"}
    return {**row, "annotator": "judge", "preference": 2, **more}


@pytest.mark.parametrize(
    ("preference", "label", "chance"),
    [(1, "A>B", None), (2.0, "B>A", None), (0, "A=B", None), (1.5, "A=B", None), (1.9, "B>A", 0.9), (1.25, "A>B", 0.25),
     (None, None, None)],
)  # fmt: skip
def test_preferences_of_alpaca_eval_become_labels_and_probabilities(tmp_path, preference, label, chance):
    bench = imported(tmp_path / "annotations.json", tmp_path, [annotation(preference=preference)])
    (judgment,) = bench.judgments("judge", "m").items.values()
    assert judgment.labels == (label, None)
    assert judgment.played == (True, False)
    assert judgment.baseline == "base"
    found = judgment.probabilities[0]["B>A"] if judgment.probabilities else None
    assert found == (None if chance is None else pytest.approx(chance))
    (question,) = bench.questions().items
    assert question.turns == ("Why?",)
    assert bench.answers("m").items[question.id].turns == ("new",)


def test_a_preference_outside_of_the_scale_is_reported_with_its_row(tmp_path):
    rows = [annotation(), annotation(instruction="How?", preference=7)]
    report = import_bench(written(tmp_path / "a.jsonl", rows), tmp_path / "data", "b")
    assert any("a.jsonl:2: the preference 7 is not between 1 and 2" in str(problem) for problem in report.problems)


def test_judgments_of_texts_that_the_bench_no_longer_has_do_not_count(tmp_path):
    bench = imported(tmp_path / "a.json", tmp_path, [annotation()])
    assert leaderboard(bench, judges="judge", baseline="base").rows[0].games == 1
    answers = bench.paths.answers("m")
    answers.write_text(answers.read_text().replace("new", "newer"))
    report = import_bench(written(tmp_path / "c.json", [annotation(annotator="second")]), tmp_path / "data", "b")
    assert any("1 answers of m differ" in str(problem) for problem in report.problems)
    with pytest.raises(BenchError, match="no judgment by judge or second"):
        leaderboard(bench, judges=("judge", "second"), baseline="base", rounds=10)


def fastchat(**more: Any) -> dict[str, Any]:
    row = {"question_id": 81, "model_1": "m", "model_2": "base", "judge": ["gpt-4", "pair-v2"], "turn": 1}
    return {
        **row,
        "g1_winner": "model_1",
        "g2_winner": "model_2",
        "g1_judgment": "[[A]]",
        "g2_judgment": "[[A]]",
        **more,
    }


def with_questions(tmp_path: Path) -> None:
    rows = [{"question_id": key, "category": "c", "turns": ["one", "two"]} for key in (81, 82)]
    import_bench(written(tmp_path / "question.jsonl", rows), tmp_path / "data", "b")


def test_pairs_of_mt_bench_are_read_in_both_orders(tmp_path):
    with_questions(tmp_path)
    rows = [fastchat(), fastchat(question_id=82, model_1="other", g1_winner="tie", g2_winner="error")]
    bench = imported(tmp_path / "pairs.jsonl", tmp_path, rows)
    # "base" is in every pair. In game 1 it is shown first: that is the second game of FastChat, which "base" won.
    assert labels_of(bench, "gpt-4", "m") == {"81": ("A>B", "A>B")}
    assert labels_of(bench, "gpt-4", "other") == {"82": (None, "A=B")}


def test_turns_of_mt_bench_are_judges_of_their_own(tmp_path):
    with_questions(tmp_path)
    bench = imported(tmp_path / "pairs.jsonl", tmp_path, [fastchat(), fastchat(turn=2, g1_winner="model_2")])
    assert bench.judges() == ["gpt-4", "gpt-4-turn-1"]
    assert labels_of(bench, "gpt-4", "m")["81"] == ("A>B", "B>A")  # base, shown first in game 1, wins both


def test_pairs_of_questions_that_the_bench_lacks_are_counted(tmp_path):
    with_questions(tmp_path)
    path = written(tmp_path / "pairs.jsonl", [fastchat(), fastchat(question_id=99)])
    report = import_bench(path, tmp_path / "data", "b")
    assert any("1 judgments are of questions that are not in" in str(problem) for problem in report.problems)
    with pytest.raises(BenchError, match="none of its questions"):
        import_bench(written(tmp_path / "pairs2.jsonl", [fastchat(question_id=99)]), tmp_path / "data", "b")


def battle(key: str, winner: str, one: str = "x", other: str = "y") -> dict[str, Any]:
    def chat(said: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": f"Ask {key}"}, {"role": "assistant", "content": said}]

    return {
        "question_id": key, "model_a": one, "model_b": other, "winner": winner, "judge": "arena_user_7",
        "conversation_a": chat(f"{one} says"), "conversation_b": chat(f"{other} says"), "turn": 1,
    }  # fmt: skip


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_battles_with_conversations_become_a_bench(tmp_path, ending):
    rows = [battle("1", "model_b"), battle("2", "tie (bothbad)"), battle("3", "both_bad"), battle("4", "model_a")]
    path = tmp_path / f"battles{ending}"
    if ending == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        written(path, rows)
    imported_data = import_source(path, tmp_path / "config.toml", lambda: tmp_path / "data", "b")
    assert imported_data.report is not None
    bench = Bench(tmp_path / "data" / "b")
    assert labels_of(bench, "people", "y") == {
        "1": ("B>A", None), "2": ("A=B", None), "3": ("A=B", None), "4": ("A>B", None),
    }  # fmt: skip
    assert bench.questions().items[0].turns == ("Ask 1",)
    assert leaderboard(bench, judges="people", baseline="x").warnings is not None


def test_battles_in_three_columns_are_read(tmp_path):
    row = {"id": 5, "model_a": "x", "model_b": "y", "prompt": '["Hi", "And?"]', "response_a": '["a", "b"]',
           "response_b": '["c", "d"]', "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0}  # fmt: skip
    bench = imported(tmp_path / "train.json", tmp_path, [row])
    assert labels_of(bench, "people", "y") == {"5": ("B>A", None)}
    assert bench.questions().items[0].turns == ("Hi", "And?")
    assert bench.answers("x").items["5"].turns == ("a", "b")


def test_judge_bench_has_labels_to_audit_judges_with_and_judgments(tmp_path):
    judged = [
        {"judgment": {"judge_model": "j", "prompt": "", "response": "I say [[A>B]]"}, "decision": "A>B"},
        {"judgment": {"judge_model": "j", "prompt": "", "response": "I say [[A>B]]"}, "decision": "A>B"},
    ]
    row = {"pair_id": "p", "original_id": "o", "source": "mmlu-pro-math", "question": "2+2?", "response_model": "r",
           "response_A": "4", "response_B": "5", "label": "A>B", "judgments": judged}  # fmt: skip
    report = import_bench(written(tmp_path / "judgebench.jsonl", [row]), tmp_path / "data", "b")
    bench = Bench(tmp_path / "data" / "b")
    assert labels_of(bench, "j", "r-B") == {"p": ("A>B", "A>B")}  # one place in both orders
    assert report.benches[0].labels == ((Path("review/judgebench.jsonl"), 1),)
    (label,) = [json.loads(line) for line in bench.paths.review("judgebench").read_text().splitlines()]
    assert (label["model"], label["baseline"], label["game"], label["label"]) == ("r-B", "r-A", 1, "A>B")
    assert bench.questions().items[0].category == "mmlu-pro-math"


def test_a_table_of_questions_alone_is_named_as_one(tmp_path):
    path = tmp_path / "q.parquet"
    pl.DataFrame({"prompt": ["Why?"]}).write_parquet(path)
    with pytest.raises(UsageProblem, match="no judgments of pairs"):
        import_source(path, tmp_path / "config.toml", lambda: tmp_path / "data", "b")


# -- Published files


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "judge", "flips", "parsed"),
    [
        ("gpt-judge_gpt4omini", "gpt-4o-mini", 399, 1193),
        ("qwen-judge_14B", "Qwen2.5-14B-Instruct", 541, 1200),
        ("exaone-judge_32B", "EXAONE-3.5-32B-Instruct-AWQ", 506, 1200),
    ],
)
def test_published_pairs_have_the_flips_that_were_published_for_them(
    shared_data, tmp_path, folder, judge, flips, parsed
):
    source = shared_data / "mt-bench-repro"
    import_bench(source / "question.jsonl", tmp_path / "data", "mt")
    for file in (source / "answers").glob("*.jsonl"):
        import_bench(file, tmp_path / "data", "mt")
    pairs = b"".join(file.read_bytes() for file in sorted((source / "pairwise" / folder).glob("*.jsonl")))
    (tmp_path / "pairs.jsonl").write_bytes(pairs)
    report = import_bench(tmp_path / "pairs.jsonl", tmp_path / "data", "mt")
    assert report.problems == ()
    bench = Bench(tmp_path / "data" / "mt")
    found: Counter[bool] = Counter()
    for name in bench.judges():
        assert name in (judge, f"{judge}-turn-1")
        for model in bench.judged_models(name):
            lines = bench.paths.judgments(name, model).read_text("utf-8").splitlines()
            for record in map(json.loads, lines):
                first, second = (game["score"] for game in record["games"])
                if first is not None and second is not None:
                    same = {"A>B": "B>A", "B>A": "A>B", "A=B": "A=B"}
                    found[second != same[first]] += 1
    assert (found[True], sum(found.values())) == (flips, parsed)


def published_bench(shared_data: Path, root: Path) -> Bench:
    """Three published models with the labels that the published battles stand for."""
    source = shared_data / "arena-hard-ru"
    battles = load_battles(source / "arena_hard_battles.jsonl").battles
    baseline, models = "Phi-3-medium-128k-instruct", ("aya-23-8B", "Meta-Llama-3-8B-Instruct-f16")
    (root / "model_answer").mkdir(parents=True)
    (root / "question.jsonl").write_bytes((source / "question.jsonl").read_bytes())
    for model in (baseline, *models):
        (root / "model_answer" / f"{model}.jsonl").write_bytes(
            (source / "model_answer" / f"{model}.jsonl").read_bytes()
        )
    for model in models:
        records: dict[str, dict[str, Any]] = {}
        own = battles.where(battles.model_b == battles.models.index(model))
        rows = zip(own.question.tolist(), own.game.tolist(), own.points.tolist(), own.strong.tolist(), strict=True)
        for question, game, points, strong in rows:
            key = own.questions[question]
            record = records.setdefault(key, {"question_id": key, "model": model, "judge": "judge",
                                              "baseline": baseline, "games": [None, None]})  # fmt: skip
            won_by_b = points if game == 1 else 1 - points
            weak = {1.0: "B>A", 0.5: "A=B", 0.0: "A>B"}[won_by_b]
            label = weak.replace(">", ">>") if strong == 1.0 else weak
            record["games"][game - 1] = {"user_prompt": "", "judgment": "", "score": label}
        path = root / "model_judgment" / "judge" / f"{model}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records.values()))
    return Bench(root)


@pytest.mark.realdata
def test_published_judgments_go_to_alpaca_eval_and_come_back_to_the_same_scores(shared_data, tmp_path):
    bench = published_bench(shared_data, tmp_path / "own" / "ru")
    baseline = "Phi-3-medium-128k-instruct"
    export_bench(bench, ExportChoice(baseline=baseline), "alpaca-eval", tmp_path / "out")
    for file in sorted((tmp_path / "out").rglob("annotations.json")):
        import_bench(file, tmp_path / "back", "ru")
    back = Bench(tmp_path / "back" / "ru")
    boards = [leaderboard(each, judges="judge", baseline=baseline, rounds=20) for each in (bench, back)]
    assert len(boards[0].rows) == 3
    for own, again in zip(boards[0].rows, boards[1].rows, strict=True):
        assert (own.model, own.games, own.questions) == (again.model, again.games, again.questions)
        assert own.score == pytest.approx(again.score, abs=1e-9)


@pytest.mark.realdata
@pytest.mark.parametrize("ending", [".json", ".csv", ".parquet"])
def test_published_battles_are_the_same_in_every_kind_of_table(shared_data, tmp_path, ending):
    source = shared_data / "arena-hard-ru" / "arena_hard_battles.jsonl"
    frame = pl.read_ndjson(source)
    path = tmp_path / f"battles{ending}"
    if ending == ".json":
        path.write_text(json.dumps(frame.to_dicts()))
    else:
        (frame.write_csv if ending == ".csv" else frame.write_parquet)(path)
    own, again = load_battles(source), load_battles(path)
    assert (own.rows, own.weight) == (again.rows, again.weight) == (21016, 3)
    assert own.battles.models == again.battles.models
    assert own.battles.points.tolist() == again.battles.points.tolist()
