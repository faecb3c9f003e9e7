"""How a user gets around: the screens by number, and the command palette.

The palette lists commands of the current screen, then those of the other screens, then the themes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from arena_tui.theme import THEMES
from arena_tui.widgets.screens import MODES, ArenaScreen, Mode, ModeName, show_notice


def screen_class(name: ModeName) -> type[ArenaScreen]:
    """Return the class of the screen of a mode, imported on first use to keep the first frame quick."""
    match name:
        case "run":
            from arena_tui.run.run_screen import RunScreen

            return RunScreen
        case "leaderboard":
            from arena_tui.board.leaderboard_screen import LeaderboardScreen

            return LeaderboardScreen
        case "judgments":
            from arena_tui.judgments.judgments_screen import JudgmentsScreen

            return JudgmentsScreen
        case "review":
            from arena_tui.review.review_screen import ReviewScreen

            return ReviewScreen


# Actions that make no sense in a list of commands: moving, and opening or closing what is open already.
_LEFT_OUT = ("move", "scroll", "app.focus", "command_palette", "app.command_palette", "screen.copy_text", "show_mode")
# Actions on the item under the cursor, offered on its own screen only.
_ONLY_HERE = ("vote", "next_pair", "skip", "note", "undo", "copy", "step", "leave_note", "clear_search", "mark", "open")


class _Command(NamedTuple):
    title: str
    help: str
    run: IgnoreReturnCallbackType


class ArenaCommands(Provider):
    """Commands found by their title."""

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(command.title, command.run, help=command.help or None)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            if (score := matcher.match(command.title)) > 0:
                yield Hit(score, matcher.highlight(command.title), command.run, help=command.help or None)

    def _commands(self) -> Iterator[_Command]:
        yield from self._here()
        if isinstance(self.screen, ArenaScreen):
            others = [mode for mode in MODES if mode.name != self.app.current_mode]
            for mode in others:
                yield _Command(f"Go to {mode.title}  ({mode.key})", "", partial(self.app.switch_mode, mode.name))
            for mode in others:
                yield from self._there(mode)
        yield _Command("Save a screenshot (SVG)", "A picture of the screen, in the current folder", self._screenshot)
        if isinstance(self.screen, ArenaScreen) and self.screen.session.is_open:
            export = partial(self.app.run_action, "export_bench")
            yield _Command("Save the HTML report", "Scores, plots, audit, examples and judgments as one page", export)
        for theme in THEMES:
            words = theme.name.removeprefix("arena-")
            yield _Command(f"Theme: {words}", "", partial(setattr, self.app, "theme", theme.name))

    def _screenshot(self) -> None:
        from arena_tui.screenshot import save_screenshot

        save_screenshot(self.app)

    def _here(self) -> Iterator[_Command]:
        """Yield the commands enabled now; of several keys for one action, the one that the key bar shows."""
        chosen: dict[str, tuple[Binding, object]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not _is_command(binding) or not active.enabled:
                continue
            known = chosen.get(binding.action)
            if known is None or (binding.show and not known[0].show):
                chosen[binding.action] = binding, active.node
        for binding, node in chosen.values():
            run = partial(self.app.run_action, binding.action, node)  # type: ignore[arg-type]  # a node of the DOM
            yield _Command(f"{binding.description}  ({self.app.get_key_display(binding)})", binding.tooltip, run)

    def _there(self, mode: Mode) -> Iterator[_Command]:
        """Yield the commands of the screen of another mode."""
        for binding in Binding.make_bindings(screen_class(mode.name).BINDINGS):
            if _is_command(binding) and not binding.action.startswith(_ONLY_HERE):
                keys = f"{mode.key} {self.app.get_key_display(binding)}"
                run = partial(self._go_and_do, mode, binding)
                yield _Command(f"{mode.title}: {binding.description}  ({keys})", binding.tooltip, run)

    async def _go_and_do(self, mode: Mode, binding: Binding) -> None:
        app, kind = self.app, screen_class(mode.name)
        await app.switch_mode(mode.name)
        while not isinstance(app.screen, kind) and len(app.screen_stack) > 1:
            await app.pop_screen()  # screens opened from it, such as one judgment
        screen = app.screen
        if isinstance(screen, ArenaScreen):
            await screen.ready()
        if screen.check_action(binding.action.partition("(")[0], ()):
            await app.run_action(binding.action, screen)
        else:
            show_notice(app, f"{binding.description}: not possible here")


def _is_command(binding: Binding) -> bool:
    return bool(binding.description) and not binding.system and not binding.action.startswith(_LEFT_OUT)
