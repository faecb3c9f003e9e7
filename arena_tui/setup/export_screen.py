"""Writes the open bench in another format: which one, and where."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from arena_tui.advice import phrase, title
from arena_tui.keys import bind
from arena_tui.output.exporting import FORMATS
from arena_tui.safe_text import one_line, printable
from arena_tui.session.arena_session import ArenaSession
from arena_tui.theme import inks
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.screens import show_notice
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError, UsageProblem
from engine.formats.catalogue import FormatEntry

_NAME_COLUMNS = 18


class ExportScreen(ModalScreen[None]):
    """Up and down choose the format, the path can be edited, Enter writes. A path that exists asks for Enter again."""

    DEFAULT_CSS = """
    ExportScreen {
        Horizontal { height: 1; margin-top: 1; }
        Label { width: 8; }
        Input { width: 1fr; background: $panel; }
        VirtualList > .virtual-list--cursor-elsewhere { background: $panel; text-style: bold; }
        #said { height: auto; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", key="up", show=False),
        bind("down", "move(1)", key="down", show=False),
        bind("close", "dismiss", key="escape"),
    ]

    def __init__(self, session: ArenaSession) -> None:
        super().__init__()
        self._session = session
        self._refused: Path | None = None  # exists, and is overwritten if confirmed
        self._is_busy = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Export\n", style="bold"))
            yield VirtualList[FormatEntry](self._line, key=lambda row: row.name, id="formats")
            with Horizontal():
                yield Label("To")
                yield Input(id="out", compact=True, select_on_focus=False)
            yield Static(id="said")
        yield KeyBar(help=False)

    def on_mount(self) -> None:
        formats = self.query_one(VirtualList)
        formats.can_focus = False
        formats.styles.height = max(3, min(len(FORMATS), self.app.size.height - 13))
        formats.set_rows(FORMATS)
        self._show_target()
        self.query_one(Input).focus()

    def action_move(self, rows: int) -> None:
        self.query_one(VirtualList).action_move(rows)
        self._show_target()

    def on_virtual_list_highlighted(self) -> None:
        self._show_target()

    def on_input_changed(self) -> None:
        self._refused = None

    def on_virtual_list_selected(self) -> None:
        self.on_input_submitted()

    def on_input_submitted(self) -> None:
        row, text = self.query_one(VirtualList).row, self.query_one(Input).value.strip()
        if row is not None and text and not self._is_busy:
            self._is_busy = True
            self.app.run_worker(
                self._export(row.name, Path(text).expanduser()), exit_on_error=False
            )  # also when closed

    def _show_target(self) -> None:
        from arena_tui.output.exporting import usual_target

        row = self.query_one(VirtualList).row
        if row is not None:
            field = self.query_one(Input)
            field.value = str(usual_target(self._session.bench.name, row.name))
            field.cursor_position = len(field.value)

    async def _export(self, form: str, out: Path) -> None:
        from arena_tui.output.exporting import write_export

        ink, session, app = inks(self.app), self._session, self.app
        self._say(Text(f"writing {one_line(str(out))} ...", ink.muted))
        force = out == self._refused
        try:
            report = await asyncio.to_thread(
                write_export,
                session.config,
                session.bench,
                form,
                out,
                force=force,
            )
        except (ArenaError, OSError) as error:
            is_taken = isinstance(error, UsageProblem) and await asyncio.to_thread(out.exists)
            self._refused = out if is_taken and not force else None
            problem = error if isinstance(error, ArenaError) else ArenaError(f"{out}: {error.strerror}")
            if not self.is_attached:
                show_notice(app, problem)
            elif self._refused is not None:
                self._say(Text(printable(f"{out} exists; press Enter again to overwrite it"), ink.warning))
            else:
                self._say(Text(printable(f"! {title(problem)}\n{phrase(problem.hint)}".strip()), ink.bad))
            return
        finally:
            self._is_busy = False
        records = sum(file.records for file in report.files)
        notes = "".join(f"\n! {phrase(note)}" for note in report.notes)
        written = printable(f"wrote {report.out.absolute()} ({records} records){notes}")
        if self.is_attached:
            self._say(Text(written, ink.good))
        else:
            show_notice(app, written)

    def _say(self, text: Text) -> None:
        self.query_one("#said", Static).update(text)

    def _line(self, row: FormatEntry, width: int) -> Text:
        return Text.assemble(row.name.ljust(_NAME_COLUMNS), (row.about, inks(self.app).muted))[:width]
