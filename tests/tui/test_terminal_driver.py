"""A terminal that stalls or goes away holds nobody up."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time

from arena_tui.terminal_driver import PatientStream

LINE = "x" * 1000


class StallingTerminal(io.StringIO):
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.asked = threading.Event()

    def write(self, text: str) -> int:
        self.asked.set()
        self.open.wait(10)
        return super().write(text)


def test_text_reaches_the_terminal_in_order():
    terminal = io.StringIO()
    stream = PatientStream(terminal, repaint=lambda: None)
    for number in range(1000):
        stream.write(f"{number} ")
    stream.close()
    assert terminal.getvalue().split() == [str(number) for number in range(1000)]


def test_a_stalled_terminal_costs_the_writer_nothing_and_is_painted_anew_afterwards():
    terminal, repainted = StallingTerminal(), threading.Event()
    stream = PatientStream(terminal, repainted.set, most_waiting=10_000)
    stream.write("first")
    assert terminal.asked.wait(60)
    for _ in range(10_000):
        stream.write(LINE)
    assert not repainted.is_set()
    terminal.open.set()
    assert repainted.wait(60)
    stream.write("last")
    stream.close()
    assert terminal.getvalue().startswith("first")
    assert terminal.getvalue().endswith("last")
    assert len(terminal.getvalue()) < 20_000  # the frames between were dropped


def test_a_terminal_that_is_gone_is_marked_lost_and_accepts_writes():
    reader, writer = os.openpty()
    terminal = os.fdopen(writer, "w")
    stream = PatientStream(terminal, repaint=lambda: None)
    os.close(reader)
    deadline = time.monotonic() + 60
    while not stream.lost:
        stream.write(LINE)
        assert time.monotonic() < deadline
    stream.write(LINE)
    stream.close()
    with contextlib.suppress(OSError):  # what is in its buffer has nowhere to go
        terminal.close()


def test_a_frame_larger_than_all_that_may_wait_is_painted_anew():
    repainted = threading.Event()
    stream = PatientStream(io.StringIO(), repainted.set, most_waiting=10)
    stream.write(LINE)
    assert repainted.wait(60)
    stream.close()
