"""Dev and test parts: in proportion, reproducible, kept when questions come later."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from engine.bench import Bench
from engine.bench.question_source import read_source
from engine.errors import UsageProblem
from engine.question_sets.splitting import assign, split_bench
from engine.records import Question

WORDS = ["river", "stone", "cloud", "lamp", "forest", "engine", "violin", "pepper", "glacier", "harbor"]


def question(number: int, category: str = "a") -> Question:
    words = [WORDS[(number * step + step) % 10] + str(number // step) for step in (1, 3, 7, 9, 11, 13, 17, 19, 23, 29)]
    return Question(str(number), (f"{number} " + " ".join(words),), category)


def sides(places: dict[str, str]) -> Counter[str]:
    return Counter(places.values())


QUESTIONS = [question(n, "ab"[n % 4 == 0]) for n in range(200)]


def test_the_parts_have_the_proportions_of_the_categories():
    places, _ = assign(QUESTIONS, 40, 1)
    assert sides(places) == {"dev": 40, "test": 160}
    assert Counter(each.category for each in QUESTIONS if places[each.id] == "dev") == {"a": 30, "b": 10}


def test_the_draw_follows_from_the_seed_and_not_from_the_order():
    places, _ = assign(QUESTIONS, 40, 1)
    assert assign(list(reversed(QUESTIONS)), 40, 1)[0] == places
    assert assign(QUESTIONS, 40, 2)[0] != places


def test_many_small_categories_are_drawn_without_regard_to_their_names():
    small = [question(n, f"topic {n // 2:03}") for n in range(200)]
    places, _ = assign(small, 50, 1)
    assert sides(places)["dev"] == 50
    early = sum(places[each.id] == "dev" for each in small[:100])
    assert 10 < early < 40


def test_near_duplicates_are_in_one_part():
    twins = [Question(f"{each.id}-twin", (each.turns[0] + "!",), each.category) for each in QUESTIONS[:20]]
    places, together = assign([*QUESTIONS, *twins], 40, 1)
    assert sides(places)["dev"] == 40
    assert together == 20
    assert all(places[twin.id] == places[twin.id.removesuffix("-twin")] for twin in twins)


def test_questions_that_were_placed_keep_their_part():
    first, _ = assign(QUESTIONS, 40, 1)
    more = [*QUESTIONS, *(question(n, "c") for n in range(200, 300))]
    second, _ = assign(more, 60, 1, first)
    assert all(second[key] == part for key, part in first.items())
    assert sides(second)["dev"] == 60


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "data" / "set"
    (root / "model_answer").mkdir(parents=True)
    (root / "model_judgment" / "j").mkdir(parents=True)
    (root / "review").mkdir()
    lines = {"question.jsonl": [], "model_answer/m.jsonl": [], "model_judgment/j/m.jsonl": [], "review/me.jsonl": []}
    for each in QUESTIONS:
        turns = [{"content": each.turns[0]}]
        lines["question.jsonl"].append({"question_id": each.id, "category": each.category, "turns": turns, "mine": 1})
        answer = [{"index": 0, "turns": [{"content": f"answer {each.id}", "token_len": 2}]}]
        lines["model_answer/m.jsonl"].append({"question_id": each.id, "model_id": "m", "choices": answer})
        games = [{"score": "A=B", "user_prompt": "", "judgment": "[[A=B]]"}] * 2
        lines["model_judgment/j/m.jsonl"].append({"question_id": each.id, "model": "m", "judge": "j", "games": games})
        lines["review/me.jsonl"].append({"question_id": each.id, "model": "m", "label": "A>B"})
    for name, records in lines.items():
        (root / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return Bench.open(tmp_path / "data", "set")


def ids(path: Path) -> list[str]:
    return [json.loads(line)["question_id"] for line in path.read_text().splitlines()]


def test_the_parts_are_benches_with_the_very_lines_of_the_set(bench):
    report = split_bench(bench, 40, 1)
    data = bench.paths.root.parent
    parts = [data / part.bench for part in report.parts]
    assert [part.name for part in parts] == ["set-dev", "set-test"]
    lines = bench.paths.questions.read_text().splitlines()
    both = [line for part in parts for line in (part / "question.jsonl").read_text().splitlines()]
    assert sorted(both) == sorted(lines)
    assert not (parts[0] / "model_answer").exists()
    source = read_source(Bench(parts[0]).paths)
    assert source is not None
    assert source.part_of is not None
    assert (source.part_of.of, source.part_of.seed, source.questions) == ("set", 1, 40)


def test_results_are_divided_with_their_questions(bench):
    report = split_bench(bench, 40, 1, with_results=True)
    assert [(part.answers, part.judgments) for part in report.parts] == [(40, 40), (160, 160)]
    for part in report.parts:
        root = bench.paths.root.parent / part.bench
        wanted = sorted(ids(root / "question.jsonl"))
        for name in ("model_answer/m.jsonl", "model_judgment/j/m.jsonl", "review/me.jsonl"):
            assert sorted(ids(root / name)) == wanted


def test_a_split_is_extended_by_new_questions_only(bench):
    split_bench(bench, 40, 1, with_results=True)
    data = bench.paths.root.parent
    before = {part: ids(data / f"set-{part}" / "question.jsonl") for part in ("dev", "test")}
    with bench.paths.questions.open("a") as stream:
        for number in range(200, 230):
            new = question(number)
            stream.write(
                json.dumps({"question_id": new.id, "category": "a", "turns": [{"content": new.turns[0]}]}) + "\n"
            )
    report = split_bench(Bench(bench.paths.root), 40, 1, with_results=True)
    assert report.extended
    assert [(part.questions, part.new) for part in report.parts] == [(40, 0), (190, 30)]
    assert ids(data / "set-dev" / "question.jsonl") == before["dev"]
    assert ids(data / "set-test" / "question.jsonl")[:160] == before["test"]
    assert len(ids(data / "set-test" / "model_answer" / "m.jsonl")) == 160


def test_parts_of_another_split_are_not_touched(bench):
    split_bench(bench, 40, 1)
    with pytest.raises(UsageProblem, match="seed 1"):
        split_bench(bench, 40, 2)
    (bench.paths.root.parent / "set-dev" / "source.json").unlink()
    with pytest.raises(UsageProblem, match="no part of a split"):
        split_bench(bench, 40, 1)


@pytest.mark.parametrize("dev", [0, 200, 500])
def test_a_part_without_questions_is_refused(bench, dev):
    with pytest.raises(UsageProblem, match="200 questions"):
        split_bench(bench, dev, 1)
