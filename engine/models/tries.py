"""The tries of one call: where it failed, which of them count against its attempts, and when it is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from engine.errors import CallFailed, FailureKind
from engine.models.health import DOWN
from engine.models.limits import EndpointPool, PooledEndpoint
from engine.models.retry import LATEST_ANSWERS, MAX_ELSEWHERE, ODD_REPLIES, delay, should_retry

LOST = DOWN | {FailureKind.ABORTED}  # failures of calls whose server dies
PASSING = LOST | {FailureKind.RATE_LIMITED}  # failures that are no sign of an odd endpoint


class Tries:
    """What one call has tried. `failed_at` holds the endpoints that failed it since all of them had."""

    def __init__(self, pool: EndpointPool[Any], attempts: int, patience: float, chance: Callable[[], float]) -> None:
        self.made = 0
        self.failed_at: dict[PooledEndpoint[Any], CallFailed] = {}
        self._pool = pool
        self._attempts = attempts
        self._patience = patience  # seconds for which it may be refused (429) without a charge
        self._chance = chance
        self._charged = 0
        self._resent = False
        self._refusals = 0
        self._refused_since = 0.0

    def failed(self, pooled: PooledEndpoint[Any], failure: CallFailed, *, was_stale: bool, was_trial: bool) -> float:
        """Return the seconds until the next try. Raises `failure` when there is to be none.

        `was_trial` says that the endpoint was known to be down. A try is not charged while another endpoint is left to
        ask, at an endpoint that is down, and for a 429 of an endpoint that answers others.
        """
        if was_stale and not self._resent:
            self._resent = True
            return 0.0
        kind, is_alive = failure.kind, self._pool.is_alive
        self.failed_at[pooled] = failure
        self._charged += kind in ODD_REPLIES
        if self._may_move(pooled, failure) and self._pool.others(self.failed_at):
            return 0.0
        self.failed_at.clear()
        if pooled.health.disabled_by is not None and is_alive:
            return 0.0  # another endpoint may take it
        if kind is FailureKind.RATE_LIMITED:
            is_spared = self._is_limited(pooled, was_trial=was_trial)
        else:
            is_spared = (was_trial and kind in DOWN) or (pooled.health.held and kind in LOST)
        self._charged += not (is_spared and is_alive) and kind not in ODD_REPLIES
        if not should_retry(kind, self._charged, self._attempts):
            raise failure
        return delay(max(self._charged, self._refusals, 1), failure.retry_after, self._chance)

    def _may_move(self, pooled: PooledEndpoint[Any], failure: CallFailed) -> bool:
        """Return whether another endpoint may answer what failed here.

        What a filter withheld (a rejection with status 200), or what used up its tokens where others did not, is as a
        rule due to the question: one other endpoint is asked. Nothing else answers what was never sent (no status).
        """
        if failure.kind is FailureKind.REJECTED and failure.status is None:
            return False
        if failure.kind is FailureKind.TRUNCATED and not pooled.health.is_barren:
            return False  # it would cost all these tokens once more
        is_of_call = failure.kind is FailureKind.TRUNCATED or (
            failure.kind is FailureKind.REJECTED and failure.status == 200
        )
        return len(self.failed_at) <= (1 if is_of_call else MAX_ELSEWHERE)

    def _is_limited(self, pooled: PooledEndpoint[Any], *, was_trial: bool) -> bool:
        """Return whether a 429 is one of a limit that others use up, and not for longer than `patience`."""
        now = asyncio.get_running_loop().time()
        if not self._refusals:
            self._refused_since = now
        self._refusals += 1
        refuses_all = was_trial or pooled.health.is_down
        is_known = refuses_all or now - pooled.health.answered_at < LATEST_ANSWERS
        return is_known and now - self._refused_since < self._patience
