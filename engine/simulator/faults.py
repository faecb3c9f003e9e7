"""Faults on demand: which requests get which fault. `replies` puts the faults on the wire.

    FaultRule(Status(429, headers={"Retry-After": "1"}), first=10)          the first ten requests
    FaultRule(Disconnect(after_bytes=40), rate=0.2)                         a fifth, drawn anew when sent again
    FaultRule(Status(400), rate=0.05, sticky=True, model="sim-judge")       a twentieth, always the same

A rule with a rate depends on the server's seed, the request's content and how often that content was sent before,
never on the order in which requests arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from engine.errors import UsageProblem
from engine.simulator.draws import digest, uniform


class Status(msgspec.Struct, frozen=True):
    """Replies at once with `status`. Without a `body` it is the error object that vLLM sends."""

    status: int
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


class Hang(msgspec.Struct, frozen=True):
    """Sends nothing until the client disconnects or `seconds` have passed; then closes the connection."""

    seconds: float = float("inf")


class Disconnect(msgspec.Struct, frozen=True):
    """Closes the connection: without a reply, or with headers and `after_bytes` of the body; `reset` sends a RST."""

    after_bytes: int | None = None
    reset: bool = False


class Dribble(msgspec.Struct, frozen=True):
    """Sends the true reply in pieces of `size` bytes, one every `pause` seconds."""

    pause: float
    size: int = 1


class Altered(msgspec.Struct, frozen=True):
    """Sends the true reply with fields of its first choice and of its message replaced, such as `{"content": None}`.

    `choices=False` leaves the list of choices empty; `raw` replaces parts of the encoded body, to break it.
    """

    message: Mapping[str, Any] = {}
    choice: Mapping[str, Any] = {}
    choices: bool = True
    raw: tuple[bytes, bytes] | None = None


Fault: TypeAlias = Status | Hang | Disconnect | Dribble | Altered


class FaultRule(msgspec.Struct, frozen=True):
    """Which requests get `fault`: of those for `model` whose body contains `match`, after `skip`, the `first` N.

    Of these a share of `rate`: always the same requests if `sticky`, otherwise drawn anew when a request is sent again.
    """

    fault: Fault
    rate: float = 1.0
    skip: int = 0
    first: int | None = None
    sticky: bool = False
    model: str | None = None
    match: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise UsageProblem("the rate of a simulated fault must be between 0 and 1", f"it is {self.rate}")


class FaultPlan:
    """The rules of one server, and the requests counted so far."""

    def __init__(self, rules: Sequence[FaultRule], seed: int) -> None:
        self._rules = [(rule, rule.match.encode() if rule.match is not None else b"") for rule in rules]
        self._seed = seed
        self._matched = [0] * len(rules)  # requests that match each rule
        self._seen: Counter[bytes] = Counter()

    def fault_for(self, model: str, body: bytes) -> Fault | None:
        """Return the fault of the first rule that applies to this request; None for a normal reply."""
        if not self._rules:
            return None
        content = digest(self._seed, body)
        self._seen[content] += 1
        for index, (rule, match) in enumerate(self._rules):
            if rule.model not in (None, model) or match not in body:
                continue
            number = self._matched[index]
            self._matched[index] += 1
            if number < rule.skip or (rule.first is not None and number >= rule.skip + rule.first):
                continue
            time = 0 if rule.sticky else self._seen[content]
            if rule.rate >= 1 or uniform(digest(content, index, time)) < rule.rate:
                return rule.fault
        return None
