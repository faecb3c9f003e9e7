"""The two lines above the text of a judgment: which one it is, and how it ended."""

from __future__ import annotations

from collections.abc import Collection

from rich.text import Text

from arena_tui.judgments.judgment_list import OUTCOME_MARKS
from arena_tui.judgments.judgment_page import WINNERS
from arena_tui.safe_text import one_line
from arena_tui.theme import Inks
from engine.review.labels import outcome
from engine.review.listing import Listed


def about_lines(row: Listed, place: str, people: Collection[str], ink: Inks) -> tuple[Text, Text]:
    """Return both lines. `place` is where it is in the list, `people` are the outcomes that people saw."""
    first = Text.assemble(
        (one_line(row.row.model), ink.strong),
        (" against ", ink.muted),
        one_line(row.baseline) or "an unnamed baseline",
        (f"   {place}" if place else "", ink.muted),
        (f"   judge {one_line(row.row.judge)}", ink.muted),
        (f"   {one_line(row.category)}" if row.category else "", ink.muted),
    )
    second = Text(f"{OUTCOME_MARKS[row.outcome]} {row.outcome or 'unparsed'}   ", ink.strong)
    if row.is_flip:
        second.append("FLIP   ", ink.warning)
    for number, (label, played) in enumerate(zip(row.row.labels, row.row.played, strict=True), start=1):
        winner = outcome(label, 2 - number % 2)
        style = {"win": ink.good, "loss": ink.bad}.get(winner or "", ink.muted)
        words = f"{label} {WINNERS[winner]}" if winner is not None else "unparsed"
        second.append(f"game {number} ", ink.muted).append(words if played else "not played", style).append("   ")
    if row.row.further:
        second.append(f"judgment 1 of {row.row.further + 1}", ink.muted)
    if people:
        second.append("   " if row.row.further else "")
        second.append(f"people: {' and '.join(sorted(people))}", ink.accent)
    return first, second
