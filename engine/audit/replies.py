"""The judges' stored replies, read again by today's rule and by the lenient one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from engine.bench import Bench
from engine.bench.replies import Reply, load_replies
from engine.judging.labels import Verdict, parser
from engine.ratings.audit.verdicts import ReplyCounts


def read_replies(bench: Bench, judge: str, baseline: str, rule: str) -> ReplyCounts | None:
    """What all replies of `judge` come to by the label rule of that name; None if none is stored.

    Raises BenchError if a file cannot be read, ValueError for a rule that is none.
    """
    read = parser(rule)
    counts: Counter[str] = Counter()
    for model in bench.judged_models(judge):
        loaded = load_replies(bench.paths.judgments(judge, model), baseline)
        counts += count_replies((reply for games in loaded.items.values() for reply in games if reply), read)
    return ReplyCounts(**counts) if counts else None


def count_replies(replies: Iterable[Reply], read: Callable[[str], Verdict]) -> Counter[str]:
    """The counts of `ReplyCounts` by name.

    A reply to several asks is not read again unless it brought no verdict: its text holds what was asked anew.
    """
    lenient = parser("lenient")
    counts: Counter[str] = Counter()
    for reply in replies:
        counts["texts"] += 1
        if reply.label is None:
            verdict = read(reply.text)
            if verdict.label is not None:
                counts["changed"] += 1
            else:
                counts[verdict.reason] += 1
            counts["readable"] += (verdict.label or lenient(reply.text).label) is not None
        elif reply.asks in (None, 1):
            counts["changed"] += read(reply.text).label != reply.label
    return counts
