"""What follows the first frame: the config is read, the bench is surveyed, or a first start is helped along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ArenaError

if TYPE_CHECKING:
    from arena_tui.app import ArenaApp


async def open_session(app: ArenaApp) -> None:
    """Open the session and show the plan; on a first start show the welcome, else tell what is wrong."""
    session = app.session
    if session.lacks_config:
        from arena_tui.screens.welcome_screen import WelcomeScreen

        app.push_screen(WelcomeScreen())
        return
    try:
        if not session.is_open:
            await session.open()
        plan = await session.survey()
        if session.demo and plan.calls and not session.read_only:
            session.start()  # who asks for a demonstration wants to see it
    except ArenaError as error:
        if session.is_open and app.first_mode == "review":
            app.tell(error)  # reviewing what is there needs no plan
        else:
            from arena_tui.screens.problem_screen import ProblemScreen

            app.push_screen(ProblemScreen(error))
    app.repaint_state()
