"""What a settings digest stands for, and how it differs from today's settings."""

from __future__ import annotations

import pytest

from engine.bench import Bench
from engine.bench.settings import describe_difference, load_settings, register_settings
from engine.errors import StorageError

OLD = {"model": "/m/aya", "sampling": {"temperature": 0.0, "max_tokens": 1520, "seed": None}, "system_prompt": "Short."}
NEW = {"model": "/m/aya", "sampling": {"temperature": 0.0, "max_tokens": 4096, "seed": 7}, "system_prompt": "Short."}


def test_a_difference_names_what_was_and_what_is_now():
    assert describe_difference(OLD, NEW) == "sampling.max_tokens=1520 (now 4096), no sampling.seed (now 7)"
    assert describe_difference(NEW, OLD) == "sampling.max_tokens=4096 (now 1520), sampling.seed=7 (now none)"


def test_a_long_text_is_only_said_to_be_another():
    assert describe_difference({"prompt": "a" * 500}, {"prompt": "b" * 500}) == "another prompt"
    assert describe_difference({"prompt": "a"}, {"prompt": "b"}) == "prompt=a (now b)"


def test_equal_settings_have_no_difference():
    assert describe_difference(OLD, dict(OLD)) == ""


def test_settings_are_kept_once_each(bench):
    register_settings(bench.settings, {"d1": OLD})
    register_settings(bench.settings, {"d1": OLD, "d2": NEW})
    register_settings(bench.settings, {"d2": NEW})
    assert load_settings(bench.settings) == {"d1": OLD, "d2": NEW}
    assert bench.settings.read_bytes().count(b"\n") == 2


def test_settings_that_cannot_be_written_are_told(bench):
    bench.settings.symlink_to(bench.root / "absent" / "settings.jsonl")
    with pytest.raises(StorageError):
        register_settings(bench.settings, {"d1": OLD})


def test_a_torn_line_of_settings_only_costs_its_explanation(bench):
    register_settings(bench.settings, {"d1": OLD})
    with bench.settings.open("ab") as stream:
        stream.write(b'{"settings":"d2"')
    register_settings(bench.settings, {"d3": NEW})
    assert load_settings(bench.settings) == {"d1": OLD, "d3": NEW}


def test_old_settings_are_compared_with_those_of_today_that_come_closest(bench):
    facade = Bench(bench.root)
    facade.register_settings({"old": OLD})
    judge = {"judge": "llama", "prompt": "simple"}
    assert facade.describe_settings("old", {"judge": judge, "new": NEW}).startswith(
        "sampling.max_tokens=1520 (now 4096)"
    )
    assert "unheard-of" in facade.describe_settings("unheard-of", {"new": NEW})
