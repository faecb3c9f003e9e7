"""The terminal UI: one app on one session, in one event loop with the engine; paints immutable states at 4 Hz."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import App
from textual.binding import BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.filter import LineFilter

from arena_tui.key_queue import KeyQueue
from arena_tui.keys import bind
from arena_tui.navigation import ArenaCommands, screen_class
from arena_tui.safe_text import printable
from arena_tui.session.arena_session import ArenaSession
from arena_tui.session.status import title_words
from arena_tui.setup.tools import TOOLS, ToolActions
from arena_tui.stylesheet import ParsedOnce
from arena_tui.theme import DARK, THEMES, ColorsOff, ControlsOff
from arena_tui.widgets.screens import MODES, ArenaScreen, ModeName, show_notice
from engine.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.widgets.dialogs import QuitChoice

TICK_SECONDS = 0.25
_LOOK_SECONDS = 1.0  # between looks at the config file
_TITLE_SECONDS = 1.0  # between two titles of the terminal
_HEAD_START = 1.0  # seconds, of the first screen before the plan
_PAUSE_FOR_COST, _LONGEST_PAUSE = 200.0, 2.0  # times the cost, and seconds


class ArenaApp(ToolActions):
    """Shows a session, opened after the first frame. `first_mode` is the first screen."""

    TITLE = "arena-tui"
    CSS_PATH = Path(__file__).with_name("arena.tcss")
    COMMANDS: ClassVar[set[type[Provider]]] = {ArenaCommands}  # type: ignore[assignment]  # Textual allows loaders as well
    ENABLE_COMMAND_PALETTE = True
    ALLOW_SELECT = False

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            bind(
                "screen",
                f"show_mode('{mode.name}')",
                title=mode.title,
                tooltip=f"Go to {mode.title}",
                key=mode.key,
                show=False,
            )
            for mode in MODES
        ),
        *TOOLS,
        bind("help"),
        bind("theme", "next_theme", show=False),
        bind("quit"),
        bind("quit_now", "quit", show=False, priority=True),
    ]

    def __init__(self, session: ArenaSession, first_mode: ModeName = "run") -> None:
        self.DEFAULT_MODE = first_mode  # type: ignore[misc]  # otherwise an empty screen is made and styled first
        super().__init__()
        self.session = session
        self.leaving = False
        self.is_hung_up = False
        self.is_left = False  # with a run that goes on without this UI
        self.first_mode = first_mode
        self._was_running = False
        self._shown: tuple[object, ...] = ()
        self._keys = KeyQueue(self, self._deliver_key)
        self._title = ""  # of the terminal
        self._title_at = 0.0  # not changed before
        self._paint_at = 0.0  # not before this time of the monotonic clock
        for theme in THEMES:
            self.register_theme(theme)
        self.set_reactive(App.theme, DARK)
        self.stylesheet = ParsedOnce(variables=self.get_css_variables())
        for mode in MODES:
            self.add_screen_of(mode.name)

    def add_screen_of(self, mode: ModeName) -> None:
        self.add_mode(mode, partial(self._make_screen, mode))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "show_mode" and not self.session.is_open and not isinstance(self.screen, ArenaScreen):
            return False  # the set-up of a first start
        return self.is_tool_possible(action)

    def get_line_filters(self) -> list[LineFilter]:
        """Return Textual's filters and `ControlsOff`; with NO_COLOR, `ColorsOff` in place of Textual's greys."""
        if not self.no_color:
            return [*super().get_line_filters(), ControlsOff()]
        variables = self.theme_variables
        return [ColorsOff([variables[name] for name in ("block-cursor-background", "primary")]), ControlsOff()]

    def get_driver_class(self) -> type[Driver]:
        """Return a driver that a stalled terminal cannot block; without a terminal, Textual's choice."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        from arena_tui.terminal_driver import TerminalDriver

        return TerminalDriver

    async def on_event(self, event: events.Event) -> None:
        """Put keys in a queue; handle everything else at once."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._keys.put(event)
        else:
            await super().on_event(event)

    async def _deliver_key(self, key: events.Key) -> None:
        await super().on_event(key)

    def on_unmount(self) -> None:
        self._keys.stop()

    def on_mount(self) -> None:
        self._keys.start()
        self.set_interval(TICK_SECONDS, self._tick)
        self.set_interval(_LOOK_SECONDS, self.watch_config)
        self.call_after_refresh(self.on_open_requested)

    def copy_to_clipboard(self, text: str) -> None:
        """Have the terminal copy `text`, also through tmux and GNU screen."""
        from arena_tui.judgments.copying import copy_sequences

        self._clipboard = text
        if self._driver is not None:
            for sequence in copy_sequences(text, os.environ):
                self._driver.write(sequence)

    def action_show_mode(self, mode: str) -> None:
        self.switch_mode(mode)

    def action_help(self) -> None:
        from arena_tui.widgets.dialogs import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    async def action_quit(self) -> None:
        """Quit at once if no run is in progress, else ask first."""
        from arena_tui.widgets.dialogs import QuitScreen

        if self.leaving:
            self.session.stop()  # asked again: abort calls in flight
        elif not self.session.is_running or (self.session.remote is not None and self.session.read_only):
            self.exit()
        elif not isinstance(self.screen, QuitScreen):
            self.push_screen(QuitScreen(), self._quit_as)

    def leave(self) -> None:
        """Stop the run, unless it is of another process, wait until everything is saved, and end."""
        if self.session.remote is not None:
            self.leave_running()
        else:
            self.stop_and_leave()

    def stop_and_leave(self) -> None:
        """Stop the run, wait until everything is saved, and end."""
        if not self.leaving:
            self.leaving = True
            self.run_worker(self._leave(), exit_on_error=False)

    def leave_running(self) -> None:
        """End the UI; the run goes on without it."""
        if not self.leaving and not self.is_left:
            self.is_left = True
            self.exit()

    def on_terminal_lost(self) -> None:
        self._lose_terminal()

    def hang_up(self) -> None:
        """Leave without the terminal, which is gone."""
        self.is_hung_up = True
        if hang_up := getattr(self._driver, "hang_up", None):
            hang_up()
        self._lose_terminal()

    def _lose_terminal(self) -> None:
        session = self.session
        if session.is_running and session.config.ui.on_hangup == "leave":
            self.leave_running()
        else:
            self.leave()

    def _quit_as(self, choice: QuitChoice | None) -> None:
        if choice == "leave":
            self.leave_running()
        elif choice == "stop":
            self.stop_and_leave()

    async def _leave(self) -> None:
        self.session.stop()
        await self.session.finished()
        self.exit()

    def _fatal_error(self) -> None:
        """Show the traceback as Textual does, but printable and without values of variables (among them keys)."""
        from rich.segment import Segment, Segments
        from rich.traceback import Traceback

        shown = self.console.render(Traceback(show_locals=False, width=None), self.console.options)
        plain = (Segment(printable(part.text), part.style) for part in shown if part.control is None)
        self._exit_renderables.append(Segments(plain))
        self._close_messages_no_wait()

    def on_open_requested(self) -> None:
        if self.session.is_open and self.session.plan is not None and not self.session.demo:
            self.open_again()
        else:
            self.run_worker(self._open(), exit_on_error=False)

    async def _open(self) -> None:
        """Open the session and show its plan, or the welcome on a first start, or the problem."""
        session = self.session
        if session.lacks_config:
            from arena_tui.setup.setup_screen import SetupScreen

            self.push_screen(SetupScreen(session))
            return
        try:
            if not session.is_open:
                await session.open()
            elif session.plan is None and not session.demo:
                await session.reopen()  # after a problem that the plan had
            self.config_was_read()
            self.repaint_state()
            await self._wait_for_screen()
            plan = await session.make_plan()
            if (session.demo or session.starts) and plan.calls and not session.read_only:
                session.start()
            elif session.demo and self.current_mode == "run":
                self.switch_mode("leaderboard")  # of an earlier demo
        except ArenaError as error:
            if session.is_open and self.first_mode == "review":
                show_notice(self, error)  # a review needs no plan
            else:
                from arena_tui.opening import ProblemScreen

                self.push_screen(ProblemScreen(session, error))
        session.starts = False
        self.repaint_state()

    async def _wait_for_screen(self) -> None:
        """Let the current screen load its data before a plan competes for the CPU, but not for long."""
        if isinstance(self.screen, ArenaScreen):
            with suppress(TimeoutError):
                await asyncio.wait_for(self.screen.ready(), _HEAD_START)

    def _make_screen(self, name: ModeName) -> ArenaScreen:
        return screen_class(name)(self.session)

    def _tick(self) -> None:
        while problem := self.session.take_problem():
            show_notice(self, problem)
        self._show_result()
        self._show_title()
        if time.monotonic() >= self._paint_at:
            began = time.thread_time()
            self.repaint_state()
            self._paint_at = time.monotonic() + pause_after(time.thread_time() - began)

    def _show_result(self) -> None:
        """Show the leaderboard when a demo ends, if the user is still on the run screen."""
        running = self.session.is_running
        if self._was_running and not running and (ring := getattr(self._driver, "ring", None)):
            ring()
        has_ended = self._was_running and not running and self.session.state.phase == "done"
        if has_ended and self.session.demo and self.current_mode == "run" and isinstance(self.screen, ArenaScreen):
            self.switch_mode("leaderboard")
        self._was_running = running

    def _show_title(self) -> None:
        """Show the state of the run in the title of the terminal, at most once a second."""
        set_title = getattr(self._driver, "set_title", None)
        if set_title is None or time.monotonic() < self._title_at:
            return
        title = title_words(self.session)
        if title != self._title:
            self._title, self._title_at = title, time.monotonic() + _TITLE_SECONDS
            set_title(title)

    def repaint_state(self) -> None:
        """Paint the state on the current screen if it has changed."""
        session, screen = self.session, self.screen
        moment = (screen, session.state, session.status, session.watch.version, session.plan, session.answers.version)
        is_active = session.status in ("running", "stopping", "following")  # speeds and times change without events
        if isinstance(screen, ArenaScreen) and (is_active or moment != self._shown):
            screen.paint(session.state)
        self._shown = moment


def pause_after(cost: float) -> float:
    """Return the seconds until the next paint if one took `cost` seconds of CPU; 0 is the next tick.

    Composing and sending it costs twice as much again. The pause limits all of it to a sixtieth of a core, so that
    watching does not slow down a run on a slow or busy machine.
    """
    pause = min(_LONGEST_PAUSE, cost * _PAUSE_FOR_COST)
    return pause if pause > TICK_SECONDS else 0.0
