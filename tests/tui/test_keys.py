"""One table of keys: no screen binds around it, and a letter means one thing on all screens."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import arena_tui
from arena_tui.keys import KEYS, bind

PAGE = Path(__file__).resolve().parents[2] / "docs" / "terminal-ui.md"
NAMED = {"up", "down", "left", "right", "enter", "space", "escape", "backspace", "tab", "shift+tab", "home", "end"}
NAMED |= {"pageup", "pagedown"}  # act on what has the focus
SIGNS = {"question_mark": "?", "slash": "/", "number_sign": "#", "exclamation_mark": "!", "plus": "+"}
SIGNS |= {"equals_sign": "="}


def bindings() -> Iterator[tuple[type[DOMNode], Binding]]:
    """All bindings that classes of the program declare, one for each key."""
    for module in pkgutil.walk_packages(arena_tui.__path__, "arena_tui."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting: list[type[DOMNode]] = [DOMNode]
    while waiting:
        node = waiting.pop()
        waiting += node.__subclasses__()
        if node.__module__.startswith("arena_tui."):
            for binding in Binding.make_bindings(node.__dict__.get("BINDINGS", ())):
                yield node, binding


def test_a_letter_means_one_thing():
    taken: dict[str, str] = {}
    for meaning, line in KEYS.items():
        for key in line.keys.split(","):
            assert key in NAMED or taken.setdefault(key, meaning) == meaning, f"{key}: {taken[key]} and {meaning}"


def test_every_screen_binds_through_the_table():
    found = list(bindings())
    assert len({node for node, _ in found}) > 12, "the screens are found"
    for node, binding in found:
        where = f"{node.__name__}: {binding.key}"
        assert binding.id in KEYS, f"{where} is not bound by arena_tui.keys.bind"
        assert binding.key in KEYS[binding.id].keys.split(","), where  # type: ignore[index]


def test_a_key_of_another_line_is_refused():
    assert bind("search").action == "search"
    with pytest.raises(ValueError, match="not a key of 'search'"):
        bind("search", key="f")


def test_the_documentation_lists_every_key():
    """A row for each letter, digit or sign that a screen binds, in the order and the words of the table."""
    bound = {binding.id for _, binding in bindings()}
    rows = [
        f"| {' '.join(f'`{SIGNS.get(key, key)}`' for key in keys)} | {line.description} |"
        for meaning, line in KEYS.items()
        if meaning in bound
        and (keys := [key for key in line.keys.split(",") if key not in NAMED and key[-2:-1] != "+"])
    ]
    shown = re.findall(r"^\| `[^|]*\|.*$", PAGE.read_text("utf-8").partition("## Keys")[2], re.MULTILINE)
    assert shown == rows
