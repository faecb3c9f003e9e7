"""Which pairs of answers a person should look at: a sample in which every kind of pair has its share. Pure.

Which pairs can be reviewed, and of which kind each is, for `stratified_sample`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b

import msgspec

from engine.review.labels import Pair
from engine.review.library import Library
from engine.review.listing import Listed

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


STEP = 50  # pairs by which a sample grows
FIRST_SIZE = 100


class Sample(msgspec.Struct, frozen=True):
    """The pairs to review, in order. `entries` are their judgments, empty where nobody has judged."""

    pairs: Sequence[Pair]
    entries: dict[Pair, Listed]
    judge: str | None
    candidates: int


def draw_sample(library: Library, judge: str | None, *, said: Collection[Pair], size: int | None = None) -> Sample:
    """A stratified sample of the judgments by `judge` (None: whoever judged most), else of all answered pairs.

    `said` are the pairs with a label: they keep their places, and unless `size` is given there is room for all of
    them. Where there are no judgments this reads files, and may raise BenchError.
    """
    entries = _judged(library, judge)
    strata: dict[Pair, tuple[str, ...]]
    if entries:
        strata = {pair: (entry.row.model, entry.category, _verdict(entry)) for pair, entry in entries.items()}
    else:
        strata = _unjudged(library)
    if size is None:
        labelled = sum(pair in strata for pair in said)
        size = max(FIRST_SIZE, -(-labelled // STEP) * STEP)
    drawn = stratified_sample(strata, size, kept=said)
    return Sample(
        drawn,
        {pair: entries[pair] for pair in drawn if pair in entries},
        next((entry.row.judge for entry in entries.values()), None),
        len(strata),
    )


def _judged(library: Library, judge: str | None) -> dict[Pair, Listed]:
    """One judgment for each pair; those against another baseline than the library's are left out."""
    told: dict[str, dict[Pair, Listed]] = {}
    for entry in library.entries:
        if entry.row.model != entry.baseline and library.baseline in (None, entry.baseline):
            told.setdefault(entry.row.judge, {})[entry.pair] = entry
    if judge in told:
        return told[judge]
    return max(told.values(), key=len, default={})


def _unjudged(library: Library) -> dict[Pair, tuple[str, ...]]:
    baseline = library.baseline
    if not baseline:
        return {}
    answered = library.answered(baseline)
    pairs: dict[Pair, tuple[str, ...]] = {}
    for model in library.bench.models_with_answers():
        if model != baseline:
            for question_id in sorted(library.answered(model) & answered):
                known = library.questions.get(question_id)
                if known is not None:
                    pairs[question_id, model] = (model, known[1].category)
    return pairs


def _verdict(entry: Listed) -> str:
    if entry.is_flip:
        return "flip"
    return entry.outcome or "unparsed"
