"""The published files, exactly as they are: every record is read, and every text is the one in the file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from engine.bench import Bench
from engine.bench.current import is_current
from engine.bench.digest import inputs_digest
from engine.bench.stored import load_answers, load_judgments, load_questions

pytestmark = pytest.mark.realdata

QUESTION_SETS = {
    "arena-hard-ru/question.jsonl": 500,
    "arena-hard-ru/question_en.jsonl": 500,
    "arena-hard-v0.1/question.jsonl": 500,
    "arena-hard-v2.0/question.jsonl": 750,
}
BASELINE = "Phi-3-medium-128k-instruct"


def records(path: Path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def text_of(record):
    if "choices" in record:
        return tuple(turn["content"] for turn in record["choices"][0]["turns"])
    return (record["messages"][-1]["content"]["answer"],)


def length_of(record):
    if "choices" in record:
        return sum(turn["token_len"] for turn in record["choices"][0]["turns"])
    return record.get("metadata", {}).get("token_len")


@pytest.mark.parametrize(("name", "count"), QUESTION_SETS.items())
def test_every_question_is_read_as_it_is(shared_data, name, count):
    loaded = load_questions(shared_data / name)
    raw = records(shared_data / name)
    assert loaded.problems == ()
    assert len(loaded.items) == count
    for question, record in zip(loaded.items, raw, strict=True):
        assert question.id == record.get("question_id", record.get("uid"))
        assert question.turns == tuple(
            turn["content"] for turn in record.get("turns", [{"content": record.get("prompt")}])
        )
        assert question.category == record["category"]
        assert question.cluster == record.get("cluster", record.get("subcategory"))


def test_every_answer_of_both_generations_is_read_as_it_is(shared_data):
    files = sorted(shared_data.glob("*/*model_answer/*.jsonl"))
    assert len(files) == 18
    for path in files:
        loaded, raw = load_answers(path), records(path)
        assert loaded.problems == (), path
        assert len(loaded.items) == len(raw)
        for record in raw:
            answer = loaded.items[record.get("question_id", record.get("uid"))]
            assert answer.turns == text_of(record)
            assert answer.token_len == length_of(record)


def test_average_lengths_are_those_of_the_published_tables(shared_data):
    folder = shared_data / "arena-hard-ru" / "model_answer"
    averages = {
        path.stem: int(sum(answer.token_len or 0 for answer in load_answers(path).items.values()) / 500)
        for path in folder.glob("*.jsonl")
    }
    assert averages[BASELINE] == 801
    assert averages["Qwen2-7B-Instruct"] == 554
    assert averages["aya-23-8B"] == 834


def test_the_published_judgments_are_ties_of_the_baseline_with_itself_and_current(shared_data):
    bench = Bench.open(shared_data, "arena-hard-ru")
    (judge,) = bench.judges()
    (model,) = bench.judged_models(judge)
    loaded = load_judgments(bench.paths.judgments(judge, model))
    questions = {question.id: question for question in bench.questions().items}
    answers = bench.answers(model).items

    assert model == BASELINE
    assert loaded.problems == ()
    assert len(loaded.items) == 112
    for judgment in loaded.items.values():
        assert judgment.labels == ("A=B", "A=B")
        turns, answer = questions[judgment.question_id].turns, answers[judgment.question_id].turns
        shortened = (answer[0][:-1],)
        for compared, expected in ((answer, True), (shortened, False)):
            assert expected == is_current(
                judgment,
                baseline=BASELINE,
                inputs=inputs_digest(turns, answer, compared),
                question_turns=turns,
                baseline_turns=answer,
                model_turns=compared,
            )


def test_ten_models_with_five_thousand_answers_load_in_a_moment(shared_data):
    files = sorted((shared_data / "arena-hard-ru" / "model_answer").glob("*.jsonl"))
    began = time.process_time()
    count = sum(len(load_answers(path).items) for path in files)
    assert count == 5000
    assert time.process_time() - began < 3.0  # CPU seconds; about 0.5 where nothing else runs
