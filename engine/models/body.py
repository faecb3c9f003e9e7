"""Reading the body of a reply without trusting its size, or that it ever ends."""

from __future__ import annotations

import asyncio

import aiohttp

from engine.errors import CallFailed, FailureKind

LARGEST_BODY = 64 * 2**20  # bytes: a hundred times the longest answer that a model can give


async def read_body(
    response: aiohttp.ClientResponse, largest: int = LARGEST_BODY, longest_pause: float | None = None
) -> bytes:
    """The whole body. Raises CallFailed (MALFORMED) beyond `largest` bytes, and what aiohttp raises.

    Raises CallFailed (TIMEOUT) when nothing comes for `longest_pause` seconds.
    """
    length = response.content_length
    is_small = length is not None and length <= largest and "Content-Encoding" not in response.headers
    if is_small and (longest_pause is None or response.content.is_eof()):  # as a rule it came with the headers
        return await response.read()
    try:
        async with asyncio.timeout(longest_pause) as pause:
            return await _read_pieces(response, largest, longest_pause, pause)
    except TimeoutError:
        if not pause.expired():  # that of the whole call
            raise
        response.close()
        raise CallFailed(
            FailureKind.TIMEOUT, f"the reply stopped in its middle: nothing came for {longest_pause:g} s"
        ) from None


async def _read_pieces(
    response: aiohttp.ClientResponse, largest: int, longest_pause: float | None, pause: asyncio.Timeout
) -> bytes:
    time = asyncio.get_running_loop().time
    read = 0
    pieces: list[bytes] = []
    async for piece in response.content.iter_any():
        read += len(piece)
        if read > largest:
            response.close()
            raise CallFailed(FailureKind.MALFORMED, f"the reply is longer than {largest / 2**20:.0f} MiB")
        pieces.append(piece)
        if longest_pause is not None:
            pause.reschedule(time() + longest_pause)
    return b"".join(pieces)
