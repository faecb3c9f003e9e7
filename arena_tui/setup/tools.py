"""What the app can do on every screen beside showing it: config, bench, import, export, checks, logs of servers.

A mixin of the app, without state of its own but what it knows about the config file.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.binding import BindingType
from textual.screen import ModalScreen, Screen

from arena_tui.keys import bind
from arena_tui.widgets.screens import MODES, Attempt, ModeName, show_notice
from engine.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.session.arena_session import ArenaSession
    from engine.formats.import_source import Imported

TOOLS: tuple[BindingType, ...] = (
    bind("config", "edit_config", title="Edit config", tooltip="Open config.toml in the editor ($EDITOR)", show=False),
    bind("bench", "switch_bench", title="Switch bench", show=False),
    bind("import", "import_folder", title="Import", tooltip="Import a bench, answers or a config", show=False),
    bind("export", "export_bench", title="Export", tooltip="Write the bench in another format", show=False),
    bind("doctor", "examine", title="Checks", show=False),
    bind("logs", "server_logs", title="Server logs", tooltip="Read the logs of servers that a run started", show=False),
    bind("setup", "set_up", title="Set up", show=False),
)
_BLANK = "blank"  # the mode shown while the screens of all modes are replaced
_NEEDS_BENCH = ("switch_bench", "import_folder", "export_bench", "examine", "server_logs")
_NEEDS_CONFIG = ("edit_config", "switch_bench", "set_up")  # which a demo has not


class ToolActions(App[None]):
    """The actions of `TOOLS`. `watch_config` is called now and then; a config that has changed is read again."""

    session: ArenaSession

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._config_stamp: tuple[int, int] | None = None
        self._is_deferred = False  # the config has changed during a run

    def is_tool_possible(self, action: str) -> bool:
        """Whether an action makes sense now: with a bench that is open, and a config that can be edited."""
        if action in _NEEDS_CONFIG and self.session.demo:
            return False
        return action not in _NEEDS_BENCH or self.session.is_open

    def action_edit_config(self) -> None:
        self._attempt(self._edit_config())

    def action_switch_bench(self) -> None:
        self._attempt(self._switch_bench())

    def action_import_folder(self) -> None:
        from arena_tui.setup.import_screen import ImportScreen

        session = self.session
        self.push_screen(ImportScreen(session.invocation.path, lambda: session.config.data), self._imported)

    def action_export_bench(self) -> None:
        from arena_tui.setup.export_screen import ExportScreen

        self.push_screen(ExportScreen(self.session))

    def action_examine(self) -> None:
        from arena_tui.setup.doctor_screen import DoctorScreen

        self.push_screen(DoctorScreen(self.session))

    def action_server_logs(self) -> None:
        from arena_tui.setup.log_screen import open_logs

        open_logs(self, self.session.bench.paths.logs)

    def action_set_up(self) -> None:
        from arena_tui.setup.setup_screen import SetupScreen

        if self.session.is_running:
            show_notice(self, "a run is in progress: stop it first", is_warning=True)
        elif not isinstance(self.screen, SetupScreen):
            self.push_screen(SetupScreen(self.session))

    # -- the config file

    def config_was_read(self) -> None:
        """Note that the config is read as it is now."""
        self._config_stamp, self._is_deferred = self.session.invocation.stamp(), False

    def watch_config(self) -> None:
        """Read a config that has changed, or after the run that is in progress."""
        session = self.session
        if session.demo or not session.is_open or session.invocation.stamp() == self._config_stamp:
            return
        if session.is_running:
            if not self._is_deferred:
                self._is_deferred = True
                show_notice(self, f"{session.invocation.path} has changed; it is read when this run ends")
            return
        if session.invocation.stamp() is not None and not isinstance(self.screen, ModalScreen):
            self.config_was_read()
            self._attempt(self._read_again())

    def open_again(self) -> None:
        """Read config and bench again, after a set-up over an open session."""
        self._attempt(self._read_again())

    async def _edit_config(self) -> None:
        from arena_tui.setup.editing import edit_file

        await edit_file(self, self.session.invocation.path)
        self.watch_config()

    async def _read_again(self, bench: str | None = None) -> None:
        await self.session.reopen(bench)
        self.config_was_read()
        plan = await self.session.make_plan()
        await self.rebuild_screens()
        if self.session.starts and plan.calls and not self.session.read_only:
            self.session.start()
        self.session.starts = False
        show_notice(self, f"bench {self.session.bench.name}" if bench else f"read {self.session.invocation.path} again")

    async def rebuild_screens(self) -> None:
        """Replace the screens of all modes: they hold what they read of the bench before."""
        current = self.current_mode
        self.add_mode(_BLANK, Screen)
        await self.switch_mode(_BLANK)
        for mode in MODES:
            await self.remove_mode(mode.name)
            self.add_screen_of(mode.name)
        await self.switch_mode(current)
        await self.remove_mode(_BLANK)

    def add_screen_of(self, mode: ModeName) -> None:
        """Register the screen of a mode; made when it is first shown."""
        raise NotImplementedError

    # -- benches

    async def _switch_bench(self) -> None:
        from arena_tui.session.setup_session import find_all_benches
        from arena_tui.setup.pick_screen import Option, PickScreen

        found = await asyncio.to_thread(find_all_benches, self.session.config.data)
        options = [
            Option(bench.name, f"{bench.questions} questions, answers of {len(bench.answers)} models")
            for bench in found
            if bench.root is not None
        ]
        self.push_screen(PickScreen("Bench", options, [self.session.bench.name]), self._bench_picked)

    def _bench_picked(self, names: tuple[str, ...] | None) -> None:
        if names and names[0] != self.session.bench.name:
            self._attempt(self._read_again(names[0]))

    def _imported(self, imported: Imported | None) -> None:
        if imported is None:
            return
        if imported.report is not None:
            names = [bench.root.name for bench in imported.report.benches]
            show_notice(self, f"imported {', '.join(names)}; ctrl+o switches to another bench")
        if imported.config is not None:
            show_notice(self, f"wrote {imported.config}")

    def _attempt(self, work: Any) -> None:
        def report(error: ArenaError) -> None:
            show_notice(self, error)

        self.run_worker(Attempt(work, report), group="tools", exclusive=True, exit_on_error=False)
