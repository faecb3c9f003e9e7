"""`[notify]`: runs a command or calls a webhook when something has happened.

Deliveries wait in a bounded queue of their own task, are tried again after failures that may pass, and have some
seconds at the end of a run. A target that fails is reported once, without its address.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from engine.config.model import Config
from engine.config.reporting import NoticeKind
from engine.config.secrets import secrets_of
from engine.events import Event, RunEnded, StandingChanged, StopRuleSet
from engine.ratings.stop_rule import Standing
from engine.redaction import Redactor

VERSION: Final = 1
LAST_SECONDS: Final = 30.0  # for what is on its way when a run ends
_MOST_WAITING = 100
_FIRST_DELAY = 0.5  # seconds; doubled with each try
_LONGEST_ERROR = 300  # characters


class HappeningNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What a command gets on stdin and a webhook as its body.

    Attributes:
        v: version of this format.
        text: one line for people.
        bench, run: of which run.
        time: Unix seconds.
        model, opponent, standing: of a decided model.
        outcome: of a run that ended or failed: "done", "failed" or "interrupted".
        step: of a plateau, since when no later step is shown to be better.
    """

    v: int = VERSION
    kind: NoticeKind
    text: str
    bench: str
    run: str
    time: float
    model: str | None = None
    opponent: str | None = None
    standing: Standing | None = None
    outcome: str | None = None
    step: int | None = None


class DeliveryFailed(Exception):
    """A notice did not arrive. `may_pass`: whether it is worth another try."""

    def __init__(self, why: str, *, may_pass: bool = True) -> None:
        super().__init__(why)
        self.may_pass = may_pass


class Notifier:
    """Sends notices about one run at a time; open it within a running event loop.

    Args:
        warn: called with a text when a target fails for good, once for each.
    """

    def __init__(self, config: Config, bench: str, run: str, warn: Callable[[str], None]) -> None:
        self._settings = config.notify
        self._bench = bench
        self._run = run
        self._warn = warn
        self._redact = Redactor(secrets_of(config))
        self._opponent = ""
        self._decided: set[str] = set()
        self._warned: set[str] = set()
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._sender: asyncio.Task[None] | None = None

    def begin(self, run: str) -> None:
        """Send notices about another run from now on."""
        self._run = run
        self._decided.clear()

    def handle(self, event: Event) -> None:
        """Send a notice of a decision, and of the end of the run."""
        if isinstance(event, StopRuleSet):
            self._opponent = event.opponent
        elif isinstance(event, StandingChanged):
            self._decision(event.model, event.standing)
        elif isinstance(event, RunEnded):
            text = {"done": "is done", "failed": "ended with failed calls", "interrupted": "was interrupted"}
            self.ended(event.outcome, f"the run of {self._bench} {text[event.outcome]}")

    def ended(self, outcome: str, text: str) -> None:
        """Send a notice of the end of a run: `failed` where only that is wanted and it has."""
        kinds: tuple[NoticeKind, ...] = ("failed", "ended") if outcome == "failed" else ("ended",)
        kind = next((kind for kind in kinds if kind in self._settings.on), None)
        if kind is not None:
            self.send(kind, text, outcome=outcome)

    def plateaued(self, text: str, step: int) -> None:
        """Send a notice that a training has stopped improving since a step."""
        self.send("plateaued", text, step=step)

    def send(self, kind: NoticeKind, text: str, **fields: Any) -> None:
        """Queue a notice, if its kind is wanted; the oldest of too many is dropped."""
        if kind not in self._settings.on:
            return
        notice = HappeningNotice(
            kind=kind, text=text, bench=self._bench, run=self._run, time=round(time.time(), 3), **fields
        )
        if self._waiting.full():
            self._waiting.get_nowait()
            self._waiting.task_done()
            self._report("queue", "too many notices are waiting; the oldest was dropped")
        self._waiting.put_nowait(self._redact(msgspec.json.encode(notice).decode()).encode())
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_waiting())

    async def close(self, limit: float = LAST_SECONDS) -> None:
        """Send what is waiting, for `limit` seconds at most."""
        if self._sender is None:
            return
        try:
            await asyncio.wait_for(self._waiting.join(), limit)
        except TimeoutError:
            self._report("limit", f"{self._waiting.qsize() + 1} notices were not sent within {limit:g} s")
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)
        self._sender = None

    def _decision(self, model: str, standing: Standing) -> None:
        if standing.verdict in ("undecided", "budget") or model in self._decided:
            return
        self._decided.add(model)
        state = {
            "equivalent": f"is equivalent to {self._opponent}",
            "precise": "is known precisely enough",
        }.get(standing.verdict, f"is {standing.verdict} than {self._opponent}")
        score = "" if standing.score is None else f": {standing.score:.1f} [{standing.lower:.1f}, {standing.upper:.1f}]"
        text = f"{model} {state} after {standing.decided_after} questions{score}"
        self.send("decided", text, model=model, opponent=self._opponent, standing=standing)

    async def _send_waiting(self) -> None:
        while True:
            body = await self._waiting.get()
            try:
                await asyncio.gather(self._try("command", _run_command, body), self._try("webhook", _post, body))
            finally:
                self._waiting.task_done()

    async def _try(self, target: str, deliver: Callable[[Any, bytes], Awaitable[None]], body: bytes) -> None:
        """Deliver to a target, if there is one, with as many tries as configured."""
        address = getattr(self._settings, target)
        if address is None:
            return
        for attempt in range(1, self._settings.attempts + 1):
            try:
                await asyncio.wait_for(deliver(address, body), self._settings.timeout)
                return
            except TimeoutError:
                why, may_pass = f"no end within {self._settings.timeout:g} s", True
            except DeliveryFailed as error:
                why, may_pass = str(error), error.may_pass
            except Exception as error:
                why, may_pass = f"{type(error).__name__}: {error}", True
            if not may_pass or attempt == self._settings.attempts:
                tries = f" ({attempt} tries)" if attempt > 1 else ""
                self._report(target, f"{why}{tries}")
                return
            await asyncio.sleep(_FIRST_DELAY * 2 ** (attempt - 1))

    def _report(self, target: str, why: str) -> None:
        if target not in self._warned:
            self._warned.add(target)
            self._warn(f"[notify] {target}: {self._redact(why)[:_LONGEST_ERROR]}; later failures are not reported")


async def _run_command(command: list[str], body: bytes) -> None:
    """Run a program with the notice on its stdin. It has a session of its own, which is ended with it."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        raise DeliveryFailed(f"cannot start {command[0]}: {error.strerror}", may_pass=False) from None
    try:
        _, errors = await process.communicate(body)
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    if process.returncode:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise DeliveryFailed(f"{command[0]} ended with {process.returncode}" + (f": {last}" if last else ""))


async def _post(address: Any, body: bytes) -> None:
    """Post the notice. 429 and errors of the server may pass, other refusals do not."""
    import aiohttp

    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(trust_env=True) as session:
        try:
            async with session.post(
                address.get_secret_value(), data=body, headers=headers, allow_redirects=False
            ) as reply:
                if reply.status >= 300:
                    may_pass = reply.status in (408, 425, 429) or reply.status >= 500
                    raise DeliveryFailed(f"answered {reply.status}", may_pass=may_pass)
        except aiohttp.ClientError as error:
            raise DeliveryFailed(type(error).__name__) from None
