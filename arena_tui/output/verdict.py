"""The verdict on two models in words: the first line of every result, the same in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena_tui.safe_text import one_line, shorten, text_width

if TYPE_CHECKING:
    from engine.ratings.leaderboard import Leaderboard, Row
    from engine.ratings.verdict import PairVerdict

_LEAST_NAME = 12  # columns


def pair_words(found: PairVerdict, width: int | None = None) -> str:
    """Return the verdict as a sentence without a full stop; in `width` columns, with less detail and shorter names."""
    a, b = one_line(found.model_a), one_line(found.model_b)
    for detail in (_detail(found), ""):
        text = _sentence(found, a, b) + detail
        if width is None or text_width(text) <= width:
            return text
    room = width - text_width(_sentence(found, "", "")) if width is not None else 0
    each = max(_LEAST_NAME, room // 2)
    first = max(each, room - text_width(b))
    a = shorten(a, first)
    return _sentence(found, a, shorten(b, max(each, room - text_width(a))))


def count_words(rows: Sequence[Row], baseline: str) -> str:
    """Return how many models are better or worse than the baseline, by their intervals; empty for fewer than two."""
    others = [row for row in rows if row.model != baseline]
    if len(others) < 2:
        return ""
    better, worse = sum(row.lower > 50.0 for row in others), sum(row.upper < 50.0 for row in others)
    counts = (f"{better} better", f"{worse} worse", f"{len(others) - better - worse} undecided")
    return f"against {one_line(baseline)}: {', '.join(counts)}"


def answer_words(board: Leaderboard) -> list[str]:
    """Return the lines that a leaderboard begins with: the verdict that answers most, and the counts."""
    from engine.ratings.verdict import PairVerdict

    lines = [pair_words(board.answer)] if isinstance(board.answer, PairVerdict) else []
    counts = count_words(board.rows, board.baseline)
    return [*lines, counts[0].upper() + counts[1:]] if counts else lines


def without_unicode(text: str) -> str:
    """Return the text in ASCII, for terminals without Unicode."""
    plain = text.replace("−", "-").replace("·", "|").replace("±", "+-")
    return plain.encode("ascii", "replace").decode("ascii")


def _sentence(found: PairVerdict, a: str, b: str) -> str:
    if found.verdict == "equivalent":
        limits = f"[{found.equivalence_lower:.1f}, {found.equivalence_upper:.1f}]"
        return f"{a} and {b} are equivalent within ±{found.margin:g} points: {found.difference:+.1f} {limits}"
    numbers = f"{found.difference:+.1f} points [{found.lower:.1f}, {found.upper:.1f}]"
    if found.verdict == "undecided":
        excludes_zero = found.lower > 0.0 or found.upper < 0.0  # limits of resamples, which the test does not confirm
        return f"{a} against {b} is undecided: {numbers}" + (", p > 0.05" if excludes_zero else "")
    return f"{a} is {found.verdict} than {b}: {numbers}"


def _detail(found: PairVerdict) -> str:
    if found.verdict == "equivalent":
        sure = "better" if found.lower > 0.0 else "worse" if found.upper < 0.0 else ""
        return f", 90% CI ({sure} by less than that)" if sure else ", 90% CI"
    if found.verdict == "undecided" and found.more_questions:
        return f"; about {found.more_questions:,} more questions for ±{found.half_width:g}"
    return ""
