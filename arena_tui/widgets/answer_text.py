"""The answer of a session as a styled line, for the run and the leaderboard screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from arena_tui.output.verdict import count_words, pair_words
from arena_tui.safe_text import text_width

if TYPE_CHECKING:
    from arena_tui.session.arena_session import ArenaSession
    from arena_tui.theme import Inks
    from engine.ratings.leaderboard import Leaderboard
    from engine.ratings.verdict import PairVerdict

_SO_FAR = "so far: "


def answer_text(session: ArenaSession, width: int, ink: Inks) -> Text:
    """Return the verdict of the latest rating, or of the stop rule."""
    state = session.state
    judgments = [task for key, task in state.tasks.items() if key.stage == "judgments"]
    is_partial = any(task.left for task in judgments) and not state.stop_rule
    found = session.answers.verdict(state)
    if found is None:
        judged = sum(task.done + task.cached for task in judgments)
        return Text("no verdict yet" if judged else "no verdict yet: nothing is judged", ink.muted)
    return verdict_text(found, None if state.stop_rule else session.answers.board, width, ink, is_partial=is_partial)


def verdict_text(
    found: PairVerdict, board: Leaderboard | None, width: int, ink: Inks, *, is_partial: bool = False
) -> Text:
    """Return a verdict, with the counts of a leaderboard where there is room for them."""
    line = Text.assemble((_SO_FAR if is_partial else "", ink.warning))
    room = width - text_width(line.plain)
    tone = {"better": ink.good, "worse": ink.bad, "equivalent": ink.accent}.get(found.verdict, ink.warning)
    words = pair_words(found, room)
    head, colon, numbers = words.partition(": ")
    line.append(head, ink.strong + tone).append(colon + numbers)
    counts = count_words(board.rows, board.baseline) if board is not None else ""
    if counts and text_width(line.plain) + text_width(counts) + 3 <= width:
        line.append(f" · {counts}", ink.muted)
    return line
