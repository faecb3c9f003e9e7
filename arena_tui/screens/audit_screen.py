"""The judge's page: whether it can be trusted for this bench, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text

from arena_tui.board.choices import BoardChoices
from arena_tui.screens.page_screen import PageScreen, Tell, with_warnings
from arena_tui.theme import Inks

if TYPE_CHECKING:
    from engine.audit.report import AuditReport, Level

_TOLD_EVERY = 20  # questions


class AuditScreen(PageScreen):
    """Audits the judges that `choices` name, with their weight of strong verdicts."""

    HELP = (
        "What the judge's own verdicts tell of it: does the winner change with the places, does it like long answers, "
        "does it mind the wrong language, does it agree with itself and with people? `arena-tui audit` tells the same, "
        "and with --probe or --repeat asks the judge more."
    )

    def __init__(self, choices: BoardChoices) -> None:
        super().__init__()
        self._choices = choices

    def find(self, tell: Tell) -> AuditReport:
        from engine.audit.auditor import Auditor
        from engine.audit.material import material_of_bench
        from engine.ratings.estimate import RatingOptions

        def count(done: int, of: int) -> None:
            if done % _TOLD_EVERY == 0:
                tell(f"languages of the answers: {done} of {of} questions")

        session = self.session
        options = RatingOptions(baseline=session.config.judge.baseline, weight=self._choices.weight)
        judges = (self._choices.judge,) if self._choices.judge else tuple(session.config.judge.model)
        material = material_of_bench(session.bench, session.config, judges, options.baseline)
        tell("counting ...")
        return Auditor(material, options, count).report()

    def text(self, found: object, width: int, ink: Inks) -> Text:
        """The command's own page, with its marks in colour."""
        from arena_tui.output.audit import MARKS, format_audit

        report = cast("AuditReport", found)
        styles: dict[Level, object] = {"good": ink.good, "care": ink.warning, "bad": ink.bad, "unknown": ink.muted}
        text = Text(format_audit(report, "table", width=width), no_wrap=True)
        for level, mark in MARKS.items():
            text.highlight_regex(rf"(?m)^{mark.replace('?', '[?]')}(?= )", styles[level])  # type: ignore[arg-type]
        text.highlight_regex(r"(?m)^.*  --  trust: (yes|with care|no)$", ink.strong + ink.accent)
        return with_warnings(text, report.warnings, ink)
