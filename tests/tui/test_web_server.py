"""The UI in a browser: who gets in, what a page loads, what a browser may send, and that processes end."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http.cookies import SimpleCookie

import aiohttp
import psutil
import pytest

from arena_tui.commands.web import ui_arguments
from arena_tui.invocation import Invocation
from arena_tui.web.page import (
    KEYS_AT_ONCE,
    KEYS_PER_SECOND,
    MOST_COLUMNS,
    MOST_ROWS,
    Allowance,
    PageTimes,
    clamped,
    keys_in,
)
from arena_tui.web.server import MOST_PAGES, WebServer

# Shows its size and pid, then every packet that it gets, as the UI gets them; leaves when it is asked to.
ECHO = """
import os, sys
def show(text):
    data = text.encode()
    sys.stdout.buffer.write(b"D" + len(data).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()
sys.stdout.buffer.write(b"__GANGLION__\\n")
size = "x".join(map(os.environ.get, ("COLUMNS", "ROWS")))
show(f"hello {size} pid {os.getpid()} token {os.environ.get('ARENA_TUI_WEB_TOKEN')};")
while head := sys.stdin.buffer.read(5):
    packet = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    show(f"{head[:1].decode()}{packet[:200].decode()};")
    if b'"quit"' in packet:
        break
"""
# Deaf to everything but SIGKILL, and always busy.
STUBBORN = (
    ECHO.split("while head")[0]
    + """
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
while True:
    pass
"""
)
QUICK = PageTimes(closing=0.2, killing=0.2)


@asynccontextmanager
async def serving(program: str = ECHO, token: str = "", times: PageTimes = QUICK) -> AsyncIterator[WebServer]:
    served = WebServer([sys.executable, "-c", program], "127.0.0.1", 0, token, times)
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(served.run(lambda _: ready.set(), stop))
    await ready.wait()
    try:
        yield served
    finally:
        stop.set()
        await running


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    async with serving() as served:
        yield served


def new_browser() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))  # keeps cookies of IP addresses too


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_browser() as session:
        yield session


def at(server: WebServer, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


async def socket_of(server: WebServer, browser: aiohttp.ClientSession) -> str:
    """Open the link, and return the address of the WebSocket on the page."""
    async with browser.get(server.address) as reply:
        assert reply.status == 200
        found = re.search(r'data-session-websocket-url="([^"]+)"', await reply.text())
        assert found is not None
        return found[1]


@asynccontextmanager
async def opened(
    server: WebServer, browser: aiohttp.ClientSession, query: str = "width=80&height=24"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    origin = f"http://127.0.0.1:{server.port}"
    async with browser.ws_connect(f"{await socket_of(server, browser)}?{query}", origin=origin) as page:
        yield page


async def shown(page: aiohttp.ClientWebSocketResponse, text: str) -> str:
    """Read what the page shows until `text` is in it."""
    seen = ""
    async with asyncio.timeout(30):
        while text not in seen:
            message = await page.receive()
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), f"{message!r} after {seen!r}"
            seen += message.data.decode() if isinstance(message.data, bytes) else message.data
    return seen


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def pid_in(text: str) -> int:
    found = re.search(r"pid (\d+)", text)
    assert found is not None
    return int(found[1])


async def test_the_link_opens_the_page_which_addresses_the_server_as_the_browser_did(server, browser):
    token = server.address.partition("token=")[2]
    async with browser.get(server.address) as reply:
        assert reply.status == 200
        assert f"ws://127.0.0.1:{server.port}/" in await reply.text()
        assert token not in str(reply.url)
        assert token not in await reply.text()


async def test_a_page_shows_what_its_process_writes_and_ends_with_the_server(browser):
    async with serving() as server, opened(server, browser) as page:
        pid = pid_in(await shown(page, "pid "))
    await until(lambda: not psutil.pid_exists(pid))


@pytest.mark.parametrize("path", ["/", "/ws", "/static/js/textual.js", "/?token=guess", "/?token=%F0%9F%98%80"])
async def test_without_the_token_there_is_nothing(server, browser, path):
    async with browser.get(at(server, path)) as reply:
        assert reply.status == 401
        assert server.address.partition("token=")[2] not in await reply.text()


async def test_a_link_works_once_and_the_next_one_is_shown_in_the_terminal(server, browser, capfd):
    link = server.address
    await socket_of(server, browser)
    assert server.address in capfd.readouterr().err
    async with new_browser() as thief:
        async with thief.get(link) as reply:
            assert reply.status == 401
        assert not list(thief.cookie_jar)
        assert await socket_of(server, thief)  # by the new link


async def test_a_browser_that_is_known_uses_up_no_link(server, browser):
    await socket_of(server, browser)
    link = server.address
    path = re.sub(r"ws$", "", await socket_of(server, browser))
    async with browser.get(path.replace("ws://", "http://") + "?token=whatever") as reply:
        assert reply.status == 200
    assert server.address != link  # the second `socket_of` came by the root, where no cookie is sent


async def test_a_token_of_the_users_own_works_for_each_browser(browser):
    async with serving(token="a token of my own/+=") as server, new_browser() as other:
        assert await socket_of(server, browser)
        assert await socket_of(server, other)


async def test_the_session_is_not_the_token_and_goes_to_no_other_port(server, browser, unused_tcp_port):
    link = server.address
    async with browser.get(link, allow_redirects=False) as reply:
        (cookie,) = SimpleCookie(reply.headers["Set-Cookie"]).values()
    assert cookie["path"] not in ("", "/")
    assert len(cookie["path"]) > 16
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie.value not in link
    received = []

    async def spy(request: aiohttp.web.Request) -> aiohttp.web.Response:
        received.append(request.headers.get("Cookie", ""))
        return aiohttp.web.Response()

    app = aiohttp.web.Application()
    app.router.add_get("/{path:.*}", spy)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    try:
        for path in ("/", "/ws", "/static/x"):
            await (await browser.get(f"http://127.0.0.1:{unused_tcp_port}{path}")).read()
    finally:
        await runner.cleanup()
    assert received == ["", "", ""]


async def test_two_servers_do_not_log_each_others_browsers_out(server, browser):
    async with serving() as second, opened(server, browser) as page:
        async with opened(second, browser) as other:
            await shown(other, "hello")
            await page.send_json(["stdin", "still here"])
            await shown(page, "Dstill here;")
        async with browser.get(re.sub(r"^ws(.*)ws$", r"http\1", await socket_of(server, browser))) as reply:
            assert reply.status == 200


async def test_behind_tls_the_cookie_is_secure_and_the_socket_too(server, browser):
    async with browser.get(server.address, headers={"X-Forwarded-Proto": "https"}, allow_redirects=False) as reply:
        (cookie,) = SimpleCookie(reply.headers["Set-Cookie"]).values()
        assert cookie["secure"]
        place = reply.headers["Location"]
    headers = {"X-Forwarded-Proto": "https", "Cookie": f"{cookie.key}={cookie.value}"}
    async with browser.get(at(server, place), headers=headers) as reply:
        assert 'url="wss://' in await reply.text()


async def test_a_page_of_another_site_cannot_open_a_terminal(server, browser):
    socket = await socket_of(server, browser)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(socket, origin="http://elsewhere.example")
    assert refused.value.status == 403


async def test_a_host_name_that_was_made_to_point_here_is_refused(server, browser):
    async with browser.get(server.address, headers={"Host": f"evil.example:{server.port}"}) as reply:
        assert reply.status == 403


async def test_nothing_is_loaded_from_outside_the_machine(server, browser):
    async with browser.get(server.address) as reply:
        text, policy = await reply.text(), reply.headers["Content-Security-Policy"]
        address = str(reply.url)
    assert not re.search(r"https?://", text)
    assert re.findall(r"wss?://([^/]+)", text) == [f"127.0.0.1:{server.port}"]
    assert "default-src 'none'" in policy
    assert set(re.findall(r"\w+://[^ ;]+", policy)) == {f"ws://127.0.0.1:{server.port}"}
    assert "frame-ancestors 'none'" in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text) + re.findall(r'url\("([^"]+)"\)', text)
    files = [path for path in loaded if not path.startswith("data:")]
    assert len(files) == 4
    for path in files:
        async with browser.get(address + path) as reply:
            assert reply.status == 200, path
            body = await reply.read()
            assert not re.search(rb"""(?:src|href|import|url)\s*[=(]\s*["']?https?://""", body)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ((100000, 100000), (MOST_COLUMNS, MOST_ROWS)),
        ((10**400, -5), (MOST_COLUMNS, 5)),
        (("4000", "4000"), (MOST_COLUMNS, MOST_ROWS)),
        (("9" * 5000, "\u0663"), (80, 24)),
        ((None, 1e300), (80, 24)),
        ((True, [1]), (80, 24)),
        ((120, 34), (120, 34)),
        (("-1", "0"), (80, 5)),
    ],
)
def test_no_terminal_is_larger_than_any_screen(asked, given):
    assert clamped(*asked) == given


