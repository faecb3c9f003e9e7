"""`arena-tui web` as a browser meets it: the link, the page, the same UI behind its WebSocket, and its end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import aiohttp

PATIENCE = 90.0


async def test_the_link_shows_the_ui_that_takes_keys_and_ends_with_the_server(
    tmp_path: Path, start: Callable[..., Popen[str]]
):
    server = start("--demo", "--data", str(tmp_path), "web", "--port", "0")
    assert server.stdout is not None
    link = (await asyncio.to_thread(server.stdout.readline)).strip()
    place = urlsplit(link)
    assert place.hostname == "127.0.0.1"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        assert (await browser.get(link)).status == 200
        socket = f"ws://{place.netloc}/ws?width=80&height=24"
        async with browser.ws_connect(socket, origin=f"http://{place.netloc}") as page:
            await shown(page, "SIMULATED")
            await page.send_json(["stdin", "4"])
            await shown(page, "sampled")
            server.send_signal(signal.SIGINT)
            async for _ in page:  # until the server has closed it, after its program has ended
                pass
    assert await asyncio.to_thread(server.wait, PATIENCE) == 0
    assert (tmp_path / "demo" / "model_answer").is_dir()


async def shown(page: aiohttp.ClientWebSocketResponse, text: str) -> None:
    """Read what is sent to the page until `text` is in it."""
    seen = b""
    async with asyncio.timeout(PATIENCE):
        while text.encode() not in seen:
            message = await page.receive()
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), f"{message!r} after {seen!r}"
            seen += message.data if isinstance(message.data, bytes) else b""
