"""Durations are told from a clock that nobody can set."""

from __future__ import annotations

import time

from engine.events import SteadyClock, steady_now


def test_a_machine_whose_clock_is_set_back_or_forth_changes_no_duration():
    wall, steady = [1_000_000.0], [50.0]
    now = SteadyClock(lambda: wall[0], lambda: steady[0])
    began = now()
    assert began == 1_000_000.0
    wall[0] -= 3600
    steady[0] += 7
    assert now() - began == 7.0


def test_it_tells_unix_time():
    assert abs(steady_now() - time.time()) < 60
