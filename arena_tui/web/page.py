"""One open page: the process that it shows, with bounds on what its browser may send, take and ask for.

The process and this server exchange packets: a letter (`D` terminal data, `M` a message in JSON), the length in four
bytes, and the payload. The process runs in a session of its own and ends with the page, or with the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import psutil

from engine.events import steady_now

MOST_COLUMNS, MOST_ROWS = 600, 250
LEAST_COLUMNS, LEAST_ROWS = 20, 5
RESIZE_SECONDS = 0.1  # between two changes of size: a dragged window asks for many
LONGEST_PASTE = 1 << 15  # characters; longer ones are dropped
KEYS_PER_SECOND, KEYS_AT_ONCE = 200.0, 2000.0  # key presses and moves of the mouse; then a browser has to wait
MESSAGES_PER_SECOND, MESSAGES_AT_ONCE = 100.0, 500.0
LARGEST_PACKET = 1 << 25  # bytes from the process: ten times a full frame
SENDING_SECONDS = 20.0  # for a browser to take a frame; then its page is closed
MOST_MEMORY = 4 << 30  # bytes of the process; then its page is closed
MEMORY_SECONDS = 2.0  # between two looks at it
KEPT_ERRORS = 8192  # bytes of the process's stderr, to be shown if it fails
_PASTE = re.compile("\x1b\\[200~[^\x1b]*\x1b\\[201~")  # one event, however long
_KEY = re.compile("\x1b\\[[<?0-9;]*[A-Za-z~]|.", re.DOTALL)
_PRELUDE = b"__GANGLION__\n"  # Textual's own: terminal data follows


class PageTimes(msgspec.Struct, frozen=True):
    """Seconds that a process gets to stop its run when its page is closed, and to obey SIGTERM after that."""

    closing: float = 15.0  # calls in flight have ten
    killing: float = 5.0


class Allowance:
    """A budget that refills over time; who overdraws it has to wait."""

    def __init__(self, per_second: float, at_once: float) -> None:
        self._rate, self._most = per_second, at_once
        self._left = at_once
        self._at = steady_now()

    def wait_after(self, cost: float) -> float:
        """Take `cost` from the budget and return the seconds to wait until it is in balance again."""
        now = steady_now()
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - cost
        self._at = now
        return max(0.0, -self._left / self._rate)


def keys_in(text: str) -> float:
    """Return how many key presses and moves of the mouse a terminal's input stands for."""
    return 1.0 if _PASTE.fullmatch(text) else float(sum(1 for _ in _KEY.finditer(text)))


def clamped(width: object, height: object) -> tuple[int, int]:
    """Return a terminal size within bounds; a value that is no number becomes that of a small terminal."""
    return _within(width, LEAST_COLUMNS, 80, MOST_COLUMNS), _within(height, LEAST_ROWS, 24, MOST_ROWS)


def _within(value: object, least: int, usual: int, most: int) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    return min(most, max(least, value)) if isinstance(value, int) and not isinstance(value, bool) else usual


