"""Advice of the engine and how the command line phrases it."""

from __future__ import annotations

import msgspec
import pytest

from arena_tui.advice import SPELLINGS, phrase, title
from arena_tui.output.json_text import json_text
from engine.errors import Advice, AdviceKind, ConfigError, ConfigProblem


class Result(msgspec.Struct):
    warnings: list[str]


@pytest.mark.parametrize("kind", AdviceKind)
def test_every_kind_of_advice_has_a_spelling(kind: AdviceKind):
    phrased = phrase(Advice("do it", kind, values=("first", "second")))
    assert phrased.startswith(("do it: ", "do it ("))
    assert kind in SPELLINGS
    assert "{" not in phrased


def test_advice_is_a_text_that_is_complete_without_its_kinds():
    advice = Advice("start the server", AdviceKind.SERVE, values=("weak",))
    assert advice == "start the server"
    assert (advice.kinds, advice.values) == ((AdviceKind.SERVE,), ("weak",))
    assert phrase(advice) == "start the server: `arena-tui serve weak`"
    assert phrase("plain") == "plain"


def test_several_kinds_are_listed():
    assert phrase(Advice("name another", AdviceKind.OUT, AdviceKind.OVERWRITE)) == "name another (--out, --force)"


def test_json_has_the_phrased_text():
    board = Result([Advice("recreate them", AdviceKind.REFRESH_STALE), "plain"])
    assert "recreate them: `run --refresh stale`" in json_text(board)


def test_hints_inside_a_config_error_are_phrased():
    error = ConfigError("config.toml", [ConfigProblem("file", "does not exist", Advice("try", AdviceKind.DEMO))])
    assert error.title.endswith("does not exist (try)")
    assert title(error).endswith("does not exist (try: `arena-tui --demo`)")
