"""The history of a run: nothing is lost when steps become longer, and what was drawn stays where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from arena_tui.output.forest import UNICODE
from arena_tui.run.run_panel import score_lines, sparkline
from arena_tui.run.run_tables import shared_lines
from arena_tui.session.history import KEPT, RunHistory
from arena_tui.theme import Inks
from engine.ratings.leaderboard import Row


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def history_of(pauses: list[float]) -> tuple[RunHistory, Clock]:
    clock = Clock()
    history = RunHistory(clock)
    for pause in pauses:
        clock.now += pause
        history.add(0.5, 10)
    return history, clock


@given(st.lists(st.floats(0.0, 500.0), max_size=60), st.integers(1, 80))
def test_every_call_is_in_one_step_however_long_the_run(pauses, most):
    history, _ = history_of(pauses)
    history.end()
    moments = history.moments(most)
    assert len(moments) <= most
    assert len(history._calls) <= KEPT
    assert sum(moment.calls * moment.length for moment in moments) == pytest.approx(len(pauses))
    assert sum(moment.tokens * moment.length for moment in moments) == pytest.approx(10 * len(pauses))
    assert all(moment.latency == pytest.approx(0.5) for moment in moments if moment.calls)


def test_a_step_is_shown_when_it_is_over_and_then_stays():
    history, clock = history_of([0.1, 0.1])
    assert history.moments(10) == []
    clock.now = 101.5
    first = history.moments(10)
    assert [moment.calls for moment in first] == [2.0]
    history.add(0.5, 10)
    clock.now = 102.2
    assert history.moments(10)[0] == first[0]
    assert [moment.calls for moment in history.moments(10)] == [2.0, 1.0]
    assert [moment.calls for moment in history.moments(1)] == [1.5]


def test_a_server_that_does_not_answer_is_a_gap():
    history, clock = history_of([0.5])
    clock.now = 105.0
    assert [moment.calls for moment in history.moments(10)] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert history.moments(10)[2].latency is None


@given(st.lists(st.floats(0.0, 1e6), max_size=50))
def test_a_sparkline_has_a_column_a_value_and_shows_all_that_is_not_nothing(values):
    upper, lower = sparkline(values)
    assert len(upper) == len(lower) == len(values)
    for value, high, low in zip(values, upper, lower, strict=True):
        assert (low == " ") == (value == 0)
        assert high == " " or low == "█"
    if any(values):
        assert upper[values.index(max(values))] == "█"


@pytest.mark.parametrize(
    ("room", "wanted", "lines"),
    [
        (30, (8, 4, 3), [8, 4, 3]),
        (20, (30, 4, 10), [8, 4, 8]),
        (10, (30, 30, 30), [4, 3, 3]),
        (5, (30, 30, 30), [3, 3, 3]),
    ],
)
def test_lists_share_the_lines_until_each_has_what_it_wants(room, wanted, lines):
    assert shared_lines(room, wanted, (3, 3, 3)) == lines


def row(model: str, score: float, reach: float) -> Row:
    return Row(
        rank=1,
        model=model,
        score=score,
        lower=score - reach,
        upper=score + reach,
        avg_tokens=None,
        questions=9,
        games=18,
        unparsed=0,
        missing=0,
    )


def drawn(rows: list[Row], room: int = 20) -> list[str]:
    ink = Inks(*(Style() for _ in range(6)))
    return [line.plain for line in score_lines(rows, "base", 45, room, UNICODE, ink)]


def test_intervals_narrow_on_a_scale_that_changes_in_few_steps():
    lines = [drawn([row("strong", 60.0, reach), row("base", 50.0, 0.0)])[0] for reach in (14.0, 10.0, 6.0)]
    widths = [line.count("━") for line in lines]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 3
    assert [line.index("●") for line in lines].count(lines[0].index("●")) == 3


def test_models_without_room_are_counted():
    rows = [row(f"model-{number}", 60.0 - number, 3.0) for number in range(30)]
    lines = drawn(rows, room=12)
    assert len(lines) == 12
    assert lines[-1] == "21 more: 2"
    assert len(drawn(rows, room=40)) == 32
