"""Random draws that depend only on their key, never on what was drawn before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from hashlib import blake2b
from random import Random
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")

_STANDARD_NORMAL = NormalDist()


def digest(*parts: str | bytes | float | None) -> bytes:
    """Return 16 bytes that depend on all parts and their order; lone surrogates are allowed."""
    encoded = [part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass") for part in parts]
    return blake2b(b"\x00".join(encoded), digest_size=16).digest()


def uniform(key: bytes) -> float:
    """Return a number in (0, 1) that depends on `key` alone."""
    return (int.from_bytes(key[:5], "big") + 0.5) / (1 << 40)


def normal(key: bytes) -> float:
    """Return a standard normal number that depends on `key` alone."""
    return _STANDARD_NORMAL.inv_cdf(uniform(key))


class Draws:
    """A stream of draws that depends on `key` alone and is the same in every version of Python."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @cached_property
    def _random(self) -> Callable[[], float]:
        return Random(int.from_bytes(self._key, "big")).random  # costly to seed, and many replies need no draw

    def chance(self, probability: float) -> bool:
        return probability > 0 and self._random() < probability

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self._random() * len(items))]

    def shuffled(self, items: Iterable[T]) -> list[T]:
        return [item for _, item in sorted(((self._random(), item) for item in items), key=lambda pair: pair[0])]
