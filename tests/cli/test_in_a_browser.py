"""`arena-tui web` as a browser meets it: the link, the page, the same UI behind its WebSocket, and its end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import CompletedProcess, Popen
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest
from arena_program import saved

PATIENCE = 90.0


@asynccontextmanager
async def opened(
    server: Popen[str], size: str = "width=80&height=24"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The page behind the link that the server has printed."""
    assert server.stdout is not None
    link = (await asyncio.to_thread(server.stdout.readline)).strip()
    place = urlsplit(link)
    assert place.hostname == "127.0.0.1"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(link) as reply:
            assert reply.status == 200
            found = re.search(r'data-session-websocket-url="([^"]+)"', await reply.text())
        assert found is not None
        async with browser.ws_connect(f"{found[1]}?{size}", origin=f"http://{place.netloc}") as page:
            yield page


async def test_the_link_shows_the_ui_that_takes_keys_and_ends_with_the_server(
    tmp_path: Path, start: Callable[..., Popen[str]]
):
    server = start("--demo", "--data", str(tmp_path), "web", "--port", "0")
    async with opened(server) as page:
        await shown(page, "SIMULATED")
        await page.send_json(["stdin", "4"])
        await shown(page, "sampled")
        server.send_signal(signal.SIGINT)
        async for _ in page:  # until the server has closed it, after its program has ended
            pass
    assert await asyncio.to_thread(server.wait, PATIENCE) == 0
    assert (tmp_path / "demo" / "model_answer").is_dir()


@pytest.mark.parametrize("is_stopped", [False, True], ids=["idle", "stopped"])
async def test_a_server_that_is_killed_takes_the_ui_with_it(
    tmp_path: Path, start: Callable[..., Popen[str]], is_stopped: bool
):
    server = start("--demo", "--data", str(tmp_path), "web", "--port", "0")
    async with opened(server) as page:
        await shown(page, "SIMULATED")
        (ui,) = psutil.Process(server.pid).children()
        if is_stopped:  # as little as a busy one does it read the end of its stdin; it does when it goes on
            ui.suspend()
        server.kill()
        await asyncio.to_thread(server.wait, PATIENCE)
        if is_stopped:
            ui.resume()
    gone, _ = await asyncio.to_thread(psutil.wait_procs, [ui], PATIENCE)
    assert gone


async def test_a_hostile_browser_gets_no_more_than_a_large_terminal(tmp_path: Path, start: Callable[..., Popen[str]]):
    server = start("--demo", "--data", str(tmp_path), "web", "--port", "0")
    async with opened(server, "width=100000&height=100000") as page:
        await shown(page, "SIMULATED")
        (ui,) = psutil.Process(server.pid).children()
        before = ui.memory_info().rss
        for size in range(4000, 100_000, 500):
            await page.send_json(["resize", {"width": size, "height": size}])
            await page.send_json(["resize", {"width": 40 + size % 100, "height": 20}])
        await page.send_json(["resize", {"width": 100_000, "height": 100_000}])
        await page.send_json(["ping", "alive"])
        await shown(page, "alive")
        await page.send_json(["stdin", "4"])
        await shown(page, "sampled")
        assert ui.memory_info().rss < before + 300 * 2**20


async def shown(page: aiohttp.ClientWebSocketResponse, text: str) -> None:
    """Read what is sent to the page until `text` is in it."""
    seen = b""
    async with asyncio.timeout(PATIENCE):
        while text.encode() not in seen:
            message = await page.receive()
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), f"{message!r} after {seen!r}"
            seen += message.data if isinstance(message.data, bytes) else message.data.encode()


async def test_a_run_that_is_left_in_a_browser_goes_on_after_the_server(
    slow_bench: Path, tmp_path: Path, start: Callable[..., Popen[str]], arena: Callable[..., CompletedProcess[str]]
):
    server = start("-c", str(tmp_path / "config.toml"), "web", "--port", "0")
    async with opened(server) as page:
        await shown(page, "Plan:")
        await page.send_json(["stdin", "s"])
        await shown(page, "Start now")
        await page.send_json(["stdin", "\r"])
        await shown(page, "in flight")
        await page.send_json(["stdin", "q"])
        await shown(page, "leave it running")
        await page.send_json(["stdin", "Q"])
        async for _ in page:  # until the page is closed, because its program has ended
            pass
    server.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(server.wait, PATIENCE) == 0
    before = saved(slow_bench)
    async with asyncio.timeout(PATIENCE):
        while saved(slow_bench) <= before:
            await asyncio.sleep(0.05)
    status = await asyncio.to_thread(arena, "status", "--json", cwd=tmp_path)
    assert json.loads(status.stdout)["detached"]
    stopped = await asyncio.to_thread(arena, "stop", cwd=tmp_path)
    assert stopped.returncode == 0, stopped.stderr
