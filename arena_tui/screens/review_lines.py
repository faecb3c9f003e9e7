"""The lines above and below the answers of the review: progress, agreement with the judge, and what to press."""

from __future__ import annotations

from rich.text import Text

from arena_tui.live.reviewing import Reviewing
from arena_tui.reading.judgment_page import label_words
from arena_tui.safe_text import brief, one_line
from arena_tui.theme import Inks
from engine.review.agreement import Agreement
from engine.review.labels import Outcome

WINNERS: dict[Outcome, str] = {"win": "model", "tie": "neither", "loss": "baseline"}
_ROOM_FOR_WORDS = 76  # columns; on fewer, a label stands for itself
_FEWEST_FOR_KAPPA = 5  # pairs; of fewer it says nothing


def progress_line(reviewing: Reviewing, taken_back: str, ink: Inks) -> Text:
    """ "37 of 100 sampled", and whose review it is; `taken_back` is the label that was, if one was just now."""
    progress = reviewing.progress()
    if not progress.size:
        return Text("There is nothing to review yet.", ink.strong)
    line = Text.assemble((f"{progress.done:,} of {progress.size:,} sampled", ink.strong))
    if progress.skipped:
        line.append(f", {progress.skipped:,} skipped", ink.muted)
    if taken_back:
        line.append(f"  taken back: {taken_back}", ink.warning)
    if progress.size < progress.candidates:
        line.append(f"  from {progress.candidates:,} pairs", ink.muted)
    line.append(f"  reviewer {one_line(reviewing.reviewer)}", ink.muted)
    return line


def agreement_line(reviewing: Reviewing, ink: Inks, width: int) -> Text:
    """How often the reviewer and the judge saw the same winner, raw and beyond chance, with 95 % limits."""
    judge = reviewing.sample.judge
    if judge is None:
        return Text("no judgments to agree with: labels are kept for later", ink.muted)
    told = reviewing.agreement()
    if told is None:
        return Text(f"agreement with {one_line(judge)}: after the first vote", ink.muted)
    line = Text(f"agreement with {one_line(judge)} " if width >= 80 else "agreement ", ink.muted)
    line.append(_share(told), ink.accent).append(_kappa(told), ink.accent)
    same_order = reviewing.agreement_on_labels()
    if width >= 120 and same_order is not None:
        line.append(f"  in the same game alone {_share(same_order)}", ink.muted)
    return line


def waiting_line(reviewing: Reviewing, reveals: bool, ink: Inks) -> Text:
    """What to press before the vote."""
    if reviewing.pair is None:
        return Text()
    line = Text("Which answer is better?  a or A (much), t tie, b or B (much), s skips", ink.strong)
    if not reveals:
        line.append("  reveal off", ink.warning)
    return line


def ending_words(reviewing: Reviewing) -> str:
    """What is said where there is no pair to look at."""
    sample = reviewing.sample
    if not sample.pairs:
        return (
            "Reviewing needs answers of the baseline and of another model to the same questions.\n"
            "1, then s, has them made; arena-tui import brings in those of another folder."
        )
    more = "\n+ adds more pairs to the sample." if sample.candidates > len(sample.pairs) else ""
    return (
        f"All of them are reviewed.{more}\nleft goes back, u takes back the last one.\n"
        "arena-tui audit compares all labels with the judge's."
    )


def revealed_line(reviewing: Reviewing, ink: Inks, width: int) -> Text:
    """What was said, and what the judge says to it."""
    said, entry = reviewing.label, reviewing.entry
    if said is None:
        return Text()
    line = Text()
    judged = entry.outcome if entry is not None else None
    if said.outcome is not None and judged is not None:
        agrees = said.outcome == judged
        line.append("you agree   " if agrees else "you disagree   ", ink.good if agrees else ink.warning)
    line.append("you: ", ink.muted)
    words = label_words(said.label, said.game) if width >= _ROOM_FOR_WORDS else said.label
    line.append(words if said.label is not None and words else "skipped", ink.strong)
    if entry is not None:
        winner = WINNERS[judged] if judged is not None else "no verdict"
        labels = " ".join(label or "none" for label in entry.row.labels)
        line.append("   judge: ", ink.muted).append(winner, ink.strong).append(f" ({labels})", ink.muted)
    return line


def note_line(reviewing: Reviewing, unsaved: str, ink: Inks) -> Text | None:
    """The note to the pair that is looked at, if there is one; `unsaved` waits for the vote."""
    note = reviewing.label.note if reviewing.label is not None else unsaved
    return Text(f"note: {brief(note, 200)}", ink.muted) if note else None


def _share(told: Agreement) -> str:
    return f"{told.agreed} of {told.pairs} = {told.raw:.0%} [{told.raw_lower:.0%}, {told.raw_upper:.0%}]"


def _kappa(told: Agreement) -> str:
    if told.pairs < _FEWEST_FOR_KAPPA:
        return f"  kappa after {_FEWEST_FOR_KAPPA}"
    if told.kappa is None or told.kappa_lower is None or told.kappa_upper is None:
        return "  kappa -"
    return f"  kappa {told.kappa:.2f} [{told.kappa_lower:.2f}, {told.kappa_upper:.2f}]"
