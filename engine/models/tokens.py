"""Counting the tokens of an answer as the original does: with tiktoken's cl100k_base, where its table can be had.

The table (1.7 MB) comes from tiktoken's cache folder or is fetched once. A host without a network must not wait for it:
the fetch has no time limit of its own, so it runs in a daemon thread that nobody waits for longer than asked.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

NAME = "cl100k_base"
PATIENCE = 8.0  # seconds for the fetch


class TokenCounter:
    """Counts tokens with one of tiktoken's encodings; `name` stands in the records."""

    def __init__(self, name: str, encoding: Encoding) -> None:
        self.name = name
        self._encoding = encoding

    def count(self, text: str) -> int:
        """The number of tokens of `text`; what looks like a special token counts as the text that it is."""
        return len(self._encoding.encode_ordinary(text))


async def load_counter(patience: float = PATIENCE) -> TokenCounter | None:
    """A counter, or None where the table is not here and cannot be fetched within `patience` seconds."""
    loop = asyncio.get_running_loop()
    loaded: asyncio.Future[TokenCounter | None] = loop.create_future()

    def settle(counter: TokenCounter | None) -> None:
        if not loaded.done():
            loaded.set_result(counter)

    def load() -> None:
        counter = _load()
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, counter)

    threading.Thread(target=load, name="cl100k_base", daemon=True).start()
    try:
        return await asyncio.wait_for(loaded, patience)
    except TimeoutError:
        return None


def _load() -> TokenCounter | None:
    try:
        import tiktoken

        return TokenCounter(NAME, tiktoken.get_encoding(NAME))
    except Exception:  # whatever keeps the table away (network, proxy, a full disk, a broken copy): the server counts
        return None
