"""How many calls an endpoint takes, learned from its replies. Pure: seconds of one monotonic clock are passed in.

Own code, because the limit follows three signals at once, which no rate limiter combines:

- *overload* (429, 503, time-outs): half as many calls at once, at most once per round trip, and one more after each
  window of good replies while the limit was in use (additive increase, multiplicative decrease; Chiu and Jain, 1989).
  When the endpoint refuses every call and names a time, nothing is sent before that time;
- the server's own *queue*, where it is known (vLLM accepts every call and lets it wait): no more calls than keep the
  server busy. The limit starts low and doubles each time that nothing waits, or grows by one after the first sign of
  saturation; calls that wait beyond that are taken off the limit, and some more when the server preempts;
- *outages* (no connection, 5xx, time-outs, without a good reply in between): the endpoint is down and is tried with one
  call after rests that grow. While the trial is in flight without failing, the number of calls doubles each second, so
  that a recovered server does not write one long text while all others wait. After `disable_after` it is disabled.

An endpoint that rejects the key (401, 403) is disabled at once if it never accepted a call, otherwise after some
rejections in a row: gateways reject single requests so, because of their content.
"""

from __future__ import annotations

import math

import msgspec

from engine.errors import CallFailed, FailureKind

OVERLOADED = frozenset({FailureKind.RATE_LIMITED, FailureKind.TIMEOUT})
DOWN = frozenset({FailureKind.CONNECTION, FailureKind.TIMEOUT, FailureKind.SERVER})
DOWN_AT_ONCE = 8  # failures in a row: random failures of one call in five do not reach that
DOWN_AFTER = 3  # failures in a row, when they are also spread over DOWN_SECONDS
DOWN_SECONDS = 2.0
FEW = 4  # calls: the least to start with, and that may wait at the server however few are running
START_SHARE = 4  # an endpoint starts with this part of `parallel`
DISABLED_AFTER = 3  # rejections in a row by an endpoint that accepted calls before
TRIAL_STEP = 1.0  # seconds: a refused or broken connection fails sooner


class OutagePolicy(msgspec.Struct, frozen=True):
    """How an endpoint that is down is tried: seconds of rest between trials (doubling), and until it is disabled."""

    first_rest: float = 0.5
    longest_rest: float = 2.0  # an outage costs at most that much more than it lasts
    disable_after: float = 300.0  # a vLLM server takes 30 to 90 s to restart, with large weights some minutes


