"""What the judgments tell beside scores: how many questions it takes to tell models apart, and which pairs are."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text

from arena_tui.screens.page_screen import PageScreen, Tell, with_warnings
from arena_tui.theme import Inks

if TYPE_CHECKING:
    from arena_tui.board.rating import Board
    from engine.ratings.compare import Comparison
    from engine.ratings.power import StudyPlan

_DIFFERENCES = (2.0, 3.0, 5.0, 10.0)  # points


class StudyScreen(PageScreen):
    """How many questions, calls and minutes a difference takes, judging by the board as a pilot."""

    HELP = (
        "How many questions it takes to find a difference of so many points, if it is there, with 80% power: judging "
        "by how much the questions of this bench disagree. Two models that answer the same questions need fewer. "
        "`arena-tui plan` takes other differences and another power."
    )

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board

    def find(self, tell: Tell) -> StudyPlan:
        from engine.bench.pace import answering_pace, judging_pace
        from engine.ratings.power import Pace, plan_study

        judged, bench = self._board.judged, self.session.bench
        tell("reading how fast the bench was judged ...")
        files = [
            bench.paths.judgments(judge, model) for judge in judged.facts.judges for model in bench.judged_models(judge)
        ]
        answers = [bench.paths.answers(model) for model in bench.models_with_answers()]
        pace = Pace(judging_pace(files), answering_pace(answers))
        return plan_study(judged.battles, self._board.options, judged.facts, _DIFFERENCES, pace=pace)

    def text(self, found: object, width: int, ink: Inks) -> Text:
        from arena_tui.output.power import format_study_plan

        plan = cast("StudyPlan", found)
        return with_warnings(Text(format_study_plan(plan, "table", width=width - 1)), plan.warnings, ink)


class PairsScreen(PageScreen):
    """All pairs of models, paired by question, corrected for their number."""

    HELP = (
        "Every pair of models on the questions that both were judged on, with the p-value of no difference, alone and "
        "corrected for the number of pairs (Holm). `can be` is the ranks that a model can have, all at once with 95%. "
        "`arena-tui compare` tells the same."
    )

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board

    def find(self, tell: Tell) -> Comparison:
        from engine.ratings.compare import compare

        tell("comparing all pairs ...")
        return compare(self._board.judged.battles, self._board.options, self._board.judged.facts)

    def text(self, found: object, width: int, ink: Inks) -> Text:
        from arena_tui.output.compare import format_comparison

        result = cast("Comparison", found)
        text = Text(format_comparison(result, "table", width=width), no_wrap=True)
        return with_warnings(text, result.warnings, ink)
