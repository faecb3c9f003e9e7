"""Reading a reply's body without trusting its size."""

from __future__ import annotations

import aiohttp

from engine.errors import CallFailed, FailureKind

LARGEST_BODY = 64 * 2**20  # bytes: a hundred times the longest answer that a model can give


async def read_body(response: aiohttp.ClientResponse, largest: int = LARGEST_BODY) -> bytes:
    """The whole body. Raises CallFailed (MALFORMED) beyond `largest` bytes, and what aiohttp raises."""
    length = response.content_length
    if length is not None and length <= largest and "Content-Encoding" not in response.headers:
        return await response.read()
    read = 0
    pieces: list[bytes] = []
    async for piece in response.content.iter_any():
        read += len(piece)
        if read > largest:
            response.close()
            raise CallFailed(FailureKind.MALFORMED, f"the reply is longer than {largest / 2**20:.0f} MiB")
        pieces.append(piece)
    return b"".join(pieces)
