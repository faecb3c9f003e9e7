"""Token counts as in arena-hard: with tiktoken's cl100k_base, where its table is available.

The table (1.7 MB) comes from tiktoken's cache folder or is fetched once. The fetch has no time limit of its own, so it
runs in a daemon thread, and a host without a network waits no longer than `time_limit`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from engine.places import cache_folder

if TYPE_CHECKING:
    from tiktoken import Encoding

NAME = "cl100k_base"
_TABLE = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"  # names its file in the cache
TIME_LIMIT = 8.0  # seconds for the fetch


class TokenCounter:
    """Counts tokens with one of tiktoken's encodings; records hold its `name`."""

    def __init__(self, name: str, encoding: Encoding) -> None:
        self.name = name
        self._encoding = encoding

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`; the names of special tokens count as plain text."""
        return len(self._encoding.encode_ordinary(text))


async def load_counter(time_limit: float = TIME_LIMIT) -> TokenCounter | None:
    """Return a counter; None if the table is not cached and cannot be fetched within `time_limit` seconds."""
    loaded: Future[TokenCounter | None] = Future()
    loaded.set_running_or_notify_cancel()  # the thread sets its result even after the time limit
    threading.Thread(target=lambda: loaded.set_result(_load()), name="cl100k_base", daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(loaded), time_limit)
    except TimeoutError:
        return None


def cached_counter() -> TokenCounter | None:
    """Return a counter if its table is in the cache of tiktoken; nothing is fetched."""
    folder = _folder()
    return _load() if folder is not None and _is_in(folder) else None


def _folder() -> Path | None:
    """Return where the table is kept: where a variable says, where tiktoken has it already, else in the user's cache.

    None for an empty variable, which turns caching off. By itself tiktoken keeps it in a folder of temporary files.
    """
    named = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if named is not None:
        return Path(named) if named else None
    temporary = Path(tempfile.gettempdir(), "data-gym-cache")
    return temporary if _is_in(temporary) else cache_folder() / "tiktoken"


def _is_in(folder: Path) -> bool:
    return (folder / hashlib.sha1(_TABLE.encode(), usedforsecurity=False).hexdigest()).is_file()


def _load() -> TokenCounter | None:
    if (folder := _folder()) is not None:
        os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)  # it takes no argument for this
    try:
        import tiktoken

        return TokenCounter(NAME, tiktoken.get_encoding(NAME))
    except Exception:  # network, proxy, a full disk, a broken copy, ...: the server's counts are used
        return None
