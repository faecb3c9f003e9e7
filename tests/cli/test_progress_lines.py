"""What a run without UI says: each thing once, and nothing more once nobody can hear it."""

from __future__ import annotations

import io

import msgspec

from arena_tui.output.progress import SHOWN_FAILURES, open_display, server_lines, summary_line
from engine.events import Event, RecordFailed, ServerChanged, TaskKey, steady_now
from engine.work.progress import RunSpeed, RunState, ServerState
from engine.work.reducer import reduce

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


def test_a_server_that_starts_shows_for_how_long_and_how_long_its_last_start_took():
    server = ServerState(("good",), "starting", steady_now() - 65.0, "loading weights", 0.5, started_in=90.0)
    (line,) = server_lines(RunState(servers={"good": server}))
    assert line.startswith("server good: loading weights 50% for 1:05")
    assert line.endswith("(the last start took 1:30)")


def test_the_first_start_of_a_server_shows_what_earlier_runs_recorded():
    started = ServerChanged("good", ("good",), "starting", steady_now() - 65.0, "loading weights", 0.5, expected=90.0)
    later = msgspec.structs.replace(started, share=0.75, expected=None)
    (line,) = server_lines(reduce(reduce(RunState(), started), later))
    assert line == "server good: loading weights 75% for 1:05 (expected: about 1:30)"


def test_an_eta_that_is_not_known_is_left_out():
    assert "ETA" not in summary_line(RunState(), RunSpeed(0.0, 0.0, 0.0, None))
    assert "ETA 1:00" in summary_line(RunState(), RunSpeed(1.0, 1.0, 1.0, 60.0))