class Health:
    """The state of one endpoint. `ceiling` is the configured maximum of calls at once, `limit` the current one."""

    def __init__(self, ceiling: int, outages: OutagePolicy) -> None:
        self.ceiling = ceiling
        self.limit = ceiling
        self.ready_at = -math.inf  # nothing is sent before
        self.is_down = False
        self._down_at = -math.inf
        self.disabled_by: CallFailed | None = None  # the reason why nothing is sent there any more
        self.held = False  # down by announcement, until `resumed`
        self._outages = outages
        self._clean = 0  # good replies since the limit changed
        self._crowded = 0  # reports in a row of too many calls waiting at the server
        self._doubling = False  # no sign of saturation so far
        self._starts_low = False
        self._queues = False  # by its last report, calls wait at the server
        self._cut_at = -math.inf
        self._refused = 0  # replies in a row with a Retry-After
        self._accepted_once = False
        self._rejections = 0
        self._failures = 0
        self._failing_since = math.inf
        self._rests = 0
        self._trial_at = math.inf
        self._timed_out = False

    def start_low(self) -> None:
        """Start with a part of the ceiling: the right limit is found quickly, and no server is overrun."""
        self.limit = min(self.ceiling, max(FEW, self.ceiling // START_SHARE))
        self._starts_low = self._doubling = True

    def set_ceiling(self, ceiling: int) -> None:
        """Change the maximum of calls at once; a higher one takes effect at once, whatever the limit was."""
        self.limit = ceiling if ceiling > self.ceiling else min(self.limit, ceiling)
        self.ceiling = ceiling

    @property
    def stays_down(self) -> bool:
        """Whether a trial has failed since the endpoint went down."""
        return self.is_down and self._rests > 1

    @property
    def is_available(self) -> bool:
        return self.disabled_by is None and not self.is_down and not self.held

    def failing_for(self, now: float) -> float:
        """Return the seconds since the first of the latest failures in a row; 0 without a failure."""
        return max(0.0, now - self._failing_since)

    def allowance(self, now: float) -> int:
        """Return how many calls may be in flight at `now`."""
        if self.disabled_by is not None or self.held or now < self.ready_at:
            return 0
        return self._trials(now) if self.is_down else self.limit

    def next_change_at(self, now: float) -> float:
        """Return when `allowance` grows by time alone; infinite if it does not."""
        if self.disabled_by is not None or self.held:
            return math.inf
        if now < self.ready_at:
            return self.ready_at
        if not self.is_down or self._trials(now) == self._trials(math.inf):
            return math.inf
        return self._trial_at + TRIAL_STEP * (1 + (now - self._trial_at) // TRIAL_STEP)

    def began(self, now: float) -> None:
        """Note that a call is sent."""
        if self.is_down and self._trial_at == math.inf:
            self._trial_at = now

    def _trials(self, now: float) -> int:
        """Return the calls that may be in flight while it is down: one at a time where the last ones timed out."""
        if self._timed_out or self._trial_at == math.inf:
            return 1
        steps = int(min((now - self._trial_at) / TRIAL_STEP, 30))
        return min(self.limit, 1 << steps)

    def succeeded(self, in_flight: int) -> None:
        """Note a good reply while `in_flight` calls (it included) were in flight."""
        self._accepted_once = True
        self._rejections = 0
        self._refused = 0
        if self._failures:
            self._recover()
        if self.limit < self.ceiling and in_flight >= self.limit and not self._queues:
            self._clean += 1
            if self._clean >= self.limit or self._doubling:
                self.limit += 1
                self._clean = 0

    def queue_unknown(self) -> None:
        """Note that the server does not report its queue (any more): only its replies count."""
        self._queues = False
        self._crowded = 0

    def queue_reported(self, running: int, waiting: int, *, was_full: bool, in_flight: int) -> None:
        """Note that `running` calls run and `waiting` ones wait at the server, while `in_flight` of ours are sent.

        `was_full` says that it preempted calls since the last report, for want of memory, and will compute them again.
        As many calls may wait as run: they keep the server busy between two answers and cost only their own time.
        """
        self._queues = waiting > 0
        excess = waiting - max(FEW, running)
        if was_full or excess > 0:
            self._doubling = False
            self._clean = 0
            self._crowded += 1
            if was_full and in_flight <= self.limit:
                self.limit = max(1, in_flight * 3 // 4)
            elif excess > 0 and self._crowded > 1:  # not only a burst
                self.limit = max(1, min(self.limit, in_flight - excess))
            return
        self._crowded = 0
        if waiting == 0 and in_flight >= self.limit:
            self.limit = min(self.ceiling, self.limit * 2 if self._doubling else self.limit + 1)

    def failed(self, failure: CallFailed, started: float, now: float) -> None:
        """Note that a call sent at `started` failed at `now`."""
        if self.held:
            return  # expected
        if failure.kind is FailureKind.UNAUTHORIZED:
            self._rejections += 1
            if not self._accepted_once or self._rejections >= DISABLED_AFTER:
                self.disabled_by = failure
            return
        if (failure.kind in OVERLOADED or failure.status == 503) and started > self._cut_at:
            self.limit = max(1, self.limit // 2)
            self._doubling = False
            self._cut_at = now
            self._clean = 0
        if failure.retry_after is not None:
            self._refused += 1
            if self._refused >= self.limit:  # it refuses every call, not only one too many
                self.ready_at = max(self.ready_at, now + failure.retry_after)
        if failure.kind in DOWN:
            self._count_failure(failure, started, now)
        elif failure.kind is not FailureKind.ABORTED:  # a stopping server sends those
            self._recover()

    def resumed(self) -> None:
        """Forget the outage: the server is up again."""
        self.held = False
        self.ready_at = -math.inf
        self.limit = self.ceiling
        if self._starts_low:
            self.start_low()
        self._recover()

    def _recover(self) -> None:
        self._failures = 0
        self._rests = 0
        self.is_down = False

    def _count_failure(self, failure: CallFailed, started: float, now: float) -> None:
        if self._failures == 0:
            self._failing_since = now
        self._failures += 1
        lasted = now - self._failing_since
        if self.is_down:
            if started <= self._down_at:
                return  # sent before the endpoint went down
        elif not (self._failures >= DOWN_AT_ONCE or (self._failures >= DOWN_AFTER and lasted >= DOWN_SECONDS)):
            return
        self.is_down = True
        self._down_at = now
        self._trial_at = math.inf
        self._timed_out = failure.kind is FailureKind.TIMEOUT
        rest = min(self._outages.longest_rest, self._outages.first_rest * 2.0 ** min(self._rests, 30))
        self._rests += 1
        self.ready_at = max(self.ready_at, now + rest)
        if lasted >= self._outages.disable_after:
            self.disabled_by = failure
