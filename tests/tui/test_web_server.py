"""The UI in a browser: nobody gets in without the token, and nobody comes from elsewhere."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest

from arena_tui.commands.web import WebServer, ui_arguments
from arena_tui.invocation import Invocation

PAGE = """
import sys
sys.stdout.buffer.write(b"__GANGLION__\\n" + b"D" + (5).to_bytes(4, "big") + b"hello")
sys.stdout.buffer.flush()
sys.stdin.buffer.read(1)
print("the page was closed", file=sys.stderr)
"""


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    """A server whose pages show `hello`."""
    served = WebServer(shlex.join([sys.executable, "-c", PAGE]), "127.0.0.1", 0)
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(served.run(lambda _: ready.set(), stop))
    await ready.wait()
    yield served
    stop.set()
    await serving


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of IP addresses are kept too
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield session


def at(server: WebServer, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


async def test_the_link_opens_the_page_which_addresses_the_server_as_the_browser_did(server, browser):
    async with browser.get(server.address) as reply:
        assert reply.status == 200
        assert f"ws://127.0.0.1:{server.port}/ws" in await reply.text()
        assert server.token not in str(reply.url)


async def test_a_page_shows_what_its_process_writes_and_ends_with_the_server(server, browser):
    await (await browser.get(server.address)).read()
    async with browser.ws_connect(at(server, "/ws"), origin=f"http://127.0.0.1:{server.port}") as page:
        assert (await page.receive()).data == b"hello"


@pytest.mark.parametrize("path", ["/", "/ws", "/static/js/textual.js", "/?token=guess", "/?token=%F0%9F%98%80"])
async def test_without_the_token_there_is_nothing(server, browser, path):
    async with browser.get(at(server, path)) as reply:
        assert reply.status == 401
        assert server.token not in await reply.text()


async def test_a_page_of_another_site_cannot_open_a_terminal(server, browser):
    await (await browser.get(server.address)).read()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(at(server, "/ws"), origin="http://elsewhere.example")
    assert refused.value.status == 403


async def test_a_host_name_that_was_made_to_point_here_is_refused(server, browser):
    async with browser.get(server.address, headers={"Host": f"evil.example:{server.port}"}) as reply:
        assert reply.status == 403


def test_the_page_opens_the_same_ui(tmp_path):
    arguments = ui_arguments(Invocation(tmp_path / "a b.toml", tmp_path, demo=True))
    assert arguments[1:] == ["-m", "arena_tui", "--config", f"{tmp_path}/a b.toml", "--data", str(tmp_path), "--demo"]
