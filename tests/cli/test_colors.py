"""Colours of help and messages, by the variables that programs agree on."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from arena_program import Open

from arena_tui.colors import wants_color

Arena = Callable[..., "CompletedProcess[str]"]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True, True),
    ],
)
def test_variables_decide(environ: dict[str, str], on_terminal: bool, elsewhere: bool):
    assert wants_color(Screen(), environ) is on_terminal
    assert wants_color(io.StringIO(), environ) is elsewhere


def test_help_and_errors_have_colours_where_they_are_forced_and_none_elsewhere(arena: Arena):
    for arguments, stream in ((("run", "--help"), "stdout"), (("-c", "/none.toml", "plan"), "stderr")):
        plain = getattr(arena(*arguments), stream)
        assert "\x1b" not in plain
        colored = getattr(arena(*arguments, env=os.environ | {"FORCE_COLOR": "1"}), stream)
        assert "\x1b[1" in colored
        assert "\x1b" not in getattr(arena(*arguments, env=os.environ | {"FORCE_COLOR": "1", "NO_COLOR": "1"}), stream)


def test_a_terminal_gets_colours_unless_it_is_dumb(terminal: Open):
    colored = terminal("run", "--help")
    colored.process.wait(60)
    colored.wait_for("Exit codes:")
    assert b"\x1b[1mExit codes:" in colored.written
    dumb = terminal("run", "--help", TERM="dumb")
    dumb.process.wait(60)
    dumb.wait_for("Exit codes:")
    assert b"\x1b" not in dumb.written
