"""The dialog for the address of one more server."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from arena_tui.keys import bind
from arena_tui.safe_text import one_line
from arena_tui.session.setup_session import SetupSession
from arena_tui.widgets.lines import KeyBar
from engine.errors import ArenaError

_ABOUT = (
    "\nA server with OpenAI's chat API: vLLM, SGLang, llama.cpp, Ollama, or a provider such as "
    "https://api.openai.com/v1. It is asked which models it serves. A key is read from an environment variable and "
    "never written to a file."
)


class ServerScreen(ModalScreen[bool]):
    """Returns True once an address was added."""

    DEFAULT_CSS = """
    ServerScreen {
        Horizontal { height: 1; margin-top: 1; }
        Label { width: 22; }
        Input { width: 1fr; background: $panel; }
        #wrong { color: $ink-bad; height: auto; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("close", "dismiss(False)", title="Cancel", key="escape"),
        bind("next_list", "app.focus_next", show=False),
        bind("previous_list", "app.focus_previous", show=False),
        bind("down", "app.focus_next", key="down", show=False),
        bind("up", "app.focus_previous", key="up", show=False),
    ]

    def __init__(self, setup: SetupSession) -> None:
        super().__init__()
        self._setup = setup

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Add a server", style="bold"))
            with Horizontal():
                yield Label("Address")
                yield Input(placeholder="gpu-host:8010, http://gpu-host:8010/v1", id="url", compact=True)
            with Horizontal():
                yield Label("Variable of its key")
                yield Input(placeholder="none; for example VLLM_API_KEY", id="key", compact=True)
            yield Static(id="wrong")
            yield Static(Text(_ABOUT))
        yield KeyBar(help=False)

    def on_input_submitted(self) -> None:
        url, key = (self.query_one(name, Input).value for name in ("#url", "#key"))
        try:
            self._setup.add_server(url, key)
        except ArenaError as error:
            self.query_one("#wrong", Static).update(Text(one_line(f"! {error.title}: {error.hint}")))
            return
        self.dismiss(True)
