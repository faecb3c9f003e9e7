"""What is told of a server that a run starts itself."""

from __future__ import annotations

from arena_tui.console import printable
from engine.events import ServerChanged
from engine.work.progress import RunState, ServerState


def stage_words(server: ServerState | ServerChanged) -> str:
    """Its status in a few words: `loading weights 50%`, `ready`."""
    if server.status == "starting":
        share = f" {server.share:.0%}" if server.share is not None else ""
        return f"{server.stage}{share}"
    if server.status == "waiting":
        return f"waiting {server.stage}"
    return "down, is started again" if server.status == "down" else server.status


class ServerLines:
    """Which changes of servers become a line: a new status, and with `stages` a new stage, not every percent of it."""

    def __init__(self, *, stages: bool = True) -> None:
        self._stages = stages
        self._told: dict[str, tuple[str, str]] = {}

    def line(self, event: ServerChanged) -> str | None:
        moment = event.status, event.stage if self._stages else ""
        if self._told.get(event.server) == moment or event.status == "waiting":
            return None
        self._told[event.server] = moment
        detail = f" ({event.detail})" if event.detail else ""
        gpus = f" on GPU {event.devices}" if event.devices and event.status == "starting" else ""
        what = stage_words(event) if self._stages else event.status
        return printable(f"server {event.server}: {what}{gpus}{detail}")


def busy_servers(state: RunState) -> list[tuple[str, ServerState]]:
    """The servers that are on their way up or down."""
    return [
        (name, server) for name, server in state.servers.items() if server.status in ("starting", "down", "stopping")
    ]
