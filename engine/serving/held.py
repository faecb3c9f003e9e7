"""The lock file of other programs (`[vllm] lock`): while one of them holds it, no server is started."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from engine.config.model import Config

LOOK_SECONDS = 1.0


def lock_of(config: Config) -> Path | None:
    """Return the lock file that the config names; a relative path counts from the folder of the config."""
    lock = config.vllm.lock
    if lock is None:
        return None
    return (config.file.parent if config.file is not None else Path()) / lock.expanduser()


def is_held(lock: Path | None) -> bool:
    """Return whether another program holds a lock (`flock`) on a file; a file that is not there is not held.

    The own lock lasts for the moment of the look and is a shared one.
    """
    if lock is None:
        return False
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


async def until_released(lock: Path | None, waits: Callable[[str], None] = lambda _: None) -> None:
    """Wait until no other program holds the lock; `waits` is called once with what is waited for."""
    announced = False
    while await asyncio.to_thread(is_held, lock):
        if not announced:
            announced = True
            waits(f"for {lock}, which another program has locked")
        await asyncio.sleep(LOOK_SECONDS)
