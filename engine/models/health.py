"""How many calls an endpoint takes, learned from its replies. Pure: seconds of one monotonic clock are passed in.

Own code, because the limit follows four signals at once, which no rate limiter combines:

- *overload* (429, 503, time-outs): a few refusals only make the refused calls wait. When they exceed the share
  TOLERATED of the latest calls, the limit is halved, at most once per round trip. It returns by one for each good reply
  up to 7/8 of what it was, then slowly (decrease: Chiu and Jain, 1989; increase as in CUBIC, RFC 9438);
- the server's own *queue*, where it is known (vLLM accepts every call and lets it wait): no more calls than keep the
  server busy. The limit starts low and doubles each time that nothing waits, or grows by one after the first sign of
  saturation; calls that wait beyond that are taken off the limit, and some more when the server preempts;
- *outages* (no connection, 5xx, time-outs, without a good reply in between): the endpoint is down and is tried with one
  call after rests that grow. While the trial is in flight without failing, the number of calls doubles each second, so
  that a recovered server does not write one long text while all others wait. After `disable_after` it is disabled.
  An endpoint that refuses every call (429: a limit per minute is used up) is down in the same way, with longer rests;
- *comparison*: an endpoint is odd when calls that fail there are answered by another one. It is down, too.

An endpoint that rejects the key (401, 403) is disabled at once if it never accepted a call, otherwise after some
rejections in a row: gateways reject single requests so, because of their content. So is one whose quota is used up.
"""

from __future__ import annotations

import math

import msgspec

from engine.errors import CallFailed, FailureKind

OVERLOADED = frozenset({FailureKind.RATE_LIMITED, FailureKind.TIMEOUT})
DOWN = frozenset({FailureKind.CONNECTION, FailureKind.TIMEOUT, FailureKind.SERVER})
TOLERATED = 0.1  # share of refusals among the latest calls that leaves the limit as it is
LEAST_WINDOW = 32  # calls: the latest ones are as many as the limit, but not fewer
STEADY_WINDOW = 32  # good replies that raise the limit by one near the last limit that was too high
DOWN_AT_ONCE = 8  # failures in a row: random failures of one call in five do not reach that
DOWN_AFTER = 3  # failures in a row, when they are also spread over DOWN_SECONDS
DOWN_SECONDS = 2.0
ODD_AFTER = 3  # calls answered elsewhere in a row, without a good reply in between
LONGEST_ODD_REST = 60.0  # seconds between two trials of an odd endpoint
FEW = 4  # calls: the least to start with, and that may wait at the server however few are running
START_SHARE = 4  # an endpoint starts with this part of `parallel`
DISABLED_AFTER = 3  # rejections in a row by an endpoint that accepted calls before
TRIAL_STEP = 1.0  # seconds: a refused or broken connection fails sooner


class OutagePolicy(msgspec.Struct, frozen=True):
    """How an endpoint that is down is tried: seconds of rest between trials (doubling), and until it is disabled.

    `longest_refusal` is the longest rest while it refuses every call (429) and names no time itself; a client makes it
    no longer than one of its calls may take.
    """

    first_rest: float = 0.5
    longest_rest: float = 2.0  # an outage costs at most that much more than it lasts
    longest_refusal: float = 60.0  # limits are counted per minute
    disable_after: float = 300.0  # a vLLM server takes 30 to 90 s to restart, with large weights some minutes


