"""`--version`, alone and with `--json`: the versions of what results and problems depend on, none of it imported."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.version import __version__

PACKAGES = (
    "textual", "aiohttp", "polars", "numpy", "scikit-learn", "pydantic", "msgspec", "click", "rich", "tiktoken",
    "uvloop", "ray",
)  # fmt: skip


def version_text() -> str:
    """Return the line of `--version`."""
    return f"arena-tui, version {__version__}"


def version_json() -> str:
    """Return the object of `--version --json`, on lines of its own; null for what is not installed."""
    packages = {name: _version(name) for name in PACKAGES}
    vllm, place = _vllm()
    found = {
        "arena-tui": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "executable": sys.executable,
        "installed_in": str(Path(__file__).resolve().parent.parent),
        "packages": packages,
        "vllm": {"version": vllm, "command": place},
    }
    return json.dumps(found, indent=1, ensure_ascii=False)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _vllm() -> tuple[str | None, str | None]:
    """Return the version of vLLM and its command: of this environment, else of the one that PATH leads to.

    The latter is read from the folder of its packages: `vllm --version` takes ten seconds.
    """
    command = shutil.which("vllm", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    own = _version("vllm")
    if own is not None or command is None:
        return own, command
    prefix = Path(command).resolve().parent.parent
    found = [re.fullmatch(r"vllm-([^-]+)\.dist-info", each.name) for each in prefix.glob("lib/python3*/*/vllm-*")]
    return next((each[1] for each in found if each), None), command
