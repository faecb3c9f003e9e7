"""Questions in a seeded random order; judge calls that share a prefix side by side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.events import TaskKey
from engine.records import Question
from engine.work.jobs import JudgeJob
from engine.work.plan import seeded_order
from engine.work.queue import question_major


def question(name: str) -> Question:
    return Question(name, (f"What is {name}?",))


def job(name: str, model: str, baseline: str = "base") -> JudgeJob:
    return JudgeJob(TaskKey("judgments", model, "judge"), question(name), baseline, ("a",), ("b",), "s", "i", asks=3)


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=30), st.integers(0, 99))
def test_the_order_depends_on_ids_and_seed_alone(names, seed):
    questions = [question(name) for name in names]
    assert seeded_order(questions, seed) == seeded_order(reversed(questions), seed)


def test_another_seed_gives_another_order():
    questions = [question(str(number)) for number in range(20)]
    assert seeded_order(questions, 1) != seeded_order(questions, 2)


def test_a_question_more_does_not_move_the_others():
    questions = [question(str(number)) for number in range(20)]
    more = seeded_order([*questions, question("new")])
    assert [q for q in more if q.id != "new"] == seeded_order(questions)


def test_games_of_one_question_are_neighbours_and_game_one_goes_first():
    jobs = [job(name, model) for model in ("small", "large") for name in ("q1", "q2")]
    games = [unit for each in jobs for unit in each.open_parts()]
    units = sorted(games, key=question_major([question("q1"), question("q2")], ["small", "large"]))
    assert [(u.job.question.id, u.number, u.job.task.model) for u in units] == [
        ("q1", 1, "small"),
        ("q1", 1, "large"),
        ("q1", 2, "small"),
        ("q1", 2, "large"),
        ("q2", 1, "small"),
        ("q2", 1, "large"),
        ("q2", 2, "small"),
        ("q2", 2, "large"),
    ]


def test_with_several_baselines_games_with_the_same_answer_in_front_go_together():
    games = [unit for base in ("b1", "b2") for model in ("m1", "m2") for unit in job("q", model, base).open_parts()]
    units = sorted(games, key=question_major([question("q")], ["m1", "m2"], ["b1", "b2"]))
    in_front = [unit.job.baseline if unit.number == 1 else unit.job.task.model for unit in units]
    assert in_front == ["b1", "b1", "b2", "b2", "m1", "m1", "m2", "m2"]
