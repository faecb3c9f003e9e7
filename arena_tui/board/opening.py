"""The pages that open from the leaderboard by a key; each is imported when it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from arena_tui.board.choices import BoardChoices
    from arena_tui.board.rating import Board
    from arena_tui.widgets.screens import ArenaScreen

PageName: TypeAlias = Literal["audit", "study", "pairs", "curve"]


def open_page(over: ArenaScreen, page: PageName, board: Board | None, choices: BoardChoices) -> None:
    """Open a page over a screen: by the choices of its board, those that need one where there is one."""
    session, app = over.session, over.app
    if page == "audit" and session.is_open:
        from arena_tui.board.pages import AuditScreen

        app.push_screen(AuditScreen(session, choices))
    elif page == "curve" and session.is_open:
        from arena_tui.board.curve_screen import CurveScreen

        app.push_screen(CurveScreen(session, choices))
    elif page == "study" and board is not None:
        from arena_tui.board.pages import StudyScreen

        app.push_screen(StudyScreen(session, board))
    elif page == "pairs" and board is not None:
        from arena_tui.board.pairs_screen import PairsScreen

        app.push_screen(PairsScreen(session, board, choices))
