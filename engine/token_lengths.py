"""Lengths of answers in tokens by one counter, where the files of a bench hold those of several.

"cl100k_base" is tiktoken's (also that of generation 1), "server" is the model's own tokenizer, "arena-hard-v2" that of
arena-hard-auto v2. A text has up to a half more tokens by one than by another, so they are not compared as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from engine.bench.decoding import answer_lines
from engine.bench.index import BenchIndex
from engine.bench.lines import LineSpan
from engine.models.tokens import NAME, cached_counter


def comparable_lengths(index: BenchIndex, models: Sequence[str]) -> tuple[dict[str, dict[str, int | None]], str, str]:
    """Return by model and question the lengths of the answers; if they had several counters, also the one that all have
    now, and a warning.

    Raises BenchError for a file that cannot be read.
    """
    columns = "key", "tokens", "token_counter", "bytes", "start", "length"
    tables = [index.answers(model) for model in models]
    kinds = {kind for table in tables for kind in table.frame["token_counter"].unique() if kind is not None}
    if len(kinds) < 2:
        lengths = (dict(table.frame.select("key", "tokens").iter_rows()) for table in tables)
        return dict(zip(models, lengths, strict=True)), "", ""
    rows = [(table.path, *row) for table in tables for row in table.frame.select(columns).iter_rows()]

    def turns_of(at: int) -> Sequence[str]:
        path, key, *_, start, length = rows[at]
        return answer_lines.read_at(path, LineSpan(start, length), key).usable() or ()

    tokens, reference, warning = by_one_counter(
        [row[2] for row in rows], [row[3] for row in rows], [row[4] for row in rows], turns_of
    )
    found: dict[str, dict[str, int | None]] = {}
    at = 0
    for model, table in zip(models, tables, strict=True):
        found[model] = dict(zip(table.frame["key"], tokens[at : at + len(table.frame)], strict=True))
        at += len(table.frame)
    return found, reference, warning


def by_one_counter(
    tokens: Sequence[int | None],
    counters: Sequence[str | None],
    sizes: Sequence[int],
    turns_of: Callable[[int], Sequence[str]],
) -> tuple[list[int | None], str, str]:
    """Return lengths by one counter; if there were several, also its name and a warning.

    Those of others are counted anew with cl100k_base where its table is in the cache. Else they are scaled, so that the
    answers of each counter have the same number of tokens per byte (`sizes`) on the whole.
    """
    known = [(at, length, counters[at] or "") for at, length in enumerate(tokens) if length is not None]
    kinds = Counter(name for _, _, name in known)
    if len(kinds) < 2:
        return list(tokens), "", ""
    found = list(tokens)
    listed = ", ".join(f"{count} by {name}" for name, count in kinds.most_common())
    counter = cached_counter()
    if counter is not None:
        for at, _, name in known:
            if name != NAME:
                found[at] = sum(map(counter.count, turns_of(at)))
        return found, NAME, f"answers were counted in tokens in several ways ({listed}); all lengths are by {NAME} now"
    reference = NAME if NAME in kinds else kinds.most_common(1)[0][0]
    rates = {
        name: sum(length for _, length, other in known if other == name)
        / max(1, sum(sizes[at] for at, _, other in known if other == name))
        for name in kinds
    }
    for at, length, name in known:
        if name != reference and rates[name]:
            found[at] = max(1, round(length * rates[reference] / rates[name])) if length else 0
    return (
        found,
        reference,
        (
            f"answers were counted in tokens in several ways ({listed}); lengths are scaled to {reference} by their "
            f"tokens per byte, because the table of {NAME} is not in the cache of tiktoken"
        ),
    )
