"""Follows a Ray cluster during a run: is its head there, and which nodes have joined?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from engine.config.servers import ClusterConfig
from engine.errors import ConfigError
from engine.events import Event, notice
from engine.serving.nodes import NodeRoom, head_address, in_thread, node_rooms

LOOK_SECONDS = 3.0  # between two looks
REPLY_SECONDS = 5.0
HEAD_SECONDS = 30.0  # without a head; the nodes of a cluster end after 60


class ClusterWatch:
    """Calls `lost` with the head's address once it is given up, and `joined` with nodes that came during the run.

    `joined` gets them at every look, with what is free there then.
    """

    def __init__(
        self,
        cluster: ClusterConfig,
        emit: Callable[[Event], None],
        lost: Callable[[str], None],
        joined: Callable[[Sequence[NodeRoom]], None],
    ) -> None:
        self._cluster = cluster
        self._emit = emit
        self._lost = lost
        self._joined = joined

    async def follow(self) -> None:
        """Look until cancelled, or until the head is given up."""
        host, port = await in_thread(partial(head_address, self._cluster))
        first = {room.id for room in await in_thread(partial(node_rooms, self._cluster))}
        now = asyncio.get_running_loop().time
        gone_since: float | None = None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not await _answers(host, port):
                if gone_since is None:
                    gone_since = now()
                    what = f"the head of the Ray cluster ({host}:{port}) does not answer"
                    self._emit(notice("warning", f"{what}; calls continue, and it is waited for {HEAD_SECONDS:.0f} s"))
                if now() - gone_since >= HEAD_SECONDS:
                    self._lost(f"{host}:{port}")
                    return
                continue
            if gone_since is not None:
                gone_since = None
                self._emit(notice("info", f"the head of the Ray cluster ({host}:{port}) answers again"))
            try:
                async with asyncio.timeout(REPLY_SECONDS):
                    rooms = await in_thread(partial(node_rooms, self._cluster))
            except (TimeoutError, ConfigError):
                continue  # the head has gone meanwhile
            if later := [room for room in rooms if room.id not in first]:
                self._joined(later)


async def _answers(host: str, port: int) -> bool:
    """Return whether a connection can be made."""
    try:
        async with asyncio.timeout(REPLY_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
