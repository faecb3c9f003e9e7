"""What a stop rule came to is told in words, in a table and in JSON, with a warning of the other intervals."""

from __future__ import annotations

import json

import pytest

from arena_tui.output.json_text import json_text
from arena_tui.output.progress import summary_line
from arena_tui.output.stop_rule import control_words, format_stop_report, standing_words, verdict_words
from engine.events import StageStarted, StandingChanged, StopRuleSet, TaskKey, TaskPlanned, TaskStopped
from engine.ratings.stop_rule import ErrorControl, Standing, stop_cautions, stop_report
from engine.work.progress import RunSpeed, RunState
from engine.work.reducer import reduce

BETTER = Standing("better", 44, 71.25, 55.04, 83.0, decided_after=41)
ALONE = ErrorControl(models=1)
OPEN = Standing("undecided", 41, 52.0, 40.0, 64.0)


@pytest.mark.parametrize(
    ("standing", "told"),
    [
        (BETTER, "m is better than base after 41 questions: score 71.2 [55.0, 83.0]"),
        (Standing("precise", 300, 52.0, 49.6, 54.4), "m is known precisely enough after 300 questions: score 52.0"),
        (Standing("budget", 1), "m was undecided when the budget was used up, after 1 question"),
        (OPEN, "m is undecided after 41 questions: score 52.0 [40.0, 64.0]"),
        (
            Standing("worse", 60, 40.0, 30.0, 50.0, -12.0, -20.0, -4.0),
            "m is worse than base after 60 questions: difference -12.0 [-20.0, -4.0], score 40.0 [30.0, 50.0]",
        ),
    ],
)
def test_a_verdict_is_a_sentence_with_its_limits(standing, told):
    assert verdict_words("m", standing, "base").startswith(told)


def test_names_cannot_steer_a_terminal():
    assert "\x1b" not in verdict_words("m\x1b[2J", BETTER, "ba\x1bse")
    assert "\x1b" not in format_stop_report(stop_report("decided:ba\x1bse", "ba\x1bse", {"m\x1b[2J": BETTER}, ALONE))


def test_the_table_has_a_line_a_model_and_says_whom_it_was_compared_with():
    standings = {"m": Standing("worse", 60, 40.0, 30.0, 50.0, -12.0, -20.0, -4.0), "rival": OPEN}
    lines = format_stop_report(stop_report("decided:rival", "rival", standings, ErrorControl(0.05, 2))).split("\n")
    assert "--until decided:rival" in lines[0]
    assert "any-time 95% limits" in lines[1]
    assert "against rival" in lines[1]
    assert "-12.0 [-20.0, -4.0]" in lines[2]
    assert "reference" in lines[3]
    assert lines[4] == "wrong decisions: at most 5% of runs have any among 2 models"


def test_json_has_the_limits_of_every_model():
    told = json.loads(json_text(stop_report("decided", "base", {"m": BETTER, "n": OPEN}, ErrorControl(0.01, 2))))
    assert (told["rule"], told["opponent"], told["minimum_questions"]) == ("decided", "base", 7)
    assert (told["alpha"], told["family"]) == (0.01, 2)
    assert told["models"][0] == {
        "model": "m",
        "verdict": "better",
        "questions": 44,
        "score": 71.25,
        "lower": 55.04,
        "upper": 83.0,
        "difference": None,
        "difference_lower": None,
        "difference_upper": None,
        "decided_after": 41,
        "margin": None,
    }


def test_who_was_stopped_is_warned_of_and_where_nobody_was_nothing_is_said():
    (caution,) = stop_cautions(stop_report("decided", "base", {"m": BETTER, "n": OPEN}, ALONE))
    assert "stopped early by decided for m" in caution
    assert "confidence sequence" in caution
    assert stop_cautions(stop_report("decided", "base", {"n": OPEN}, ALONE)) == []


def test_the_level_of_the_decisions_is_in_words():
    assert control_words(ErrorControl(0.05, 10)) == "wrong decisions: at most 5% of runs have any among 10 models"
    assert control_words(ErrorControl(0.001, 1)) == "wrong decisions: at most 0.1% of runs, for each model alone"
    assert control_words(ErrorControl()) == ""


def test_progress_tells_how_many_are_decided_and_counts_only_what_is_still_to_come():
    state = RunState()
    task = TaskKey("judgments", "m", "judge")
    for event in (
        TaskPlanned(task, 500, 40),
        StopRuleSet("decided", "base"),
        StandingChanged("m", BETTER),
        StandingChanged("n", OPEN),
        TaskStopped(task),
    ):
        state = reduce(state, event)
    assert standing_words(state) == "1 of 2 models decided"
    assert standing_words(RunState()) == ""
    line = summary_line(reduce(state, StageStarted("judgments", 1.0)), RunSpeed(0.0, 0.0, 0.0, None))
    assert "judgments: 40/40 (100%)" in line
    assert line.endswith("1 of 2 models decided")
