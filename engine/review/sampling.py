"""Which pairs of answers a person should look at: a sample in which every kind of pair has its share. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from hashlib import blake2b

from engine.review.labels import Pair

SEED = 42


def stratified_sample(
    strata: Mapping[Pair, tuple[str, ...]], size: int, *, seed: int = SEED, kept: Collection[Pair] = ()
) -> list[Pair]:
    """About `size` pairs, in the order in which to show them.

    `strata` tells the kind of every pair (model, category, verdict). Each kind is drawn from in proportion to its
    number, with a fraction of a pair rounded by systematic sampling over the kinds in order (Madow 1949), so that
    figures from the sample need no weights. Within a kind a hash decides, so the sample does not depend on the order
    of files, is the same for every reviewer, and changes little when pairs are added; pairs of `kept` (those that have
    a label already) come first in their kind. The order to show them in is another hash: any beginning of it is a fair
    sample too.
    """
    kinds: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair, kind in strata.items():
        kinds[kind].append(pair)
    if not kinds or size <= 0:
        return []
    share = min(1.0, size / len(strata))
    position = draw(seed, "start")
    drawn: list[Pair] = []
    for kind in sorted(kinds):
        until = position + share * len(kinds[kind])
        count = math.floor(until + 1e-9) - math.floor(position + 1e-9)
        position = until
        drawn += sorted(kinds[kind], key=lambda pair: (pair not in kept, draw(seed, "drawn", *pair)))[:count]
    return sorted(drawn, key=lambda pair: draw(seed, "shown", *pair))


def shown_game(pair: Pair, reviewer: str, seed: int = SEED) -> int:
    """In which order to show a pair: 1 has the baseline as A, 2 the model. Even odds, and always the same answer."""
    return 1 if draw(seed, "order", reviewer, *pair) < 0.5 else 2


def draw(seed: int, *what: str) -> float:
    """A number in [0, 1) that only depends on the arguments."""
    state = blake2b(str(seed).encode(), digest_size=8)
    for text in what:
        state.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return int.from_bytes(state.digest(), "big") / 2**64
