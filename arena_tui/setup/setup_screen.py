"""A first start on one page: what was found, what is proposed, whether it works, and the start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from arena_tui.keys import bind
from arena_tui.opening import OpenRequested
from arena_tui.safe_text import clip, one_line, text_width
from arena_tui.session.arena_session import ArenaSession
from arena_tui.session.setup_session import SetupSession, SetupState
from arena_tui.setup.check_list import CheckList
from arena_tui.setup.pick_screen import Option, PickScreen
from arena_tui.theme import inks
from arena_tui.widgets.lines import KeyBar, TextLines, TitleBar
from arena_tui.widgets.screens import show_notice
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError

if TYPE_CHECKING:
    from engine.formats.import_source import Imported
    from engine.setup.proposal import Setup
    from engine.setup.servers import FoundServer

_Row: TypeAlias = Literal["bench", "server", "add", "answers", "judge", "baseline", "start", "demo"]
_NAME_COLUMNS = 12
_MOST_SERVERS = 5  # rows


class _Line(NamedTuple):
    """A row of the form. `value` is chosen, `about` said about it; `key` distinguishes servers."""

    row: _Row
    name: str
    value: str
    about: str = ""
    key: str = ""
    can_change: bool = False


class SetupScreen(Screen[None]):
    """The form and the checks. Everything is chosen already as far as something was found."""

    HELP = (
        "The first start in a folder. Benches in data/ and servers on ports 8000 to 8020 of this machine are found; "
        "who answers, who judges and the baseline are proposed, and the checks below are those of `arena-tui doctor`. "
        "Enter chooses a value, s writes config.toml with comments and starts."
    )
    DEFAULT_CSS = """
    SetupScreen {
        #form { height: auto; max-height: 60%; margin-top: 1; }
        #about { margin-top: 0; }
        #checks { height: 1fr; min-height: 3; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("start", title="Start", tooltip="Write config.toml and start the run"),
        bind("save", "write", title="Write only", tooltip="Write config.toml and open the bench without a start"),
        bind("import", "import_folder", title="Import", tooltip="Import a bench, answers or a config"),
        bind("extend", "add_server", title="Add server", tooltip="Add the address of a server"),
        bind(
            "clear", "remove_server", title="Remove server", tooltip="Leave the server under the cursor out", show=False
        ),
        bind("again", title="Look again", tooltip="Look for benches and servers again"),
        bind("demo", tooltip="Show the whole job with simulated models, or open the results of the demo"),
        bind("config", "edit", title="Edit", tooltip="Write config.toml and open it in the editor", show=False),
        bind("close", "leave_setup", key="escape", show=False),
        bind("change", "change(1)", key="right,space", show=False),
        bind("change_back", "change(-1)", show=False),
        bind("next_list", "app.focus_next", show=False),
        bind("previous_list", "app.focus_previous", show=False),
    ]

    class Changed(Message):
        """The state of the set-up is another one."""

    def __init__(self, session: ArenaSession) -> None:
        super().__init__()
        self.session = session
        self.setup = SetupSession(session.invocation.path, session.invocation.data, session.ports)
        self.setup.on_change = self._post_change

    def _post_change(self) -> None:
        self.post_message(self.Changed())

    @property
    def state(self) -> SetupState:
        return self.setup.state

    def compose(self) -> ComposeResult:
        yield TitleBar((), "")
        yield TextLines(id="about")
        yield VirtualList[_Line](self._line, key=lambda line: (line.row, line.key), id="form")
        yield CheckList()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(TitleBar).show(f"arena-tui · set-up of {one_line(str(self.session.invocation.path))}")
        self.query_one("#about", TextLines).show(
            Text("A proposal from what was found: Enter changes a line, s writes it and starts", inks(self.app).muted)
        )
        self._show()
        self.query_one("#form", VirtualList).focus()
        self.setup.look()

    async def on_unmount(self) -> None:
        self.setup.on_change = lambda: None
        await self.setup.close()

    def on_setup_screen_changed(self) -> None:
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "demo":
            return not self.session.is_open
        return action != "leave_setup" or not self.session.lacks_config

    def action_leave_setup(self) -> None:
        """Go back to the bench, or to the problem with the config."""
        if not self.session.is_open:
            self.post_message(OpenRequested())
        self.dismiss()

    # -- choosing

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        if message.virtual_list.id == "checks":
            self.app.push_screen(self.query_one(CheckList).details(message.row))
            return
        match message.row.row:
            case "add":
                self.action_add_server()
            case "server":
                self._open_server(message.row.key)
            case "start":
                self.action_start()
            case "demo":
                self.action_demo()
            case "bench" | "answers" | "judge" | "baseline" as row:
                self._pick(row)

    def action_change(self, step: int) -> None:
        line = self.query_one("#form", VirtualList).row
        setup = self.state.setup
        if line is None or setup is None or line.row not in ("bench", "judge", "baseline"):
            return
        names = [option.name for option in self._options(line.row, setup)]
        if names:
            at = names.index(line.value) if line.value in names else -step
            self.setup.choose(**{line.row: names[(at + step) % len(names)]})

    def _pick(self, row: Literal["bench", "answers", "judge", "baseline"]) -> None:
        setup = self.state.setup
        if setup is None:
            return
        if not (options := self._options(row, setup)):
            show_notice(self, "nothing to choose from yet")
            return
        titles = {"bench": "Bench", "answers": "Who answers", "judge": "Who judges", "baseline": "Baseline"}
        chosen = setup.answers if row == "answers" else (self._value(row, setup),)

        def take(names: tuple[str, ...] | None) -> None:
            if names is not None:
                self.setup.choose(**{row: names if row == "answers" else names[0]})

        self.app.push_screen(PickScreen(titles[row], options, chosen, several=row == "answers"), take)

    def _options(self, row: _Row, setup: Setup) -> list[Option]:
        if row == "bench":
            return [
                Option(bench.name, _about_bench(bench.questions, len(bench.answers))) for bench in self.state.benches
            ]
        names = setup.baselines if row == "baseline" else setup.served
        return [Option(name, self._about_model(setup, name)) for name in names]

    def _open_server(self, url: str) -> None:
        from arena_tui.widgets.dialogs import DetailsScreen

        server = next((server for server in self.state.servers if server.address.url == url), None)
        if server is not None:
            models = "\n".join(model.id for model in server.models)
            facts = [("models", models or "none"), ("vLLM", server.version or "no, or not reported")]
            if server.address.key_variable:
                facts.append(("key from", server.address.key_variable))
            if server.error:
                facts += [("problem", server.error), ("to do", server.hint)]
            self.app.push_screen(DetailsScreen(url, facts))

    # -- doing

    def action_add_server(self) -> None:
        from arena_tui.setup.server_screen import ServerScreen

        self.app.push_screen(ServerScreen(self.setup))

    def action_remove_server(self) -> None:
        line = self.query_one("#form", VirtualList).row
        if line is not None and line.row == "server":
            self.setup.remove_server(line.key)

    def action_import_folder(self) -> None:
        from arena_tui.setup.import_screen import ImportScreen

        setup = self.setup
        self.app.push_screen(ImportScreen(setup.config_path, lambda: setup.data), self._imported)

    def _imported(self, imported: Imported | None) -> None:
        if imported is None:
            return
        if imported.config is not None:
            show_notice(self, f"wrote {imported.config}")
            self._leave()
            return
        benches = [bench.root.name for bench in imported.report.benches] if imported.report else []
        if benches:
            show_notice(self, f"imported {', '.join(benches)}")
            self.setup.choose(bench=benches[0], answers=None, judge=None, baseline=None)
        self.setup.look()

    def action_again(self) -> None:
        self.setup.look()

    def action_start(self) -> None:
        """Write the config and start the run. A problem that is known is shown instead."""
        setup = self.state.setup
        missing = setup.missing() if setup is not None else [("nothing was found yet", "wait a moment")]
        if missing:
            show_notice(self, f"{missing[0][0]}: {missing[0][1]}", is_warning=True)
        elif self._write():
            self.session.starts = True
            self._leave()

    def action_write(self) -> None:
        if self._write():
            self._leave()

    def action_edit(self) -> None:
        self.run_worker(self._edit(), exclusive=True, exit_on_error=False)

    async def _edit(self) -> None:
        from arena_tui.setup.editing import edit_file

        try:
            if self._write():
                await edit_file(self.app, self.setup.config_path)
                self._leave()
        except ArenaError as error:
            show_notice(self, error)

    def action_demo(self) -> None:
        self.run_worker(self._demo(), exclusive=True, exit_on_error=False)

    async def _demo(self) -> None:
        try:
            await self.session.open_demo()
        except ArenaError as error:
            show_notice(self, error)
            return
        self._leave()

    def _write(self) -> bool:
        try:
            written = self.setup.write()
        except ArenaError as error:
            show_notice(self, error)
            return False
        show_notice(self, written)
        return True

    def _leave(self) -> None:
        self.post_message(OpenRequested())
        self.dismiss()

    # -- painting

    def _show(self) -> None:
        form = self.query_one("#form", VirtualList)
        lines = list(self._lines())
        form.set_rows(lines)
        form.styles.height = len(lines)
        self.query_one(CheckList).show(self.state.checks, is_running=self.state.is_checking)

    def _lines(self) -> Iterator[_Line]:
        state, setup = self.state, self.state.setup
        if setup is None:
            yield _Line("bench", "Bench", "looking ...")
        else:
            bench = setup.bench
            about = _about_bench(bench.questions, len(bench.answers)) if bench is not None else ""
            yield _Line("bench", "Bench", bench.name if bench is not None else "none", about, can_change=True)
        for number, server in enumerate(state.servers[:_MOST_SERVERS]):
            value, about = _about_server(server)
            yield _Line("server", "" if number else "Servers", value, about, server.address.url)
        more = len(state.servers) - _MOST_SERVERS
        looking = "looking at ports 8000-8020 ..." if state.is_looking else "" if state.servers else "none found"
        about = f"{more} more servers found" if more > 0 else looking
        yield _Line("add", "" if state.servers else "Servers", "add a server (+)", about)
        if setup is not None:
            names = ", ".join(setup.answers) or "none: the answers on disk are judged"
            yield _Line("answers", "Answering", names, "" if not setup.answers else f"{len(setup.answers)} served")
            for row, name in (("judge", "Judge"), ("baseline", "Baseline")):
                value = self._value(row, setup)
                about = self._about_model(setup, value) if value else ""
                yield _Line(row, name, value or "none yet", about, can_change=True)  # type: ignore[arg-type]  # literals
            yield _Line("start", "Start", self._about_start(setup))
        demo = "open its results" if state.demo_has_results else "try it on simulated models"
        yield _Line("demo", "Demo", demo, "" if state.demo_has_results else "needs nothing")

    def _about_start(self, setup: Setup) -> str:
        state = self.state
        if setup.missing():
            return f"not yet: {setup.missing()[0][0]}"
        if state.calls is None:
            return "counting calls ..." if state.is_checking else "not yet: see the checks"
        calls = f"{state.calls} calls" if state.calls else "everything is cached already"
        count = len(setup.compared)
        return f"{calls}: {count} model{'' if count == 1 else 's'} against {one_line(setup.baseline)} (s)"

    @staticmethod
    def _value(row: str, setup: Setup) -> str:
        return {"bench": setup.bench.name if setup.bench else "", "judge": setup.judge}.get(row, setup.baseline)

    @staticmethod
    def _about_model(setup: Setup, name: str) -> str:
        candidate = setup.candidate(name)
        if candidate is None:
            return ""
        where = ", ".join(address.url.partition("://")[2] for address in candidate.addresses)
        words = [f"{candidate.answers} answers on disk"] if candidate.answers else []
        return ", ".join([*words, *([f"served at {where}"] if where else [])])

    def _line(self, line: _Line, width: int) -> Text:
        ink, room = inks(self.app), max(1, width - _NAME_COLUMNS - 4)
        about_width = min(text_width(line.about), room // 2)
        value = clip(one_line(line.value), room - (about_width + 2 if line.about else 0))
        ends = ("‹ ", " ›") if line.can_change else ("  ", "  ")
        style = ink.accent if line.row in ("start", "demo", "add") else ""
        about = clip(one_line(line.about), max(0, room - text_width(value) - 2))
        return Text.assemble(
            (line.name.ljust(_NAME_COLUMNS), ink.strong), (ends[0], ink.muted), (value, style), (ends[1], ink.muted),
            (f" {about}" if about else "", ink.muted),
        )  # fmt: skip


def _about_bench(questions: int, models: int) -> str:
    answers = f", answers of {models} model{'' if models == 1 else 's'}" if models else ", no answers yet"
    return f"{questions} questions{answers}"


def _about_server(server: FoundServer) -> tuple[str, str]:
    """Return address and findings."""
    url = server.address.url
    if server.error:
        return url, f"! {server.error}"
    names = ", ".join(model.id for model in server.models) or "lists no models"
    return url, names + (f"  (vLLM {server.version})" if server.version else "")
