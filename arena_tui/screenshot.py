"""A picture of the screen as a file, to send or to show."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from textual.app import App

from arena_tui.widgets.screens import show_notice
from engine.bench.atomic import write_file
from engine.errors import ArenaError


def save_screenshot(app: App[Any]) -> None:
    """Write an SVG of what is shown into the working folder, and report where it is."""
    target = unused(Path(f"arena-tui-{time.strftime('%Y%m%d-%H%M%S')}.svg"))
    try:
        write_file(target, app.export_screenshot(title="arena-tui").encode("utf-8", "replace"))
    except ArenaError as error:
        show_notice(app, error)
        return
    show_notice(app, f"screenshot saved: {target.resolve()}")


def unused(path: Path) -> Path:
    """Return `path`, or with a number if such a file exists."""
    number, target = 1, path
    while target.exists():
        number += 1
        target = path.with_stem(f"{path.stem}-{number}")
    return target