class WebPage:
    """Shows the process of `command` to one browser. `start`, then `receive` each message; `end` in any case.

    Args:
        send: sends bytes to the browser; waits while it takes none.
        reply: sends a text message to the browser.
        closed: closes the connection to the browser.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        send: Callable[[bytes], Awaitable[None]],
        reply: Callable[[str], Awaitable[None]],
        closed: Callable[[], Awaitable[object]],
        times: PageTimes,
    ) -> None:
        self._command = command
        self._environment = environment
        self._send = send
        self._reply = reply
        self._closed = closed
        self._times = times
        self._process: asyncio.subprocess.Process | None = None
        self._size = (0, 0)
        self._size_changed = asyncio.Event()
        self._keys = Allowance(KEYS_PER_SECOND, KEYS_AT_ONCE)
        self._messages = Allowance(MESSAGES_PER_SECOND, MESSAGES_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self.errors = b""  # the end of what the process wrote to stderr

    async def start(self, width: object, height: object) -> None:
        """Start the process for a terminal of that size."""
        self._size = clamped(width, height)
        columns, rows = map(str, self._size)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**self._environment, "COLUMNS": columns, "ROWS": rows},
            start_new_session=True,
        )
        work = (self._show(self._process), self._keep_errors(self._process), self._resize(), self._watch(self._process))
        self._tasks = [asyncio.create_task(each) for each in work]

    async def receive(self, message: str) -> None:
        """Handle a message of the browser; ignore what is none. Waits while it sends more than it may."""
        await asyncio.sleep(self._messages.wait_after(1.0))
        try:
            envelope = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return
        match envelope:
            case ["stdin", str(text)]:
                await self._type(text)
            case ["resize", {"width": width, "height": height}]:
                self._size = clamped(width, height)
                self._size_changed.set()
            case ["ping", int() | float() | str() as sent]:
                await self._reply(msgspec.json.encode(["pong", sent]).decode())
            case ["focus" | "blur" as kind, *_]:
                await self._write(b"M", msgspec.json.encode({"type": kind}))

    async def _type(self, text: str) -> None:
        """Pass on what was typed or pasted; drop what is more than a person types or pastes at once."""
        keys = keys_in(text) if len(text) <= LONGEST_PASTE else KEYS_AT_ONCE + 1
        await asyncio.sleep(self._keys.wait_after(min(keys, KEYS_AT_ONCE)))
        if keys <= KEYS_AT_ONCE:
            await self._write(b"D", text.encode("utf-8", "replace"))

    async def end(self) -> None:
        """Ask the process to leave, which saves what it has, and make it if it does not. Returns once it has ended."""
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(self._times.closing):
                await self._write(b"M", b'{"type": "quit"}')
                await process.wait()
        except TimeoutError:
            for order in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, order)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), self._times.killing)
                    break
            await process.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process else None

    async def _write(self, kind: bytes, payload: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):  # it has just ended
            self._process.stdin.write(b"%s%s%s" % (kind, len(payload).to_bytes(4, "big"), payload))
            await self._process.stdin.drain()

    async def _show(self, process: asyncio.subprocess.Process) -> None:
        """Send what the process writes, until it ends or the browser takes no more; then close the connection."""
        assert process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, ValueError, TimeoutError, RuntimeError):
            while await process.stdout.readline() not in (_PRELUDE, b""):
                pass
            while True:
                head = await process.stdout.readexactly(5)
                size = int.from_bytes(head[1:], "big")
                if size > LARGEST_PACKET:
                    break
                payload = await process.stdout.readexactly(size)
                if head[:1] == b"D":
                    await asyncio.wait_for(self._send(payload), SENDING_SECONDS)
                elif _is_exit(payload):
                    break
        await self._closed()
        while await process.stdout.read(1 << 16):  # so that it can end: the rest is not read
            pass

    async def _keep_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while data := await process.stderr.read(4096):
            self.errors = (self.errors + data)[-KEPT_ERRORS:]

    async def _resize(self) -> None:
        shown = self._size
        while True:
            await self._size_changed.wait()
            self._size_changed.clear()
            if self._size != shown:
                shown = self._size
                size: dict[str, Any] = {"type": "resize", "width": shown[0], "height": shown[1]}
                await self._write(b"M", msgspec.json.encode(size))
            await asyncio.sleep(RESIZE_SECONDS)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Close the page of a process, or of its child with the UI, that takes more memory than any view of a bench."""
        with contextlib.suppress(psutil.Error):
            seen = psutil.Process(process.pid)
            while True:
                await asyncio.sleep(MEMORY_SECONDS)
                if sum(each.memory_info().rss for each in (seen, *seen.children())) > MOST_MEMORY:
                    await self._closed()
                    return


def _is_exit(message: bytes) -> bool:
    try:
        decoded = msgspec.json.decode(message)
    except msgspec.DecodeError:
        return False
    return isinstance(decoded, dict) and decoded.get("type") == "exit"
