"""A path to import, typed with completion, or picked from the benches found near the working folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from arena_tui.advice import phrase, title
from arena_tui.keys import LISTING, bind
from arena_tui.safe_text import clip, one_line, printable
from arena_tui.theme import inks
from arena_tui.widgets.lines import KeyBar
from arena_tui.widgets.virtual_list import VirtualList
from engine.errors import ArenaError
from engine.formats.catalogue import IMPORTS

if TYPE_CHECKING:
    from engine.formats.import_source import Imported  # noqa: F401  # named in quotes, as the base class is evaluated

_MOST_ENTRIES = 500  # of a folder that are offered


class _Place(NamedTuple):
    """A path that can be taken, and what is known about it."""

    path: str
    about: str = ""


class PathInput(Input):
    """A path; Tab completes it, and moves on if there is nothing to complete."""

    class Completed(Message):
        """Tab was pressed."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "tab":
            event.stop()
            event.prevent_default()
            self.post_message(self.Completed())
            return
        await super()._on_key(event)


class ImportScreen(ModalScreen["Imported"]):
    """Returns what was imported; nothing when cancelled."""

    DEFAULT_CSS = """
    ImportScreen {
        Horizontal { height: 1; }
        Label { width: 12; }
        Input { width: 1fr; background: $panel; }
        VirtualList > .virtual-list--cursor-elsewhere { background: $panel; text-style: bold; }
        #wrong { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *LISTING,
        bind("next_list", "app.focus_next", show=False),
        bind("previous_list", "app.focus_previous", show=False),
        bind("close", "dismiss", title="Cancel", key="escape"),
    ]

    def __init__(self, config: Path, data: Callable[[], Path], folder: Path = Path()) -> None:
        """`config` is the file that YAML files become, `data()` the folder for benches; `folder` is searched."""
        super().__init__()
        self._config = config
        self._data = data
        self._folder = folder
        self._nearby: list[_Place] = []
        self._places: list[_Place] = []
        self._has_moved = False  # in the list, since something was typed
        self._is_busy = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text.assemble(("Import", "bold"), f"   {', '.join(entry.name for entry in IMPORTS)}"))
            with Horizontal():
                yield Label("Path")
                yield PathInput(placeholder="Tab completes, Enter imports", id="path", compact=True)
            with Horizontal():
                yield Label("Bench name")
                yield Input(placeholder="that of the folder", id="name", compact=True)
            yield Static(id="wrong")
            yield VirtualList[_Place](self._line, key=lambda place: place.path, id="places")
        yield KeyBar(help=False)

    def on_mount(self) -> None:
        places = self.query_one(VirtualList)
        places.can_focus = False
        places.styles.height = max(3, min(12, self.app.size.height - 12))
        places.empty = "looking for benches in this folder ..."
        self.query_one("#path", PathInput).focus()
        self.run_worker(self._search(), exit_on_error=False)

    async def _search(self) -> None:
        from engine.setup.benches import find_unimported

        try:
            found = await asyncio.to_thread(lambda: find_unimported(self._folder, self._data()))
        except ArenaError:
            found = []
        self._nearby = [_Place(str(path), "a bench") for path in found]
        self.query_one(VirtualList).empty = "no bench in this folder: type the path of one"
        if not self.query_one("#path", PathInput).value:
            self._show(self._nearby)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "path":
            self._has_moved = False
            self.query_one("#wrong", Static).update("")
            self._show(completions(event.value) if event.value else self._nearby)

    def on_path_input_completed(self) -> None:
        """Complete to what all offered paths share, then to the one under the cursor; else go to the next field."""
        path = self.query_one("#path", PathInput)
        shared = _common_start([place.path for place in self._places])
        if len(shared) > len(path.value) and not self._has_moved:
            self._fill(shared)
        elif (place := self.query_one(VirtualList).row) is not None and place.path != path.value:
            self._fill(place.path)
        else:
            self.app.action_focus_next()

    def on_input_submitted(self) -> None:
        text = self.query_one("#path", PathInput).value.strip()
        place = self.query_one(VirtualList).row
        if place is not None and (self._has_moved or not Path(text).expanduser().exists() or not text):
            self._take(place)
        elif text:
            self._start(text)

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        self._take(message.row)

    def action_move(self, rows: int) -> None:
        self._has_moved = True
        self.query_one(VirtualList).action_move(rows)

    def action_page(self, pages: int) -> None:
        self._has_moved = True
        self.query_one(VirtualList).action_move_page(pages)

    def _take(self, place: _Place) -> None:
        """Import a bench or a file, and list the contents of any other folder."""
        if place.about:
            self._start(place.path)
        else:
            self._fill(place.path)

    def _fill(self, text: str) -> None:
        path = self.query_one("#path", PathInput)
        path.value = text
        path.cursor_position = len(text)

    def _start(self, text: str) -> None:
        if not self._is_busy:
            self._is_busy = True
            self.run_worker(self._import(Path(text).expanduser()), exit_on_error=False)

    async def _import(self, source: Path) -> None:
        from engine.formats.import_source import import_source

        wrong, name = self.query_one("#wrong", Static), self.query_one("#name", Input).value.strip() or None
        wrong.update(Text(f"importing {one_line(str(source))} ...", inks(self.app).muted))
        try:
            imported = await asyncio.to_thread(import_source, source, self._config, self._data, name)
        except (ArenaError, OSError) as error:
            problem = f"{title(error)}\n{phrase(error.hint)}" if isinstance(error, ArenaError) else str(error)
            wrong.update(Text(printable(f"! {problem.strip()}"), inks(self.app).bad))
            self._is_busy = False
            return
        self.dismiss(imported)

    def _show(self, places: list[_Place]) -> None:
        self._places = places
        found = self.query_one(VirtualList)
        found.set_rows(places)
        found.move_to(0)

    def _line(self, place: _Place, width: int) -> Text:
        about = f"  {place.about}" if place.about else ""
        return Text.assemble(clip(one_line(place.path), max(8, width - len(about))), (about, inks(self.app).muted))


def _common_start(texts: Sequence[str]) -> str:
    """Return the characters that all texts begin with."""
    if not texts:
        return ""
    low, high = min(texts), max(texts)
    return low[: next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]


def completions(text: str) -> list[_Place]:
    """Return the folders and importable files whose paths begin with `text`, benches first."""
    from engine.formats.row_files import is_row_file

    head, _, start = text.rpartition("/")
    folder = Path(f"{head}/").expanduser() if head or text.startswith("/") else Path()
    before = f"{head}/" if "/" in text else ""
    places: list[_Place] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(start) or (entry.name[:1] == "." and not start.startswith(".")):
                    continue
                if entry.is_dir():
                    path = Path(entry.path)
                    is_bench = any((path / mark).exists() for mark in ("question.jsonl", "model_answer"))
                    places.append(_Place(f"{before}{entry.name}/", "a bench" if is_bench else ""))
                elif entry.name.endswith((".yaml", ".yml")) or (
                    is_row_file(Path(entry.name)) and ".txt" not in entry.name  # prompts: `bench add` takes those
                ):
                    places.append(_Place(f"{before}{entry.name}", "a file"))
                if len(places) >= _MOST_ENTRIES:
                    break
    except OSError:
        return []
    return sorted(places, key=lambda place: (place.about != "a bench", place.about == "a file", place.path))
