"""Writes the manual page when a wheel is built: it is made from the commands, and so always theirs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPageHook(BuildHookInterface[Any]):
    """Adds share/man/man1/arena-tui.1 to the wheel, where `man` finds it beside the installed command."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from arena_tui.cli import cli
        from arena_tui.man_page import man_page

        page = Path(self.directory) / "arena-tui.1"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(man_page(cli), encoding="utf-8")
        build_data["shared_data"][str(page)] = "share/man/man1/arena-tui.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        (Path(self.directory) / "arena-tui.1").unlink(missing_ok=True)
