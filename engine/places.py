"""The folders of the user that the program reads and writes outside a working folder, each by the XDG standard.

    config_folder   $XDG_CONFIG_HOME/arena-tui   (~/.config)        config.toml: settings of this user and machine
    cache_folder    $XDG_CACHE_HOME/arena-tui    (~/.cache)         what can be fetched or computed again
    state_folder    $XDG_STATE_HOME/arena-tui    (~/.local/state)   logs
    runtime_folder  $XDG_RUNTIME_DIR/arena-tui   (none)             sockets of this login

Relative paths in these variables are ignored, as the standard asks. No other module reads a home folder by itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

NAME = "arena-tui"


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return _folder(environ, "XDG_CONFIG_HOME", ".config")


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return _folder(environ, "XDG_CACHE_HOME", ".cache")


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return _folder(environ, "XDG_STATE_HOME", ".local/state")


def runtime_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    given = environ.get("XDG_RUNTIME_DIR", "")
    return Path(given, NAME) if given.startswith("/") else None


def _folder(environ: Mapping[str, str], variable: str, default: str) -> Path:
    given = environ.get(variable, "")
    if given.startswith("/"):
        return Path(given, NAME)
    try:
        home = Path(environ["HOME"]) if environ.get("HOME", "").startswith("/") else Path.home()
    except RuntimeError:  # a user without an entry, as in some containers
        home = Path(tempfile.gettempdir())
    return home / default / NAME
