"""What is still wanted under a stop rule: how far ahead work may go, what counts against a budget, what is spared."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import UsageProblem
from engine.events import Event, RecordFailed, RecordSaved, StandingChanged, StopRuleSet, TaskKey, TaskStopped
from engine.labels import Label
from engine.pairing import Pairing
from engine.ratings.stop_rule import ErrorControl, parse_stop_rule
from engine.records import Game, GamePart, Question
from engine.work.jobs import JudgeJob, OpenGame
from engine.work.participants import Participants
from engine.work.plan import Plan
from engine.work.stopping import EarlyStop
from engine.work.tasks import Task

QUESTIONS = [Question(f"q{n:03}", ("?",)) for n in range(200)]
WIN: tuple[Label, Label] = ("B>A", "A>B")
LOSS: tuple[Label, Label] = ("A>B", "B>A")


def answers(model: str) -> TaskKey:
    return TaskKey("answers", model)


def judging(model: str, judge: str = "judge") -> TaskKey:
    return TaskKey("judgments", model, judge)


def job(model: str, question: Question, judge: str = "judge") -> JudgeJob:
    return JudgeJob(judging(model, judge), question, "base", ("a",), ("b",), "s", "i", asks=3)


def found(*models: str, there: Sequence[tuple[Label, Label]] = (), judges: Sequence[str] = ("judge",)) -> Plan:
    """A plan of all answers, where the judgments of the first questions of each model are cached."""
    cached = {question.id: labels for question, labels in zip(QUESTIONS, there, strict=False)}
    awaited = [question for question in QUESTIONS if question.id not in cached]
    return Plan(
        Participants(["base", *models], models, judges, Pairing(("base",))),
        QUESTIONS,
        [
            Task(answers(model), 200, len(cached), jobs=[SimpleNamespace()] * len(awaited))
            for model in ("base", *models)
        ],  # type: ignore[list-item]
        [
            Task(judging(model, judge), 200, len(cached), awaited=awaited, labels=cached)
            for judge in judges
            for model in models
        ],
        dict.fromkeys(judges),  # type: ignore[arg-type]
        {},
    )


class Desk:
    """An early stop, and the events that it sent."""

    def __init__(self, until: str, plan: Plan) -> None:
        self.events: list[Event] = []
        self.stop = EarlyStop(parse_stop_rule(until), plan, self.events.append)

    def judge(self, model: str, numbers: range, labels: Sequence[Label | None] = WIN, judge: str = "judge") -> None:
        for number in numbers:
            self.stop.handle(RecordSaved(judging(model, judge), QUESTIONS[number].id, labels=tuple(labels)))

    def wants(self, task: TaskKey, number: int = 0) -> bool:
        return self.stop.wants(SimpleNamespace(job=SimpleNamespace(task=task, question=QUESTIONS[number])))  # type: ignore[arg-type]

    def stopped(self) -> list[TaskKey]:
        return [event.task for event in self.events if isinstance(event, TaskStopped)]

    def standings(self) -> dict[str, Any]:
        return {event.model: event.standing for event in self.events if isinstance(event, StandingChanged)}


def test_a_decided_model_gets_no_more_answers_or_games_and_the_others_continue() -> None:
    desk = Desk("decided", found("good", "even"))
    assert desk.wants(answers("good"))
    desk.judge("good", range(31))
    assert desk.standings()["good"].verdict == "better"
    assert not desk.wants(answers("good"))
    assert not desk.wants(judging("good"))
    assert not desk.stop.permits(judging("good"))
    assert desk.wants(answers("even"))
    assert desk.wants(answers("base")), "the other model is still compared with it"
    assert desk.stopped() == [answers("good"), judging("good")]
    desk.judge("even", range(31), LOSS)
    assert not desk.wants(answers("base"))
    assert set(desk.stopped()) == {answers(m) for m in ("base", "good", "even")} | {
        judging(m) for m in ("good", "even")
    }


def test_what_is_on_disk_decides_before_anything_is_asked() -> None:
    desk = Desk("decided", found("m", there=[WIN] * 40))
    assert desk.standings()["m"].verdict == "better"
    assert not desk.wants(answers("base"))
    assert desk.events[0] == StopRuleSet("decided", "base", ErrorControl(models=1))


def test_work_runs_ahead_of_what_has_counted_by_a_bounded_number_of_questions() -> None:
    desk = Desk("decided", found("m", "n"))
    assert (desk.stop.limit("answers"), desk.stop.limit("judgments")) == (10, 10)
    desk.judge("m", range(1, 28), ("A=B", "A=B"))
    assert desk.stop.limit("answers") == 10, "the first question is still out, so nothing has counted"
    desk.judge("m", range(1), ("A=B", "A=B"))
    assert desk.stop.limit("answers") == 28 + 10
    desk.judge("m", range(28, 80), ("A=B", "A=B"))
    assert desk.stop.limit("judgments") == 80 + 20, "the open model that has come furthest leads"


def test_answers_that_must_all_be_made_first_wait_for_no_judgment() -> None:
    desk = Desk("decided", found("m"))
    desk.stop.judge_waits("judge")
    assert (desk.stop.limit("answers"), desk.stop.limit("judgments")) == (None, 10)
    capped = Desk("decided,calls:60", found("m"))
    capped.stop.judge_waits("judge")
    assert capped.stop.limit("answers") is None, "an answer that waited for a judge would hold that judge up"
    assert capped.wants(answers("m"), 29)
    assert not capped.wants(answers("m"), 30), "60 calls judge no more than 30 questions"
    assert not capped.wants(answers("base"), 30)
    assert capped.wants(answers("bystander"), 30)


def test_a_budget_of_calls_is_kept_to_the_call_and_counts_what_was_made_before() -> None:
    desk = Desk("calls:70", found("m", there=[WIN] * 30))
    assert desk.stop.calls == 60
    assert [desk.stop.permits(judging("m")) for _ in range(12)] == [True] * 10 + [False] * 2
    assert not desk.wants(judging("m"))
    assert not desk.stop.permits(answers("base"))
    assert desk.standings()["m"].verdict == "undecided", "what is in flight may still decide"
    desk.stop.end()
    assert desk.standings()["m"].verdict == "budget"


def test_calls_for_models_that_are_whole_are_not_counted_and_those_of_unfinished_games_are() -> None:
    plan = found("m", "whole", there=[WIN] * 30)
    whole = Task(judging("whole"), 30, 30, labels=plan.judgments[1].labels)
    begun = job("m", QUESTIONS[40])
    begun.parts[1] = GamePart("q040", "m", "judge", "s", "i", 1, Game("", "", None, asks=3))
    task = Task(judging("m"), 200, 30, jobs=[begun], labels=plan.judgments[0].labels)
    desk = Desk("calls:70", Plan(plan.participants, QUESTIONS, plan.answers, [task, whole], plan.judging, {}))
    assert desk.stop.calls == 2 * 30 + 3


def test_a_budget_that_is_used_up_while_the_last_calls_decide_leaves_the_verdict_to_them() -> None:
    desk = Desk("decided,calls:60", found("m"))
    desk.judge("m", range(17))
    desk.stop.expire()
    desk.judge("m", range(17, 18))
    desk.stop.end()
    assert desk.standings()["m"].verdict == "better"


def test_time_that_is_up_also_ends_answers_of_models_that_are_not_judged() -> None:
    desk = Desk("minutes:5", found("m"))
    assert desk.wants(answers("bystander"))
    desk.stop.expire()
    assert not desk.wants(answers("bystander"))


def test_judgments_that_fail_or_lack_an_answer_delay_no_decision() -> None:
    desk = Desk("decided", found("m"))
    desk.judge("m", range(2, 40))
    assert desk.standings()["m"].questions == 0
    desk.stop.handle(RecordFailed(judging("m"), "q000", "timeout", ""))
    desk.stop.skip_judgment(judging("m"), "q001")
    assert (desk.standings()["m"].questions, desk.standings()["m"].verdict) == (38, "better")


def test_questions_that_cannot_be_judged_are_passed_over_from_the_start() -> None:
    plan = found("m")
    task = Task(judging("m"), 199, 0, awaited=QUESTIONS[1:])
    desk = Desk("decided", Plan(plan.participants, QUESTIONS, plan.answers, [task], plan.judging, {}))
    desk.judge("m", range(1, 31))
    assert desk.standings()["m"].verdict == "better"


def test_a_question_waits_for_all_judges_and_a_judge_that_is_lost_ends_the_work() -> None:
    desk = Desk("decided", found("m", judges=("one", "two")))
    desk.judge("m", range(40), judge="one")
    assert desk.standings()["m"].questions == 0
    desk.stop.judge_lost("two")
    assert not desk.wants(answers("base"))
    assert desk.stopped() == [], "what is left is still to be done"
    desk.stop.end()
    assert desk.standings()["m"].verdict == "undecided", "no budget was used up"


def test_answers_that_no_judgment_waits_for_have_no_limit_once_the_judge_is_lost() -> None:
    desk = Desk("decided", found("m"))
    assert desk.stop.limit("answers") == 10
    desk.stop.judge_lost("judge")
    assert desk.stop.limit("answers") is None, "no more judgments come that could raise a limit"
    assert desk.wants(answers("bystander"), 150)


def test_every_change_of_what_is_wanted_has_a_revision_of_its_own() -> None:
    desk = Desk("decided", found("m"))
    revisions = [desk.stop.revision]
    desk.judge("m", range(1))
    revisions.append(desk.stop.revision)
    desk.stop.judge_waits("judge")
    revisions.append(desk.stop.revision)
    desk.stop.expire()
    revisions.append(desk.stop.revision)
    assert len(set(revisions)) == 4


def test_a_named_opponent_is_kept_until_the_last_model_is_decided() -> None:
    desk = Desk("decided:rival", found("m", "rival"))
    assert desk.events[0] == StopRuleSet("decided:rival", "rival", ErrorControl(models=1))
    desk.judge("rival", range(40), LOSS)
    assert desk.wants(answers("rival"))
    desk.judge("m", range(40), WIN)
    assert desk.standings()["m"].difference == pytest.approx(100.0)
    assert not desk.wants(answers("rival"))


def test_a_rule_without_judgments_is_refused() -> None:
    plan = found("m")
    with pytest.raises(UsageProblem, match="nothing is judged"):
        Desk("decided", Plan(plan.participants, QUESTIONS, plan.answers, [], {}, {}))
    with pytest.raises(UsageProblem, match="no such model"):
        Desk("decided:nobody", plan)


def test_of_several_baselines_the_first_decides_and_the_games_against_the_others_end_with_it() -> None:
    plan = found("m", "second")
    baselines = Participants(["base", "second", "m"], ["m", "second"], ["judge"], Pairing(("base", "second")))
    against_second = TaskKey("judgments", "m", "judge", "second")
    more = [*plan.judgments, Task(against_second, 200, 0, awaited=QUESTIONS)]
    desk = Desk("decided", Plan(baselines, QUESTIONS, plan.answers, more, plan.judging, {}))
    for question in QUESTIONS[:40]:
        desk.stop.handle(RecordSaved(against_second, question.id, labels=LOSS))
    assert desk.standings()["m"].questions == 0
    desk.judge("second", range(31), WIN)
    assert desk.wants(answers("second")), "the other model is still compared with it"
    assert desk.wants(against_second)
    desk.judge("m", range(31), WIN)
    assert desk.standings()["m"].verdict == "better"
    assert not desk.wants(against_second)
    assert not desk.wants(answers("second"))


def test_units_of_games_and_answers_are_asked_about_by_their_task() -> None:
    desk = Desk("decided", found("m", there=[WIN] * 40))
    assert not desk.stop.wants(OpenGame(job("m", QUESTIONS[50]), 1))
    assert desk.stop.permits(None)