async def test_a_browser_cannot_ask_for_a_huge_terminal(server, browser):
    async with opened(server, browser, "width=100000&height=100000") as page:
        assert f"hello {MOST_COLUMNS}x{MOST_ROWS}" in await shown(page, "pid ")
        await page.send_json(["resize", {"width": 100000, "height": 7}])
        seen = await shown(page, '"resize"')
        assert json.loads(seen.rpartition("M")[2].rstrip(";")) == {"type": "resize", "width": MOST_COLUMNS, "height": 7}


async def test_many_changes_of_size_become_few_and_the_last_one_counts(server, browser):
    async with opened(server, browser) as page:
        for width in range(100, 300):
            await page.send_json(["resize", {"width": width, "height": 30}])
        seen = await shown(page, '"width":299')
        assert seen.count('"resize"') < 30


@pytest.mark.parametrize(
    "message",
    ["", "{}", "[]", "[1]", '["resize"]', '["resize", {"width": 3}]', '["stdin", 7]', '["stdin"]', '["resize", [1, 2]]',
     '["exit"]', '["ping", {"a": 1}]', "[" * 100_000, '"' + "x" * 100, '["stdin", "\\ud800"]', "null", '["quit", 1]'],
)  # fmt: skip
async def test_messages_that_are_none_change_nothing(server, browser, message):
    async with opened(server, browser) as page:
        await page.send_str(message)
        await page.send_bytes(b"\0\1\2")
        await page.send_json(["ping", 12])
        await shown(page, '["pong",12]')


