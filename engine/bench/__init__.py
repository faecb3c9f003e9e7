"""Benches on disk: `data/<bench>/` in the layout of arena-hard, read in both published generations, appended to in one.

`Bench` reads. Writing takes a `lock.BenchLock`, then `recover.recover`, then a `writer.BenchWriter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.bench.store import Bench, benches

__all__ = ["Bench", "benches"]


def __getattr__(name: str) -> Any:
    """Load the facade, and Polars with it, only where it is used: paths, locks and the writer do without."""
    if name in __all__:
        from engine.bench import store

        return getattr(store, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
