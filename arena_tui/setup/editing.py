"""The user's editor on a file, with the terminal to itself, while a run goes on."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UsageProblem

if TYPE_CHECKING:
    from textual.app import App

_USUAL = ("sensible-editor", "nano", "vi")


def editor_command() -> list[str]:
    """Return the command of $VISUAL or $EDITOR, else of an editor that is installed. Raises UsageProblem."""
    for variable in ("VISUAL", "EDITOR"):
        if words := shlex.split(os.environ.get(variable, "")):
            if shutil.which(words[0]) is None:
                raise UsageProblem(f"{variable}: no program {words[0]!r}", f"set {variable} to an editor")
            return words
    program = next(filter(None, map(shutil.which, _USUAL)), None)
    if program is None:
        raise UsageProblem("no editor found", "set EDITOR to one")
    return [program]


async def edit_file(app: App[Any], path: Path) -> None:
    """Suspend `app`, wait for the editor on `path`, and resume. The event loop goes on. Raises UsageProblem."""
    from textual.app import SuspendNotSupported

    command = [*editor_command(), str(path)]
    try:
        with app.suspend():
            await _run(command)
    except SuspendNotSupported:
        raise UsageProblem(
            "no editor can be opened here", f"edit {path} elsewhere: it is read when it changes"
        ) from None
    except OSError as error:
        raise UsageProblem(f"{command[0]}: {error.strerror}", "set EDITOR to an editor") from None


async def _run(command: list[str]) -> None:
    """Run the editor. Ctrl-C belongs to it, although the terminal sends it to this process as well."""
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    try:
        process = await asyncio.create_subprocess_exec(*command)
        await process.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