class Health:
    """The state of one endpoint. `ceiling` is the configured maximum of calls at once, `limit` the current one."""

    def __init__(self, ceiling: int, outages: OutagePolicy) -> None:
        self.ceiling = ceiling
        self.limit = ceiling
        self.ready_at = -math.inf  # nothing is sent before
        self.is_down = False
        self.is_odd = False  # down because other endpoints answer the calls that fail here
        self.answered_at = -math.inf  # time of the last good reply
        self.disabled_by: CallFailed | None = None  # the reason why nothing is sent there any more
        self.held = False  # down by announcement, until `resumed`
        self._outages = outages
        self._threshold = 0.0  # below it each good reply raises the limit by one
        self._clean = 0  # good replies since the limit changed
        self._crowded = 0  # reports in a row of too many calls waiting at the server
        self._starts_low = False
        self._queues = False  # by its last report, calls wait at the server
        self._cut_at = -math.inf
        self._overload = 0.0  # share of refusals among the latest calls
        self._accepted_once = False
        self._rejections = 0
        self._failures = 0  # in a row, of one cause
        self._cause = FailureKind.CONNECTION
        self._failing_since = math.inf
        self._limit_before = ceiling  # at the first of these failures
        self._down_at = -math.inf
        self._rests = 0
        self._trial_at = math.inf
        self._outdone = 0  # failed calls that others answered, in a row
        self._odd_rests = 0
        self._fruitless = 0  # failures of any kind in a row

    def start_low(self) -> None:
        """Start with a part of the ceiling: the right limit is found quickly, and no server is overrun."""
        self.limit = min(self.ceiling, max(FEW, self.ceiling // START_SHARE))
        self._starts_low = True
        self._threshold = math.inf

    def set_ceiling(self, ceiling: int) -> None:
        """Change the maximum of calls at once; a higher one takes effect at once, whatever the limit was."""
        self.limit = ceiling if ceiling > self.ceiling else min(self.limit, ceiling)
        self.ceiling = ceiling

    @property
    def stays_down(self) -> bool:
        """Whether it is odd, or a trial has failed since the endpoint went down."""
        return self.is_down and (self.is_odd or self._rests > 1)

    @property
    def is_refusing(self) -> bool:
        """Whether it is down because it refuses every call (429)."""
        return self.is_down and self._cause is FailureKind.RATE_LIMITED and not self.is_odd

    @property
    def is_available(self) -> bool:
        return self.disabled_by is None and not self.is_down and not self.held

    @property
    def is_barren(self) -> bool:
        """Whether it has given no good reply yet, or failed ODD_AFTER times in a row since."""
        return self.answered_at == -math.inf or self._fruitless >= ODD_AFTER

    @property
    def disable_after(self) -> float:
        """Seconds of failures in a row after which it is disabled."""
        return self._outages.disable_after

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
        if self._cause is FailureKind.TIMEOUT or self.is_odd or self._trial_at == math.inf:
            return 1
        steps = int(min((now - self._trial_at) / TRIAL_STEP, 30))
        return min(self.limit, 1 << steps)

    def succeeded(self, in_flight: int, started: float = -math.inf, now: float = -math.inf) -> None:
        """Note a good reply, to a call sent at `started`, while `in_flight` calls (it included) were in flight."""
        self.answered_at = now
        self._fruitless = 0
        self._accepted_once = True
        self._rejections = self._outdone = 0
        self._overload -= self._overload / max(LEAST_WINDOW, self.limit)
        if self.is_refusing and started > self._down_at:  # it was shut for a while: fewer calls were of no use
            self.limit = max(self.limit, min(self._limit_before, self.ceiling))
        if self._failures or self.is_down:
            self.recover()
        if self.limit < self.ceiling and in_flight >= self.limit and not self._queues:
            self._clean += 1
            if self.limit < self._threshold or self._clean >= min(self.limit, STEADY_WINDOW):
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
            self._threshold = 0.0
            self._clean = 0
            self._crowded += 1
            if was_full and in_flight <= self.limit:
                self.limit = max(1, in_flight * 3 // 4)
            elif excess > 0 and self._crowded > 1:  # not only a burst
                self.limit = max(1, min(self.limit, in_flight - excess))
            return
        self._crowded = 0
        if waiting == 0 and in_flight >= self.limit:
            doubles = self.limit < self._threshold
            self.limit = min(self.ceiling, self.limit * 2 if doubles else self.limit + 1)

    def failed(self, failure: CallFailed, started: float, now: float, in_flight: int = 1) -> None:
        """Note that a call sent at `started` failed at `now`, while `in_flight` calls (it included) were in flight."""
        if self.held:
            return  # expected
        self._fruitless += 1
        if failure.kind is FailureKind.QUOTA:
            self.disabled_by = failure
            return
        if failure.kind is FailureKind.UNAUTHORIZED:
            self._rejections += 1
            if not self._accepted_once or self._rejections >= DISABLED_AFTER:
                self.disabled_by = failure
                return
        if failure.kind in OVERLOADED or failure.status == 503:
            self._count_overload(started, now)
        if failure.kind in DOWN:
            self._count_failure(failure, started, now, least=1)
        elif failure.kind is FailureKind.RATE_LIMITED:
            if self._cause in (FailureKind.CONNECTION, FailureKind.TIMEOUT):
                self.recover()  # there is a server again
            self._count_failure(failure, started, now, least=in_flight)
        elif self.is_odd:
            if started > self._down_at:
                self._set_aside(failure, now)
        elif failure.kind is not FailureKind.ABORTED:  # a stopping server sends those
            self.recover()

    def outdone(self, failure: CallFailed, now: float) -> None:
        """Note that a call which failed here with `failure` was answered by another endpoint."""
        self._outdone += 1
        if self._outdone >= ODD_AFTER and not self.is_down and not self.held:
            self._failing_since, self.is_odd = now, True
            self._set_aside(failure, now)

    def resumed(self) -> None:
        """Forget the outage: the server is up again."""
        self.held = False
        self.ready_at = -math.inf
        self._outdone = 0
        self.limit = self.ceiling
        if self._starts_low:
            self.start_low()
        self.recover()

    def recover(self) -> None:
        """Note that the endpoint works."""
        self._failures = self._rests = 0
        self.is_down = self.is_odd = False
        self._failing_since = math.inf

    def _count_overload(self, started: float, now: float) -> None:
        if started <= self._cut_at:
            return  # sent before the limit was lowered
        self._overload += (1.0 - self._overload) / max(LEAST_WINDOW, self.limit)
        if self._overload > TOLERATED:
            self._threshold = self.limit * 7 / 8
            self.limit = max(1, self.limit // 2)
            self._overload, self._clean, self._cut_at = 0.0, 0, now

    def _count_failure(self, failure: CallFailed, started: float, now: float, *, least: int) -> None:
        """Count a failure in a row; the endpoint is down after some of them, and at least `least`."""
        if self._failures == 0:
            self._failing_since, self._limit_before = now, self.limit
        self._failures += 1
        if self.is_down:
            if started <= self._down_at:
                return  # sent before the endpoint went down
        elif self._failures < max(DOWN_AFTER, least) or not (
            self._failures >= DOWN_AT_ONCE or now - self._failing_since >= DOWN_SECONDS
        ):
            self._cause = failure.kind
            return
        self._cause = failure.kind
        policy, rest = self._outages, self._doubled(self._rests)
        if failure.kind is FailureKind.RATE_LIMITED and failure.retry_after is None:
            rest = min(policy.longest_refusal, rest)
        else:
            rest = max(failure.retry_after or 0.0, min(policy.longest_rest, rest))
        self._rests += 1
        self._go_down(failure, now, rest)

    def _set_aside(self, failure: CallFailed, now: float) -> None:
        """Let an odd endpoint rest; longer each time, so that one that fails now and then is not tried for ever."""
        self._cause = failure.kind
        rest = min(LONGEST_ODD_REST, self._doubled(self._odd_rests))
        self._odd_rests += 1
        self._go_down(failure, now, rest)

    def _doubled(self, times: int) -> float:
        return float(self._outages.first_rest * 2.0 ** min(times, 30))

    def _go_down(self, failure: CallFailed, now: float, rest: float) -> None:
        self.is_down = True
        self._down_at = now
        self._trial_at = math.inf
        self.ready_at = max(self.ready_at, now + rest)
        if now - self._failing_since >= self._outages.disable_after:
            self.disabled_by = failure
