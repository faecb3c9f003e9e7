"""How much may be asked of one endpoint, learned from its replies. Pure: seconds of one monotonic clock are passed in.

Three things are kept apart:

- an endpoint that is *overloaded* (429, 503, time-outs) gets fewer calls at once: half as many, at most once per round
  trip, and one more after each window of good replies while the limit was in use (additive increase, multiplicative
  decrease; Chiu and Jain, 1989); when it refuses all of them and names a time, nothing goes out before;
- an endpoint whose own *queue* is known (vLLM takes every call and lets it wait) gets no more calls than keep it busy:
  it is started with few, and with twice as many each time that nothing waits there, or one more once it has been full;
  what waits there in vain is taken off the limit, and so is some when it has to work on calls twice;
- an endpoint that is *down* (no connection, 5xx, time-outs, without a good reply between) is set aside and tried with
  one call, after rests that grow; while that one is out without failing, twice as many may follow each second, so that
  a server that is back does not write one long text while all others wait; when it lasts too long it is given up;
- an endpoint that *refuses us* (401, 403) is given up at once if it never took a call of ours, else when it goes on:
  gateways refuse single requests so, for what is in them.
"""

from __future__ import annotations

import math

import msgspec

from engine.errors import CallFailed, FailureKind

OVERLOADED = frozenset({FailureKind.RATE_LIMITED, FailureKind.TIMEOUT})
DOWN = frozenset({FailureKind.CONNECTION, FailureKind.TIMEOUT, FailureKind.SERVER})
DOWN_AT_ONCE = 8  # failures in a row: one call in five failing by chance does not get there
DOWN_AFTER = 3  # failures in a row, when they are also spread over DOWN_SECONDS
DOWN_SECONDS = 2.0
FEW = 4  # calls: with so few an endpoint is started, and so few may wait there however little is running
START_SHARE = 4  # it is started with this part of the calls that were asked for
REFUSED_FOR_GOOD = 3  # refusals in a row by an endpoint that took calls before
TRIAL_STEP = 1.0  # seconds: a refused or broken connection tells sooner


class Patience(msgspec.Struct, frozen=True):
    """How an endpoint that is down is tried: rests in seconds between trials (doubling), and when it is given up."""

    first_rest: float = 0.5
    longest_rest: float = 2.0  # an outage costs that much more than it lasts, at most
    gives_up_after: float = 300.0  # a vLLM server takes 30 to 90 s to come back, with large weights some minutes


