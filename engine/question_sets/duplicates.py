"""Questions that are the same, or nearly: by their words, whatever their case, punctuation and spacing.

Method: the shingles of a text are its runs of `SHINGLE` words (of characters, where there are few words); two texts are
near-duplicates if the Jaccard similarity of their shingles is at least `NEAR`. Candidates come from MinHash signatures
in bands (Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3), and each is verified on the
shingles themselves: what is reported is certain, and of pairs at the limit about one in 1,000 may be missed. The cost
grows with the number of texts, not of pairs: texts are cut after `MOST_WORDS` words, and a text is compared with at
most `MOST_LEADERS` others of its bucket.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

SHINGLE = 3  # words
NEAR = 0.8
MOST_WORDS = 2000
MOST_LEADERS = 50
_BANDS, _ROWS = 24, 4  # P(found) = 1 - (1 - 0.8^4)^24 = 0.999994
_WORD = re.compile(r"\w+")
_FEW_WORDS = 8


class Duplicates(msgspec.Struct, frozen=True):
    """Groups of places in a list of texts, each group in order; `near` groups hold texts that are not all the same."""

    exact: tuple[tuple[int, ...], ...] = ()
    near: tuple[tuple[int, ...], ...] = ()

    @property
    def repeated(self) -> tuple[int, ...]:
        """Return the places of all texts that are the same as an earlier one."""
        return tuple(sorted(place for group in self.exact for place in group[1:]))


def find_duplicates(texts: Sequence[str]) -> Duplicates:
    """Return which texts are the same or nearly."""
    words = [normal_words(text) for text in texts]
    same: dict[tuple[str, ...], list[int]] = {}
    for place, each in enumerate(words):
        # A text without a word (digits of a formula, a smiley) is only the same as the very same text.
        same.setdefault(each or (texts[place].strip(),), []).append(place)
    exact = tuple(tuple(group) for group in same.values() if len(group) > 1)
    firsts = [group[0] for group in same.values()]
    near = _near_groups([_shingles(words[place]) for place in firsts])
    members = {group[0]: group for group in same.values()}
    whole = (tuple(sorted(each for at in group for each in members[firsts[at]])) for group in near)
    return Duplicates(exact, tuple(sorted(whole)))


def normal_words(text: str) -> tuple[str, ...]:
    """Return the words of a text in one case and one Unicode form."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold())[:MOST_WORDS])


def _shingles(words: tuple[str, ...]) -> frozenset[int]:
    """Return the hashes of the shingles; of a short text those of its characters, in which one word counts less."""
    if len(words) >= _FEW_WORDS:
        runs = (" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1))
    else:
        text = " ".join(words)
        runs = (text[at : at + 5] for at in range(max(1, len(text) - 4)))
    return frozenset(zlib.crc32(run.encode("utf-8", "surrogatepass")) for run in runs)


def _near_groups(shingles: Sequence[frozenset[int]]) -> list[list[int]]:
    """Return the groups of places that are connected by pairs of near-duplicates, each in order."""
    parents = list(range(len(shingles)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    signatures = _signatures(shingles)
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = {}
        part = signatures[:, band * _ROWS : (band + 1) * _ROWS]
        for place, row in enumerate(np.ascontiguousarray(part)):
            if shingles[place]:
                buckets.setdefault(row.tobytes(), []).append(place)
        for bucket in buckets.values():
            leaders: list[int] = []  # of the bucket, none of them like another
            for place in bucket:
                like = next((each for each in leaders if _is_near(shingles[each], shingles[place])), None)
                if like is not None:
                    one, other = sorted((root(like), root(place)))
                    parents[other] = one
                elif len(leaders) < MOST_LEADERS:
                    leaders.append(place)
    groups: dict[int, list[int]] = {}
    for place in range(len(shingles)):
        groups.setdefault(root(place), []).append(place)
    return [group for group in groups.values() if len(group) > 1]


def _signatures(shingles: Sequence[frozenset[int]]) -> NDArray[np.uint64]:
    """Return the MinHash of each set, [texts, bands x rows], under fixed random functions (a x + b) mod 2^64 >> 32."""
    random = np.random.default_rng(20260101)
    count = _BANDS * _ROWS
    factors = random.integers(0, 1 << 64, count, dtype=np.uint64) | np.uint64(1)
    shifts = random.integers(0, 1 << 64, count, dtype=np.uint64)
    found = np.zeros((len(shingles), count), dtype=np.uint64)
    for place, each in enumerate(shingles):
        if each:
            hashes = np.fromiter(each, np.uint64, len(each))
            found[place] = (hashes[:, None] * factors + shifts).min(axis=0) >> np.uint64(32)
    return found


def _is_near(one: frozenset[int], other: frozenset[int]) -> bool:
    shared = len(one & other)
    return shared >= NEAR * (len(one) + len(other) - shared)
