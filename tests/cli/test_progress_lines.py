"""What a run without UI says: each thing once, and nothing more once nobody can hear it."""

from __future__ import annotations

import io

from arena_tui.output.progress import SHOWN_FAILURES, open_display
from engine.events import Event, RecordFailed, TaskKey
from engine.work.progress import RunState

ANSWERS = TaskKey("answers", "poor")


def failures(count: int, message: str = "HTTP 500: trouble") -> list[Event]:
    return [RecordFailed(ANSWERS, f"q{number}", "server", message) for number in range(count)]


def said(events: list[Event]) -> list[str]:
    stream = io.StringIO()
    display = open_display(stream)
    for event in events:
        display.notice(event)
    return stream.getvalue().splitlines()


def test_five_hundred_failures_that_say_the_same_are_one_line():
    assert said(failures(500)) == ["failed: poor, question q0: server: HTTP 500: trouble"]


def test_of_failures_that_differ_the_first_few_of_a_kind_are_shown():
    lines = said([event for number in range(20) for event in failures(3, f"HTTP 500: trouble {number}")])
    assert len(lines) == SHOWN_FAILURES
    assert lines[-1].endswith("trouble 4 (more are only counted)")


class LostStream(io.StringIO):
    """A terminal whose other side has gone."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_stream_that_takes_nothing_more_ends_no_run():
    display = open_display(LostStream())
    for event in failures(3):
        display.notice(event)
    display.show(RunState(phase="running"))
    display.close(RunState(phase="interrupted"))