async def test_what_nobody_types_or_pastes_at_once_is_dropped(server, browser):
    async with opened(server, browser) as page:
        await page.send_json(["stdin", "x" * 2500])
        await page.send_json(["stdin", f"\x1b[200~{'y' * 50_000}\x1b[201~"])
        await page.send_json(["stdin", f"\x1b[200~{'z' * 20_000}\x1b[201~"])
        seen = await shown(page, "zzz")
        assert "Dx" not in seen
        assert "yyy" not in seen


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("j", 1),
        ("привет", 6),
        ("\x1b[A\x1b[B", 2),
        ("\x1b[<35;100;30M", 1),
        ("\x1b[200~a long text\nof two lines\x1b[201~", 1),
        ("\x1b[200~a\x1b[201~bcd\x1b[201~", 7),
        ("", 0),
    ],
)
def test_keys_are_counted_as_a_terminal_reads_them(text, keys):
    assert keys_in(text) == keys


async def test_a_message_of_megabytes_closes_its_page(server, browser):
    async with opened(server, browser) as page:
        pid = pid_in(await shown(page, "pid "))
        with suppress(ConnectionError):
            await page.send_json(["stdin", "x" * 5_000_000])
        await until(lambda: not psutil.pid_exists(pid))


async def test_a_flood_reaches_the_process_only_as_fast_as_a_person_types(server, browser):
    async with opened(server, browser) as page:
        await shown(page, "pid ")
        started = time.monotonic()

        async def flood() -> None:
            while True:
                await page.send_json(["stdin", "x" * 100])

        flooding = asyncio.create_task(flood())
        received = 0
        async with asyncio.timeout(60):
            while received < KEYS_AT_ONCE + 2 * KEYS_PER_SECOND:
                received += (await page.receive()).data.count(b"D") * 100
        flooding.cancel()
        assert time.monotonic() - started > 1.5


def test_an_allowance_refills_over_time():
    allowance = Allowance(per_second=100.0, at_once=10.0)
    assert allowance.wait_after(10.0) == 0.0
    assert 0.05 < allowance.wait_after(10.0) <= 0.1
    assert allowance.wait_after(1e6) > 1000


async def test_only_so_many_pages_can_be_open_and_a_closed_one_makes_room(server, browser):
    socket, origin = await socket_of(server, browser), f"http://127.0.0.1:{server.port}"
    pages = [await browser.ws_connect(socket, origin=origin) for _ in range(MOST_PAGES)]
    pids = [pid_in(await shown(page, "pid ")) for page in pages]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(socket, origin=origin)
    assert refused.value.status == 503
    await pages[0].close()
    await until(lambda: not psutil.pid_exists(pids[0]))
    async with asyncio.timeout(30):
        while True:
            try:
                await shown(await browser.ws_connect(socket, origin=origin), "hello")
                break
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.02)
    for page in pages[1:]:
        await page.close()


async def test_a_process_that_obeys_nothing_ends_with_its_page(browser):
    async with serving(STUBBORN) as server:
        async with opened(server, browser) as page:
            pid = pid_in(await shown(page, "pid "))
        await until(lambda: not psutil.pid_exists(pid))


async def test_a_page_of_a_process_that_writes_nonsense_is_closed(browser):
    nonsense = "import sys; sys.stdout.buffer.write(b'__GANGLION__\\nD\\xff\\xff\\xff\\xff' + b'x' * 999); input()"
    async with serving(nonsense) as server, opened(server, browser) as page:
        async with asyncio.timeout(30):
            async for _ in page:
                pass


async def test_no_page_inherits_the_token_and_its_last_words_are_no_result(browser, capfd):
    failing = ECHO + "\nsys.exit('what \\x1b[2J went wrong')"
    async with serving(failing) as server:
        async with opened(server, browser) as page:
            assert "token None;" in await shown(page, "token ")
        await until(lambda: not server._pages)
    written = capfd.readouterr()
    assert not written.out
    assert "went wrong" in written.err
    assert "\x1b" not in written.err


def test_the_page_opens_the_same_ui(tmp_path):
    arguments = ui_arguments(Invocation(tmp_path / "a b.toml", tmp_path, demo=True))
    assert arguments[1:] == ["-m", "arena_tui", "--config", f"{tmp_path}/a b.toml", "--data", str(tmp_path), "--demo"]
