"""Which pairs of answers a person reviews: a sample in which every kind of pair has its share."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b

import msgspec

from engine.review.labels import Pair
from engine.review.library import Library
from engine.review.listing import JudgmentFilter, Listed

SEED = 42
STEP = 50  # pairs by which a sample grows
FIRST_SIZE = 100


class Sample(msgspec.Struct, frozen=True):
    """The pairs to review, in order. `entries` are their judgments, empty without a judge."""

    pairs: Sequence[Pair]
    entries: dict[Pair, Listed]
    judge: str | None
    candidates: int


def draw_sample(
    library: Library,
    judge: str | None,
    *,
    labelled: Collection[Pair],
    size: int | None = None,
    wanted: JudgmentFilter | None = None,
) -> Sample:
    """Draw a stratified sample of the judgments by `judge`, or of all answered pairs if there are no judgments.

    Without judgments by `judge`, the judge with the most is taken. Pairs of `labelled` keep their places; unless `size`
    is given there is room for all of them. `wanted` allows only some judgments.
    Without judgments this reads files, and may raise BenchError.
    """
    entries = _judged(library, judge)
    if wanted is not None and entries:
        judge = next(iter(entries.values())).row.judge
        entries = {pair: entry for pair, entry in entries.items() if wanted.matches(entry, library.marks)}
        if not entries:
            return Sample([], {}, judge, 0)
    strata: dict[Pair, tuple[str, ...]]
    if entries:
        strata = {pair: (entry.row.model, entry.category, _verdict(entry)) for pair, entry in entries.items()}
    else:
        strata = _unjudged(library)
    if size is None:
        known = sum(pair in strata for pair in labelled)
        size = max(FIRST_SIZE, -(-known // STEP) * STEP)
    drawn = stratified_sample(strata, size, kept=labelled)
    return Sample(
        drawn,
        {pair: entries[pair] for pair in drawn if pair in entries},
        next((entry.row.judge for entry in entries.values()), None),
        len(strata),
    )


def stratified_sample(
    strata: Mapping[Pair, tuple[str, ...]], size: int, *, seed: int = SEED, kept: Collection[Pair] = ()
) -> list[Pair]:
    """Draw about `size` pairs, in the order in which to show them.

    `strata` is the kind of every pair (model, category, verdict). Each kind is drawn from in proportion to its number,
    with a fraction of a pair rounded by systematic sampling over the kinds in order (Madow 1949), so that figures from
    the sample need no weights. Within a kind a hash decides, so the sample does not depend on the order of files, is
    the same for every reviewer, and changes little when pairs are added; pairs of `kept` come first in their kind. The
    order to show them in is another hash: any beginning of it is a fair sample too.
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
    """Return the order to show a pair in, at even odds and always the same: 1 has the baseline as A, 2 the model."""
    return 1 if draw(seed, "order", reviewer, *pair) < 0.5 else 2


def draw(seed: int, *what: str) -> float:
    """Return a number in [0, 1) that depends on the arguments alone."""
    state = blake2b(str(seed).encode(), digest_size=8)
    for text in what:
        state.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return int.from_bytes(state.digest(), "big") / 2**64


def _judged(library: Library, judge: str | None) -> dict[Pair, Listed]:
    """One judgment for each pair; those against another baseline than that of the question are left out."""
    by_judge: dict[str, dict[Pair, Listed]] = {}
    for entry in library.entries:
        if entry.row.model != entry.baseline and library.baseline_of(entry.category) in (None, entry.baseline):
            by_judge.setdefault(entry.row.judge, {})[entry.pair] = entry
    if judge in by_judge:
        return by_judge[judge]
    return max(by_judge.values(), key=len, default={})


def _unjudged(library: Library) -> dict[Pair, tuple[str, ...]]:
    if library.pairing is None:
        return {}
    answered = {baseline: library.answered(baseline) for baseline in library.pairing.names}
    pairs: dict[Pair, tuple[str, ...]] = {}
    for model in library.bench.models_with_answers():
        for question_id in sorted(library.answered(model)):
            known = library.questions.get(question_id)
            baseline = library.baseline_of(known[1].category) if known is not None else None
            if known is not None and baseline not in (None, model) and question_id in answered[baseline or ""]:
                pairs[question_id, model] = (model, known[1].category)
    return pairs


def _verdict(entry: Listed) -> str:
    if entry.is_flip:
        return "flip"
    return entry.outcome or "unparsed"
