"""Pages that are ready before they are asked for: what was opened lately, and its neighbours."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

from arena_tui.reading.judgment_page import Layout
from arena_tui.reading.page import Page
from engine.review.library import Comparison

KeyT = TypeVar("KeyT", bound=Hashable)
KEPT = 12


class Leaf(msgspec.Struct, frozen=True):
    """What was read, and how it is laid out."""

    comparison: Comparison
    page: Page


class Leaves(Generic[KeyT]):
    """Opens and lays out in a thread, both by functions that touch no widget. Belongs to one event loop."""

    def __init__(
        self, open_one: Callable[[KeyT], Comparison], lay_out: Callable[[KeyT, Comparison, Layout], Page]
    ) -> None:
        self._open_one = open_one
        self._lay_out = lay_out
        self._kept: OrderedDict[tuple[KeyT, Layout], Leaf] = OrderedDict()

    def ready(self, key: KeyT, layout: Layout) -> Leaf | None:
        """The leaf, if it is there already."""
        leaf = self._kept.get((key, layout))
        if leaf is not None:
            self._kept.move_to_end((key, layout))
        return leaf

    async def load(self, key: KeyT, layout: Layout) -> Leaf:
        """The leaf, made if it is not there. Raises BenchError if it cannot be read any more."""
        leaf = self.ready(key, layout)
        if leaf is None:
            leaf = await asyncio.to_thread(self._make, key, layout)
            self._kept[key, layout] = leaf
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return leaf

    def forget(self) -> None:
        """Drop everything: the files have changed."""
        self._kept.clear()

    def _make(self, key: KeyT, layout: Layout) -> Leaf:
        comparison = self._open_one(key)
        return Leaf(comparison, self._lay_out(key, comparison, layout))
