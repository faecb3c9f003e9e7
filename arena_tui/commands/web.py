"""`arena-tui web`: the terminal UI in a browser, by textual-serve's server behind a token and a check of the origin.

A page of any other site can open a WebSocket to this machine, and a host name can be made to point at it. So requests
must name this server as their host, come from its own pages, and carry the token (once in the link, then in a cookie).
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import click
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from arena_tui import console
from arena_tui.invocation import Invocation
from engine.errors import UsageProblem

TOKEN_VARIABLE = "ARENA_TUI_WEB_TOKEN"
_SHORTEST_TOKEN = 16  # characters


def web_command(invocation: Invocation, host: str, port: int) -> int:
    """Serve until interrupted. Print only the link on stdout. Return the exit code."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if token and len(token) < _SHORTEST_TOKEN:
        raise UsageProblem(
            f"{TOKEN_VARIABLE} is too short for a secret",
            f"set at least {_SHORTEST_TOKEN} characters, or leave it unset to have one generated",
        )
    return asyncio.run(_serve(WebServer(shlex.join(ui_arguments(invocation)), host, port, token)))


def ui_arguments(invocation: Invocation) -> list[str]:
    """Return the command line that opens the same UI in another process."""
    arguments = [sys.executable, "-m", "arena_tui"]
    if invocation.config_path is not None:
        arguments += ["--config", str(invocation.config_path)]
    if invocation.data is not None:
        arguments += ["--data", str(invocation.data)]
    return [*arguments, "--demo"] if invocation.demo else arguments


async def _serve(server: WebServer) -> int:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)

    def ready(address: str) -> None:
        click.echo(address)
        console.say("open this link in a browser; it gives control over runs on this machine; Ctrl-C stops")

    try:
        await server.run(ready, stopped)
    except OSError as error:
        raise UsageProblem(
            f"cannot listen on {server.host}:{server.port} ({error.strerror})", "choose another --port or --host"
        ) from None
    return console.DONE


COOKIE = "arena-tui"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_HEARTBEAT_SECONDS = 15.0  # after which a page that does not answer counts as closed
_CLOSING_SECONDS = 15.0  # for the runs of open pages to stop: calls in flight have ten
_KILLING_SECONDS = 5.0  # between asking a process to end and killing it
_GOODBYE_SECONDS = 2.0  # for a browser to answer that a page is closed

_origin: ContextVar[str] = ContextVar("origin", default="")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer(Server):
    """Serves `command` in a process of its own for each page. `address` is the link to open, token included."""

    def __init__(self, command: str, host: str, port: int, token: str = "") -> None:
        super().__init__(command, host=host, port=port, title="arena-tui")
        self.token = token or secrets.token_urlsafe(24)
        self._pages: dict[asyncio.Task[Any], web.WebSocketResponse] = {}

    @property
    def public_url(self) -> str:
        """The address by which the current request reached this server, which may be behind a tunnel."""
        return _origin.get()

    @public_url.setter
    def public_url(self, url: str) -> None:
        """Ignore the guess of the base class: a browser on another machine cannot reach the bound address."""

    @property
    def address(self) -> str:
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{_bracketed(host)}:{self.port}/?token={self.token}"

    async def run(self, ready: Callable[[str], None], until: asyncio.Event) -> None:
        """Serve until `until` is set, then end the processes of open pages. Raises OSError if the port is taken."""
        app = await self._make_app()
        app.middlewares.append(self._guard)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            ready(self.address)
            await until.wait()
        finally:
            # Closed, not cancelled: a handler that is ending its process must finish that.
            await asyncio.gather(*(page.close() for page in self._pages.values()), return_exceptions=True)
            if self._pages:
                await asyncio.wait(self._pages, timeout=_CLOSING_SECONDS + _KILLING_SECONDS)
            await runner.cleanup()

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing: stdout is for the link."""

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one open page by a process, and return after it has ended."""
        websocket = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS, timeout=_GOODBYE_SECONDS)
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
        page = _Page(
            self.command,
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=websocket.close,  # type: ignore[arg-type]  # its return value is ignored
            download_manager=self.download_manager,
        )
        width, height = (to_int(request.query.get(name, ""), least) for name, least in (("width", 80), ("height", 24)))
        try:
            await page.start(width, height)
            await self._process_messages(websocket, page)
        finally:
            await page.end()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_ours(request):
            raise web.HTTPForbidden(text="wrong host name for this server")
        if (given := request.query.get("token")) is not None and self._fits(given):
            welcome = web.HTTPSeeOther("/")
            welcome.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict")
            raise welcome
        if not self._fits(request.cookies.get(COOKIE, "")):
            raise web.HTTPUnauthorized(text="open the link that arena-tui web printed: it holds the token")
        _origin.set(f"{request.scheme}://{request.host}")
        return await handler(request)

    def _is_ours(self, request: web.Request) -> bool:
        """Return whether the request names this server as its host and comes from its own pages, if from any."""
        asked = urlsplit(f"//{request.host}").hostname or ""
        if self.host in _LOCAL_NAMES and asked not in _LOCAL_NAMES:
            return False
        origin = request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == request.host

    def _fits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.token.encode())


class _Page(AppService):
    """The process behind an open page."""

    async def end(self) -> None:
        """Ask the process to quit, which saves its results; terminate it, then kill it, if it does not."""
        process = self._process
        if process is None:
            return
        try:
            await asyncio.wait_for(self.stop(), _CLOSING_SECONDS)
            await asyncio.wait_for(process.wait(), _KILLING_SECONDS)
        except TimeoutError:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _KILLING_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
