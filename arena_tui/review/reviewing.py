"""One reviewer's way through a sample: next pair, labels, agreement with the judge; and the lines that show it.

Imports no Textual. Methods that read or write files say so; call them in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.text import Text

from arena_tui.judgments.judgment_page import label_words
from arena_tui.safe_text import brief, one_line
from arena_tui.theme import Inks
from engine.labels import Label
from engine.review.labels import HumanLabel, Outcome, Pair, outcome
from engine.review.library import Library, OpenedPair
from engine.review.listing import Listed
from engine.review.sampling import STEP, Sample, draw_sample, shown_game
from engine.review.store import ReviewStore

if TYPE_CHECKING:
    from engine.auditing.agreement import Agreement

_SIDES: dict[Outcome, float] = {"win": 1.0, "tie": 0.0, "loss": -1.0}


class Progress(msgspec.Struct, frozen=True):
    """`done` of the `size` pairs of the sample are reviewed, `skipped` of these without a label."""

    done: int
    size: int
    skipped: int
    candidates: int


class Reviewing:
    """Begins at the first pair of the sample that has no label. `index` is the place in the sample."""

    def __init__(self, library: Library, reviewer: str, judge: str | None) -> None:
        self.library = library
        self.reviewer = reviewer
        self.sample = Sample([], {}, None, 0)
        self.index = 0
        self._judge = judge
        self._store: ReviewStore | None = None
        self._size: int | None = None

    @property
    def said(self) -> dict[Pair, HumanLabel]:
        return self._store.labels if self._store is not None else {}

    @property
    def pair(self) -> Pair | None:
        """The pair that is looked at; None when all are done, or there is none."""
        return self.sample.pairs[self.index] if self.index < len(self.sample.pairs) else None

    @property
    def label(self) -> HumanLabel | None:
        """What was said of it."""
        return self.said.get(self.pair) if self.pair is not None else None

    @property
    def game(self) -> int:
        """The order in which it is shown: that in which it was labelled, if it was."""
        looked_at = self.peek(self.index)
        return looked_at[1] if looked_at is not None else 1

    def peek(self, index: int) -> tuple[Pair, int, bool] | None:
        """The pair at a place of the sample, the order to show it in, and whether something was said of it."""
        if not 0 <= index < len(self.sample.pairs):
            return None
        pair = self.sample.pairs[index]
        said = self.said.get(pair)
        return pair, shown_game(pair, self.reviewer) if said is None else said.game, said is not None

    @property
    def entry(self) -> Listed | None:
        """The judgment of the pair; None if nobody has judged it."""
        return self.sample.entries.get(self.pair) if self.pair is not None else None

    def begin(self) -> None:
        """Draw the sample, keeping the pair that is looked at if it still is in it. Reads files; raises BenchError."""
        if self._store is None:
            self._store = ReviewStore(self.library.bench.paths, self.reviewer)
        looked_at = self.pair
        self.sample = draw_sample(self.library, self._judge, labelled=self.said, size=self._size)
        if looked_at in self.sample.pairs:
            self.index = self.sample.pairs.index(looked_at)
        else:
            self.index = 0
            self.go_on()

    def go_on(self) -> None:
        """To the next pair that has no label, from here and then from the beginning; past the end if there is none."""
        count = len(self.sample.pairs)
        order = (*range(self.index, count), *range(min(self.index, count)))
        self.index = next((at for at in order if self.sample.pairs[at] not in self.said), count)

    def step(self, step: int) -> bool:
        """To the pair before or after; False at the ends. Pairs ahead that have no label are not skipped unseen."""
        target = self.index + step
        if not 0 <= target < len(self.sample.pairs):
            return False
        self.index = target
        return True

    def extend(self) -> None:
        """Draw more pairs. Reads files; raises BenchError."""
        self._size = len(self.sample.pairs) + STEP
        self.begin()
        self.go_on()

    def open(self, pair: Pair) -> OpenedPair:
        """Everything about a pair of the sample. Reads files; raises BenchError."""
        entry = self.sample.entries.get(pair)
        return self.library.open(entry) if entry is not None else self.library.open_answers(pair)

    def say(self, label: Label | None, baseline: str, note: str) -> HumanLabel | None:
        """Label the pair that is looked at, or (with None) set it aside. Writes the file; raises StorageError."""
        if self.pair is None or self._store is None:
            return None
        said = self._store.label(
            self.pair, label, game=self.game, judge=self.sample.judge, baseline=baseline, note=note
        )
        self.library.add_human(said)
        return said

    def add_note(self, note: str) -> None:
        """Put a note to what was said of this pair. Writes the file; raises StorageError."""
        if self._store is not None and self.pair is not None and self.label is not None:
            self._store.note(self.pair, note)

    def undo(self) -> HumanLabel | None:
        """Take back what was said last, and look at its pair again. Writes the file; raises StorageError."""
        undone = self._store.undo() if self._store is not None else None
        if undone is not None and undone.pair in self.sample.pairs:
            self.index = self.sample.pairs.index(undone.pair)
        return undone

    def progress(self) -> Progress:
        said = [self.said[pair] for pair in self.sample.pairs if pair in self.said]
        skipped = sum(label.label is None for label in said)
        return Progress(len(said), len(self.sample.pairs), skipped, self.sample.candidates)

    def agreement(self) -> Agreement | None:
        """On who is better: the reviewer's labels and the judge's word over both games, on all pairs with both."""
        judged: dict[Pair, Outcome] = {
            entry.pair: entry.outcome
            for entry in self.library.entries
            if entry.outcome is not None and entry.row.judge == self.sample.judge
        }
        return _agreement(list(self.said.values()), [judged.get(pair) for pair in self.said])

    def agreement_on_labels(self) -> Agreement | None:
        """The same with the judge's word in the one game that had the places in which the reviewer saw the answers."""
        entries = {entry.pair: entry for entry in self.library.entries if entry.row.judge == self.sample.judge}
        told: list[Outcome | None] = []
        for label in self.said.values():
            entry = entries.get(label.pair)
            known = entry is not None and label.game <= len(entry.row.labels)
            told.append(outcome(entry.row.labels[label.game - 1], label.game) if known and entry is not None else None)
        return _agreement(list(self.said.values()), told)


def _agreement(said: Sequence[HumanLabel], judged: Sequence[Outcome | None]) -> Agreement | None:
    from engine.auditing.agreement import agreement_on  # imports numpy, which nothing before the first label needs

    both = [
        (label.question_id, _SIDES[mine], _SIDES[theirs])
        for label, theirs in zip(said, judged, strict=True)
        if (mine := label.outcome) is not None and theirs is not None
    ]
    return agreement_on([each[0] for each in both], [each[1] for each in both], [each[2] for each in both])


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


def _share(found: Agreement) -> str:
    same = found.same_winner
    agreed = round(same.number * found.games / 100.0)
    text = f"{agreed} of {found.games} = {same.number:.0f}%"
    return text if same.lower is None or same.upper is None else f"{text} [{same.lower:.0f}%, {same.upper:.0f}%]"


def _kappa(found: Agreement) -> str:
    if found.games < _FEWEST_FOR_KAPPA:
        return f"  kappa after {_FEWEST_FOR_KAPPA}"
    kappa = found.kappa
    if kappa.value is None or kappa.lower is None or kappa.upper is None:
        return "  kappa -"
    return f"  kappa {kappa.value:.2f} [{kappa.lower:.2f}, {kappa.upper:.2f}]"
