"""What the page of a judgment tells of one game."""

from __future__ import annotations

from rich.style import Style

from arena_tui.judgments.judgment_page import Layout, judgment_page
from arena_tui.theme import Inks
from engine.bench.stored import WholeGame, WholeJudgment
from engine.labels import LABELS
from engine.review.library import OpenedPair

INKS = Inks(*(Style(color=name) for name in ("white", "green", "red", "yellow", "blue", "cyan")))


def page_of(game: WholeGame) -> str:
    judgment = WholeJudgment("q", (game, None))
    page = judgment_page(OpenedPair(None, "model", "base", None, None, judgment), Layout(80))
    return "\n".join(page.row(row, INKS).text for row in range(page.height))


def test_the_probabilities_of_a_soft_verdict_stand_below_it():
    told = dict(zip(LABELS, (0.02, 0.1, 0.13, 0.7, 0.05), strict=True))
    page = page_of(WholeGame((), "[[B>A]]", "B>A", "B>A", probabilities=told))
    assert "probabilities: A>>B 2%   A>B 10%   A=B 13%   B>A 70%   B>>A 5%" in page
    assert "probabilities" not in page_of(WholeGame((), "[[B>A]]", "B>A", "B>A"))
