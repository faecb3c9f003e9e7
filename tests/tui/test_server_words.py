"""Servers that a run starts: their log lines, and their state in the endpoint table."""

from __future__ import annotations

import io

from arena_tui.output.progress import PlainDisplay
from arena_tui.session.run_watch import RunWatch, ServerLines, busy_servers, stage_words
from engine.events import ServerChanged
from engine.work.progress import RunState
from engine.work.reducer import reduce


def changed(status: str, at: float, stage: str = "", share: float | None = None, **more: str) -> ServerChanged:
    return ServerChanged("aya", ("aya", "polite"), status, at, stage, share, **more)  # type: ignore[arg-type]


A_START = (
    changed("waiting", 0.0, "for its turn"),
    changed("starting", 10.0, "importing Python packages", devices="0,1"),
    changed("starting", 20.0, "loading weights"),
    changed("starting", 21.0, "loading weights", 0.5),
    changed("starting", 22.0, "loading weights", 1.0),
    changed("ready", 40.0, address="http://127.0.0.1:8/v1", detail="context 8192 tokens"),
)


def test_a_start_is_a_line_for_each_stage_and_not_for_each_percent():
    lines = ServerLines()
    assert [line for event in A_START if (line := lines.line(event))] == [
        "server aya: importing Python packages on GPU 0,1",
        "server aya: loading weights",
        "server aya: ready (context 8192 tokens)",
    ]


def test_where_stages_are_shown_otherwise_only_a_new_status_is_a_line():
    lines = ServerLines(stages=False)
    assert [line for event in A_START if (line := lines.line(event))] == [
        "server aya: starting on GPU 0,1",
        "server aya: ready (context 8192 tokens)",
    ]


def test_plain_progress_and_the_log_of_the_ui_show_the_same():
    stream, watch = io.StringIO(), RunWatch()
    display = PlainDisplay(stream)
    for event in A_START:
        display.notice(event)
        watch(event)
    assert stream.getvalue().splitlines() == [entry.text for entry in reversed(watch.entries())]


def test_what_a_server_says_is_never_obeyed_by_a_terminal():
    hostile = ServerLines().line(changed("failed", 1.0, detail="\x1b[2Jboom"))
    assert hostile is not None
    assert "\x1b" not in hostile


def test_the_state_counts_starts_and_shows_progress_and_duration():
    states = [RunState()]
    for event in A_START:
        states.append(reduce(states[-1], event))
    loading, ready = states[4].servers["aya"], states[-1].servers["aya"]
    assert (states[0].doing, states[4].doing, states[-1].doing) == ("planning", "starting aya", "planning")
    assert (stage_words(loading), loading.since, loading.starts) == ("loading weights 50%", 10.0, 1)
    assert [name for name, _ in busy_servers(states[4])] == ["aya"]
    assert not busy_servers(states[-1])
    assert (ready.status, ready.started_in, ready.starts, ready.models) == ("ready", 30.0, 1, ("aya", "polite"))
    again = reduce(reduce(states[-1], changed("down", 50.0)), changed("starting", 51.0, "importing Python packages"))
    assert again.servers["aya"].starts == 2
    assert again.servers["aya"].address == "http://127.0.0.1:8/v1"