class Health:
    """What one endpoint can take now. `ceiling` is the most that was asked for, `limit` what it seems to bear."""

    __slots__ = (
        "_clean",
        "_crowded",
        "_cut_at",
        "_doubling",
        "_failing_since",
        "_failures",
        "_patience",
        "_queues",
        "_refusals",
        "_refused",
        "_rests",
        "_starts_low",
        "_took_us",
        "_trial_at",
        "_was_silent",
        "ceiling",
        "given_up",
        "held",
        "limit",
        "ready_at",
        "set_aside",
        "set_aside_at",
    )

    def __init__(self, ceiling: int, patience: Patience) -> None:
        self.ceiling = ceiling
        self.limit = ceiling
        self.ready_at = -math.inf  # nothing is started before
        self.set_aside = False
        self.set_aside_at = -math.inf
        self.given_up: CallFailed | None = None  # why, when nothing is sent there any more
        self.held = False  # known to be down, and to come back: whoever knows that will say when
        self._patience = patience
        self._clean = 0
        self._crowded = 0  # times in a row that too many calls waited at the server
        self._doubling = False  # never was too much so far
        self._starts_low = False
        self._queues = False  # when last asked, the server let calls wait
        self._cut_at = -math.inf
        self._refused = 0
        self._took_us = False
        self._refusals = 0
        self._failures = 0
        self._failing_since = math.inf
        self._rests = 0
        self._trial_at = math.inf
        self._was_silent = False

    def start_low(self) -> None:
        """Begin with a part of what was asked for: what it bears is found out quickly, and nothing is overrun."""
        self.limit = min(self.ceiling, max(FEW, self.ceiling // START_SHARE))
        self._starts_low = self._doubling = True

    def set_ceiling(self, ceiling: int) -> None:
        """Change the most calls at once; raising it takes effect at once, whatever was learned before."""
        self.limit = ceiling if ceiling > self.ceiling else min(self.limit, ceiling)
        self.ceiling = ceiling

    @property
    def is_down(self) -> bool:
        """Whether it is set aside and a trial has failed since: no mere hiccup."""
        return self.set_aside and self._rests > 1

    @property
    def works(self) -> bool:
        """Whether calls that belong there should go there."""
        return self.given_up is None and not self.set_aside and not self.held

    def failing_for(self, now: float) -> float:
        """Seconds since the first of the latest failures in a row; 0 if there is none."""
        return max(0.0, now - self._failing_since)

    def allowance(self, now: float) -> int:
        """How many calls may be in flight at `now`."""
        if self.given_up is not None or self.held or now < self.ready_at:
            return 0
        return self._trials(now) if self.set_aside else self.limit

    def wakes_at(self, now: float) -> float:
        """When `allowance` grows by time alone; infinite if it does not."""
        if self.given_up is not None or self.held:
            return math.inf
        if now < self.ready_at:
            return self.ready_at
        if not self.set_aside or self._trials(now) == self._trials(math.inf):
            return math.inf
        return self._trial_at + TRIAL_STEP * (1 + (now - self._trial_at) // TRIAL_STEP)

    def began(self, now: float) -> None:
        """A slot is handed out for a call to it."""
        if self.set_aside and self._trial_at == math.inf:
            self._trial_at = now

    def _trials(self, now: float) -> int:
        """Calls that may be out while it is set aside. One that took calls and said nothing gets one at a time."""
        if self._was_silent or self._trial_at == math.inf:
            return 1
        steps = int(min((now - self._trial_at) / TRIAL_STEP, 30))
        return min(self.limit, 1 << steps)

    def succeeded(self, in_flight: int) -> None:
        """A good reply came while `in_flight` calls (it included) were out."""
        self._took_us = True
        self._refusals = 0
        self._refused = 0
        if self._failures:
            self._is_back()
        if self.limit < self.ceiling and in_flight >= self.limit and not self._queues:
            self._clean += 1
            if self._clean >= self.limit or self._doubling:
                self.limit += 1
                self._clean = 0

    def server_silent(self) -> None:
        """The server says nothing of its queue any more: its replies alone tell."""
        self._queues = False
        self._crowded = 0

    def server_told(self, running: int, waiting: int, *, was_full: bool, in_flight: int) -> None:
        """The server works on `running` calls and lets `waiting` ones wait, while `in_flight` of ours are out.

        `was_full` says that since it last told it had to put calls back for want of memory, and will do them again.
        As many may wait as run: they keep it busy between two of its answers, and cost nothing but their own time.
        """
        self._queues = waiting > 0
        waiting_in_vain = waiting - max(FEW, running)
        if was_full or waiting_in_vain > 0:
            self._doubling = False
            self._clean = 0
            self._crowded += 1
            if was_full and in_flight <= self.limit:
                self.limit = max(1, in_flight * 3 // 4)
            elif waiting_in_vain > 0 and self._crowded > 1:  # not only a burst
                self.limit = max(1, min(self.limit, in_flight - waiting_in_vain))
            return
        self._crowded = 0
        if waiting == 0 and in_flight >= self.limit:
            self.limit = min(self.ceiling, self.limit * 2 if self._doubling else self.limit + 1)

    def failed(self, failure: CallFailed, started: float, now: float, retry_after: float | None = None) -> None:
        """A call that went out at `started` failed at `now`."""
        if self.held:
            return  # no news
        if failure.kind is FailureKind.UNAUTHORIZED:
            self._refusals += 1
            if not self._took_us or self._refusals >= REFUSED_FOR_GOOD:
                self.given_up = failure
            return
        if (failure.kind in OVERLOADED or failure.status == 503) and started > self._cut_at:
            self.limit = max(1, self.limit // 2)
            self._doubling = False
            self._cut_at = now
            self._clean = 0
        if retry_after is not None:
            self._refused += 1
            if self._refused >= self.limit:  # it takes none of us now, not only one too many
                self.ready_at = max(self.ready_at, now + retry_after)
        if failure.kind in DOWN:
            self._count_against(failure, started, now)
        elif failure.kind is not FailureKind.ABORTED:  # a server that is stopping says that
            self._is_back()

    def resumed(self) -> None:
        """It is up again, as if nothing had been."""
        self.held = False
        self.ready_at = -math.inf
        self.limit = self.ceiling
        if self._starts_low:
            self.start_low()
        self._is_back()

    def _is_back(self) -> None:
        self._failures = 0
        self._rests = 0
        self.set_aside = False

    def _count_against(self, failure: CallFailed, started: float, now: float) -> None:
        if self._failures == 0:
            self._failing_since = now
        self._failures += 1
        lasted = now - self._failing_since
        if self.set_aside:
            if started <= self.set_aside_at:
                return  # it was out when the endpoint was set aside: that it fails is no news
        elif not (self._failures >= DOWN_AT_ONCE or (self._failures >= DOWN_AFTER and lasted >= DOWN_SECONDS)):
            return
        self.set_aside = True
        self.set_aside_at = now
        self._trial_at = math.inf
        self._was_silent = failure.kind is FailureKind.TIMEOUT
        rest = min(self._patience.longest_rest, self._patience.first_rest * 2.0 ** min(self._rests, 30))
        self._rests += 1
        self.ready_at = max(self.ready_at, now + rest)
        if lasted >= self._patience.gives_up_after:
            self.given_up = failure
