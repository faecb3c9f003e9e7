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
_SEPARATOR = b"\x00"


def digest(*parts: str | bytes | float | None) -> bytes:
    """16 bytes that depend on all parts and their order; lone surrogates are as good as any text."""
    encoded = [part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass") for part in parts]
    return blake2b(_SEPARATOR.join(encoded), digest_size=16).digest()


def uniform(key: bytes) -> float:
    """A number in (0, 1) that depends on `key` alone."""
    return (int.from_bytes(key[:5], "big") + 0.5) / (1 << 40)


def normal(key: bytes) -> float:
    """A standard normal number that depends on `key` alone."""
    return _STANDARD_NORMAL.inv_cdf(uniform(key))


class Draws:
    """A stream of draws that depends on `key` alone and stays the same in every version of Python."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @cached_property
    def _random(self) -> Callable[[], float]:
        return Random(int.from_bytes(self._key, "big")).random  # costly to seed, and many replies need no draw

    def chance(self, probability: float) -> bool:
        return probability > 0 and self._random() < probability

    def pick(self, things: Sequence[T]) -> T:
        return things[int(self._random() * len(things))]

    def shuffled(self, things: Iterable[T]) -> list[T]:
        return [thing for _, thing in sorted(((self._random(), thing) for thing in things), key=lambda pair: pair[0])]
