"""The lines above and below the rows of the leaderboard: how final it is, how it was rated, what to mind."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from msgspec import UnsetType
from rich.text import Text

from arena_tui.board.choices import BoardChoices
from arena_tui.live.session import Status
from arena_tui.output.stop_rule import standing_words, verdict_words
from arena_tui.safe_text import one_line
from arena_tui.theme import Inks
from arena_tui.widgets.board_table import BoardRow
from engine.ratings.leaderboard import Leaderboard
from engine.work.progress import RunState


def headline(state: RunState, status: Status, judged: int, total: int, is_reading: bool, ink: Inks) -> Text:
    """How many judgments the numbers rest on, and whether more are to come."""
    goes_on = status in ("running", "paused", "stopping", "following")
    if goes_on and judged < total:
        return Text.assemble(("PROVISIONAL", ink.warning), f"  {judged:,} of {total:,} judgments so far")
    if state.stop_rule:
        share = f"on {judged:,} of {total:,} judgments, by the stop rule {one_line(state.stop_rule)}"
        return Text.assemble((standing_words(state), ink.accent), f" {share}")
    if judged < total:
        there = f"{judged:,} of {total:,} judgments are there: 1, then s, makes the rest"
        return Text.assemble(("INCOMPLETE", ink.warning), f"  {there}")
    if is_reading:
        return Text("reading the judgments ...", ink.muted)
    return Text(f"{judged:,} judgments" if judged else "", ink.muted)


def described(
    choices: BoardChoices,
    board: Leaderboard | None,
    judges: Sequence[str],
    view: Sequence[str],
    goes_on: str,
    ink: Inks,
) -> Text:
    """What is rated and how; what is not as usual stands out. `view` is how the rows are sorted and filtered."""
    phrases = choices.phrases()
    if choices.soft and board is not None and not isinstance(board.soft, UnsetType) and board.soft.width is not None:
        phrases.append(f"intervals {board.soft.width:.2f} times as wide")
    phrases += [phrase for phrase in view if phrase]
    line = Text(" · ", ink.muted).join(Text(phrase, ink.accent) for phrase in phrases)
    for phrase, style in (
        (f"judge {', '.join(map(one_line, judges))}" if judges else "", ink.accent if choices.judge else ink.muted),
        (goes_on, ink.muted),
    ):
        if phrase:
            line.append(" · " if line.plain else "", ink.muted).append(phrase, style)
    return line


def row_line(row: BoardRow, opponent: str, ink: Inks) -> Text:
    """All numbers of one row, for there may not be room for them in the table."""
    number = row.row
    line = Text.assemble((one_line(number.model), ink.strong))
    if row.is_baseline:
        return line.append("  the baseline: 50 by definition", ink.muted)
    line.append(f"  {number.score:.2f} [{number.lower:.2f}, {number.upper:.2f}]")
    for name, value in (("by label", number.label_score), ("own style", number.same_style)):
        if isinstance(value, float):
            line.append(f"  {name} {value:.2f}", ink.accent)
    if row.standing is not None:
        line.append(f" {verdict_words('', row.standing, opponent).partition(':')[0]}", ink.accent)
    return line.append(f"  {number.questions} questions, {number.games} games", ink.muted)


def caution_lines(warnings: Sequence[str], width: int, room: int) -> list[str]:
    """The cautions wrapped, as many lines as there is room for; the last one then says how many there are."""
    texts = [one_line(" ".join(warning.split())) for warning in warnings]
    lines = [
        line
        for text in texts
        for line in textwrap.wrap(f"! {text}", width, subsequent_indent="  ", break_on_hyphens=False)
    ]
    if len(lines) <= room:
        return lines
    several = "cautions" if len(texts) > 1 else "caution"
    return [*lines[: room - 1], f"! {len(texts)} {several} about these numbers: n shows all in full"]
