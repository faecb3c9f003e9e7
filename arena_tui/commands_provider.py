"""The command palette: everything that a key does on the screen that is shown, and what has no key of its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from arena_tui.theme import THEMES

_MOVING = ("move", "scroll", "page", "cursor")  # actions that make no sense from a list of commands


class _Command(NamedTuple):
    title: str
    help: str
    run: IgnoreReturnCallbackType


class ArenaCommands(Provider):
    """Finds commands by their title."""

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(command.title, command.run, help=command.help or None)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            if (score := matcher.match(command.title)) > 0:
                yield Hit(score, matcher.highlight(command.title), command.run, help=command.help or None)

    def _commands(self) -> Iterator[_Command]:
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.action in seen or not binding.description or not active.enabled:
                continue
            if binding.action.startswith(_MOVING) or binding.system or binding.action.endswith("command_palette"):
                continue
            seen.add(binding.action)
            key = self.app.get_key_display(binding)
            action = partial(self.app.run_action, binding.action, active.node)
            yield _Command(f"{binding.description}  ({key})", binding.tooltip, action)
        for theme in THEMES:
            words = theme.name.removeprefix("arena-")
            yield _Command(f"Theme: {words}", "", partial(setattr, self.app, "theme", theme.name))
