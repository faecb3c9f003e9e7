"""Fixtures of the tests of whole runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from desk import CAST, Desk

from engine.simulator import running_simulator


@pytest.fixture
def at_desk(tmp_path: Path) -> Callable[..., Any]:
    """`async with at_desk(faults=...) as desk`: a fresh bench and a server with these changes to its cast."""

    @asynccontextmanager
    async def open_desk(**changes: Any) -> Any:
        async with running_simulator(msgspec.structs.replace(CAST, **changes)) as url:
            yield Desk(tmp_path, url)

    return open_desk
