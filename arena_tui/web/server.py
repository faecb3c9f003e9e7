"""The HTTP server of the terminal UI: a link, one page, its static files and its WebSocket, for known browsers only.

A page of any other site can open a WebSocket to this machine, and a host name can be made to point at it. So requests
must name this server as their host, come from its own pages, and belong to a session. The page loads nothing from
elsewhere, and its policy forbids it.
"""

from __future__ import annotations

import asyncio
import html
import os
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from arena_tui import console
from arena_tui.web.access import Access
from arena_tui.web.page import PageTimes, WebPage
from engine.errors import UsageProblem

MOST_PAGES = 8  # at a time; each is a process
LARGEST_MESSAGE = 1 << 20  # bytes from a browser
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_HEARTBEAT_SECONDS = 15.0  # after which a page that does not answer counts as closed
_GOODBYE_SECONDS = 2.0  # for a browser to answer that a page is closed
_DRIVER = "arena_tui.web.driver:PageDriver"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def static_folder() -> Path:
    """Return the folder of textual-serve's terminal for browsers. Raises UsageProblem if it is not installed."""
    spec = find_spec("textual_serve")
    if spec is None or spec.origin is None:
        raise UsageProblem("textual-serve is not installed", "pip install 'arena-tui[web]'")
    return Path(spec.origin).parent / "static"


class WebServer:
    """Serves `command` in a process of its own for each page. `address` is the link that opens the next session.

    Args:
        token: a token of the user's own in place of links that work once.
        times: that a process gets when its page is closed.
    """

    def __init__(
        self, command: Sequence[str], host: str, port: int, token: str = "", times: PageTimes | None = None
    ) -> None:
        self.host, self.port = host, port
        self._command = command
        self._access = Access(token, self._link_used)
        self._times = times or PageTimes()
        self._pages: dict[asyncio.Task[Any], web.WebSocketResponse] = {}
        self._static = static_folder()
        self._template = (Path(__file__).parent / "page.html").read_text("utf-8")

    @property
    def address(self) -> str:
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{_bracketed(host)}:{self.port}/?{self._access.query}"

    async def run(self, ready: Callable[[str], None], until: asyncio.Event) -> None:
        """Serve until `until` is set, then end the processes of open pages. Raises OSError if the port is taken."""
        path = self._access.path
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get(path, self._index),
                web.get(f"{path}ws", self._websocket),
                web.static(f"{path}static", self._static),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            ready(self.address)
            await until.wait()
        finally:
            # Closed and not cancelled: a handler that is just ending its process must get to the end of that.
            await asyncio.gather(*(page.close() for page in self._pages.values()), return_exceptions=True)
            if self._pages:
                await asyncio.wait(self._pages, timeout=self._times.closing + 3 * self._times.killing)
            await runner.cleanup()

    def _link_used(self) -> None:
        console.say(f"the link was used; it works once. For another browser: {self.address}")

    async def _index(self, request: web.Request) -> web.Response:
        scheme = "wss" if _is_secure(request) else "ws"
        socket = html.escape(f"{scheme}://{request.host}{self._access.path}ws", quote=True)
        return web.Response(text=self._template.replace("{socket}", socket), content_type="text/html")

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one open page: what it shows is a process, which has ended by the time this returns."""
        if len(self._pages) >= MOST_PAGES:
            raise web.HTTPServiceUnavailable(text=f"{MOST_PAGES} pages are open: close one of them")
        websocket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_SECONDS, timeout=_GOODBYE_SECONDS, max_msg_size=LARGEST_MESSAGE
        )
        handler = asyncio.current_task()
        assert handler is not None
        self._pages[handler] = websocket
        try:
            await websocket.prepare(request)
            await self._show(websocket, request)
        finally:
            del self._pages[handler]
        return websocket

    async def _show(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        page = WebPage(
            self._command,
            {**os.environ, "TEXTUAL_DRIVER": _DRIVER, "TEXTUAL_COLOR_SYSTEM": "truecolor", "TERM_PROGRAM": "textual"},
            send=websocket.send_bytes,
            reply=websocket.send_str,
            closed=websocket.close,
            times=self._times,
        )
        try:
            await page.start(request.query.get("width"), request.query.get("height"))
            async for message in websocket:
                await page.receive(message.data if message.type is web.WSMsgType.TEXT else "")
        except ConnectionError:
            pass  # the browser is gone
        finally:
            await page.end()
            if page.exit_code not in (0, None) and page.errors:
                console.say(page.errors.decode("utf-8", "replace").rstrip())

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await self._checked(request, handler)
        except web.HTTPException as refusal:
            refusal.headers.update(_headers(request))
            raise
        if not response.prepared:
            response.headers.update(_headers(request))
        return response

    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_ours(request):
            raise web.HTTPForbidden(text="this server is not known by that name")
        access = self._access
        is_known = access.knows(request.cookies.get(access.cookie, ""))
        given = request.query.get("token")
        if given is not None and request.path in ("/", access.path):
            session = None if is_known else access.exchange(given)
            if not is_known and session is None:
                raise web.HTTPUnauthorized(text="this link is wrong or was used: the terminal shows the current one")
            welcome = web.HTTPSeeOther(access.path)
            if session is not None:
                welcome.set_cookie(
                    access.cookie,
                    session,
                    path=access.path,
                    httponly=True,
                    samesite="Strict",
                    secure=_is_secure(request),
                )
            raise welcome
        if not is_known:
            raise web.HTTPUnauthorized(text="open the link that arena-tui web has printed")
        return await handler(request)

    def _is_ours(self, request: web.Request) -> bool:
        """Whether the request was meant for this server, and comes from its own pages if from any."""
        asked = urlsplit(f"//{request.host}").hostname or ""
        if self.host in _LOCAL_NAMES and asked not in _LOCAL_NAMES:
            return False
        origin = request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == request.host


def _is_secure(request: web.Request) -> bool:
    """Whether the browser speaks TLS, with this server or with a proxy before it."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "") == "https"


def _headers(request: web.Request) -> dict[str, str]:
    socket = f"{'wss' if _is_secure(request) else 'ws'}://{request.host}"
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
        f"img-src 'self' data:; connect-src {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
