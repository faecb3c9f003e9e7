"""Which pairs can be reviewed, and of which kind each is, for `stratified_sample`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from engine.review.labels import Pair
from engine.review.library import Library
from engine.review.listing import Listed
from engine.review.sampling import stratified_sample

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
