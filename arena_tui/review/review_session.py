"""One reviewer's way through a sample: next pair, labels, agreement with the judge; and the lines that show it.

Knows no screen. Methods that read or write files say so; call them in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.text import Text

from arena_tui.judgments.judgment_page import WINNERS, label_words
from arena_tui.safe_text import brief, one_line
from arena_tui.theme import Inks
from engine.labels import Label
from engine.review.labels import HumanLabel, Outcome, Pair, outcome
from engine.review.library import Library, OpenedPair
from engine.review.listing import JudgmentFilter, Listed
from engine.review.sampling import STEP, Sample, draw_sample, shown_game
from engine.review.store import ReviewStore

if TYPE_CHECKING:
    from engine.auditing.agreement import Agreement

_SIDES: dict[Outcome, float] = {"win": 1.0, "tie": 0.0, "loss": -1.0}


class SampleProgress(msgspec.Struct, frozen=True):
    """`done` of the `size` pairs of the sample are reviewed, `skipped` of these without a label."""

    done: int
    size: int
    skipped: int
    candidates: int


class ReviewSession:
    """Starts at the first unlabelled pair of the sample. `index` is the position in the sample."""

    def __init__(self, library: Library, reviewer: str, judge: str | None) -> None:
        self.library = library
        self.reviewer = reviewer
        self.sample = Sample([], {}, None, 0)
        self.index = 0
        self._judge = judge
        self._store: ReviewStore | None = None
        self._size: int | None = None
        self.wanted = JudgmentFilter()  # the judgments that the sample is drawn from

    @property
    def labels(self) -> dict[Pair, HumanLabel]:
        return self._store.labels if self._store is not None else {}

    @property
    def pair(self) -> Pair | None:
        """The current pair; None if all are labelled or the sample is empty."""
        return self.sample.pairs[self.index] if self.index < len(self.sample.pairs) else None

    @property
    def label(self) -> HumanLabel | None:
        """The label of the current pair, if it has one."""
        return self.labels.get(self.pair) if self.pair is not None else None

    @property
    def game(self) -> int:
        """The order in which the current pair is shown: the one it was labelled in, if it was."""
        current = self.peek(self.index)
        return current[1] if current is not None else 1

    def peek(self, index: int) -> tuple[Pair, int, bool] | None:
        """Return the pair at an index, the order to show it in, and whether it is labelled or skipped."""
        if not 0 <= index < len(self.sample.pairs):
            return None
        pair = self.sample.pairs[index]
        label = self.labels.get(pair)
        return pair, shown_game(pair, self.reviewer) if label is None else label.game, label is not None

    @property
    def entry(self) -> Listed | None:
        """The judgment of the current pair, if it has one."""
        return self.sample.entries.get(self.pair) if self.pair is not None else None

    def begin(self) -> None:
        """Draw the sample; the current pair stays if it is in it. Reads files; raises BenchError."""
        if self._store is None:
            self._store = self.library.reviews(self.reviewer)
        current = self.pair
        wanted = self.wanted if self.is_filtered else None
        self.sample = draw_sample(self.library, self._judge, labelled=self.labels, size=self._size, wanted=wanted)
        if current in self.sample.pairs:
            self.index = self.sample.pairs.index(current)
        else:
            self.index = 0
            self.next_unlabelled()

    @property
    def is_filtered(self) -> bool:
        return self.wanted != JudgmentFilter()

    @property
    def is_revealed(self) -> bool:
        """Whether the current pair is labelled, or all are."""
        return self.pair is None or self.label is not None

    def next_unlabelled(self) -> None:
        """Go to the next unlabelled pair, from here and then from the start; past the end if there is none."""
        count = len(self.sample.pairs)
        order = (*range(self.index, count), *range(min(self.index, count)))
        self.index = next((at for at in order if self.sample.pairs[at] not in self.labels), count)

    def step(self, step: int) -> bool:
        """Go to the previous or next pair, labelled or not; return False at the ends."""
        target = self.index + step
        if not 0 <= target < len(self.sample.pairs):
            return False
        self.index = target
        return True

    def extend(self) -> None:
        """Draw more pairs. Reads files; raises BenchError."""
        self._size = len(self.sample.pairs) + STEP
        self.begin()
        self.next_unlabelled()

    def open(self, pair: Pair) -> OpenedPair:
        """Read everything about a pair of the sample. Raises BenchError."""
        entry = self.sample.entries.get(pair)
        return self.library.open(entry) if entry is not None else self.library.open_answers(pair)

    def add_label(self, label: Label | None, baseline: str, note: str) -> HumanLabel | None:
        """Label the current pair, or (with None) skip it. Writes the file; raises StorageError."""
        if self.pair is None or self._store is None:
            return None
        added = self._store.label(
            self.pair, label, game=self.game, judge=self.sample.judge, baseline=baseline, note=note
        )
        self.library.add_human(added)
        return added

    def add_note(self, note: str) -> None:
        """Set the note of the current pair's label. Writes the file; raises StorageError."""
        if self._store is not None and self.pair is not None and self.label is not None:
            self._store.note(self.pair, note)

    def undo(self) -> HumanLabel | None:
        """Take back the last change of a label and go to its pair. Writes the file; raises StorageError."""
        undone = self._store.undo() if self._store is not None else None
        if undone is not None and undone.pair in self.sample.pairs:
            self.index = self.sample.pairs.index(undone.pair)
        return undone

    def progress(self) -> SampleProgress:
        done = [self.labels[pair] for pair in self.sample.pairs if pair in self.labels]
        skipped = sum(label.label is None for label in done)
        return SampleProgress(len(done), len(self.sample.pairs), skipped, self.sample.candidates)

    def agreement(self) -> Agreement | None:
        """Compare the reviewer's labels with the judge's outcome of both games, on all pairs that have both."""
        judged: dict[Pair, Outcome] = {
            entry.pair: entry.outcome
            for entry in self.library.entries
            if entry.outcome is not None and entry.row.judge == self.sample.judge
        }
        blind = [label for label in self.labels.values() if not label.seen]
        return _agreement(blind, [judged.get(label.pair) for label in blind])

    def agreement_on_labels(self) -> Agreement | None:
        """Compare the reviewer's labels with the judge's in the game that showed the answers in the same order."""
        entries = {entry.pair: entry for entry in self.library.entries if entry.row.judge == self.sample.judge}
        judged: list[Outcome | None] = []
        blind = [label for label in self.labels.values() if not label.seen]
        for label in blind:
            entry = entries.get(label.pair)
            known = entry is not None and label.game <= len(entry.row.labels)
            judged.append(
                outcome(entry.row.labels[label.game - 1], label.game) if known and entry is not None else None
            )
        return _agreement(blind, judged)


def _agreement(labels: Sequence[HumanLabel], judged: Sequence[Outcome | None]) -> Agreement | None:
    from engine.auditing.agreement import agreement_on  # imports numpy, not needed before the first label

    both = [
        (label.question_id, _SIDES[mine], _SIDES[theirs])
        for label, theirs in zip(labels, judged, strict=True)
        if (mine := label.outcome) is not None and theirs is not None
    ]
    return agreement_on([each[0] for each in both], [each[1] for each in both], [each[2] for each in both])


_ROOM_FOR_WORDS = 76  # columns; on fewer, the label alone is shown
_FEWEST_FOR_KAPPA = 5  # pairs


def progress_line(review: ReviewSession, taken_back: str, ink: Inks) -> Text:
    """Return "37 of 100 sampled" and the reviewer; `taken_back` is the label just removed, if any."""
    progress = review.progress()
    if not progress.size:
        return Text("no pair matches the filter" if review.is_filtered else "nothing to review yet", ink.strong)
    line = Text.assemble((f"{progress.done:,} of {progress.size:,} sampled", ink.strong))
    if progress.skipped:
        line.append(f", {progress.skipped:,} skipped", ink.muted)
    if taken_back:
        line.append(f"  {taken_back}", ink.warning)
    if review.is_filtered:
        line.append("  filtered: no fair sample", ink.warning)
    if progress.size < progress.candidates:
        line.append(f"  from {progress.candidates:,} pairs", ink.muted)
    line.append(f"  reviewer {one_line(review.reviewer)}", ink.muted)
    return line


def agreement_line(review: ReviewSession, ink: Inks, width: int) -> Text:
    """Return how often reviewer and judge agree on the winner, raw and beyond chance, with 95 % limits."""
    judge = review.sample.judge
    if judge is None:
        return Text("no judgments to compare with; labels are kept for later", ink.muted)
    found = review.agreement()
    if found is not None and not review.is_revealed:
        return Text(f"agreement with {one_line(judge)} is hidden until this pair is labelled", ink.muted)
    if found is None:
        return Text(f"agreement with {one_line(judge)}: after the first vote", ink.muted)
    line = Text(f"agreement with {one_line(judge)} " if width >= 80 else "agreement ", ink.muted)
    line.append(_share(found), ink.accent).append(_kappa(found), ink.accent)
    same_order = review.agreement_on_labels()
    if width >= 120 and same_order is not None:
        line.append(f"  in the same order {_share(same_order)}", ink.muted)
    return line


def waiting_line(review: ReviewSession, reveals: bool, ink: Inks) -> Text:
    """Return the keys for a label."""
    if review.pair is None:
        return Text()
    line = Text("Which answer is better?  a or A (much), t tie, b or B (much), 0 skips", ink.strong)
    if not reveals:
        line.append("  reveal off", ink.warning)
    return line


def ending_words(review: ReviewSession) -> str:
    """Return the text shown if there is no pair."""
    sample = review.sample
    if not sample.pairs and review.is_filtered:
        return "No judgment matches the filter: f changes it, x removes it."
    if not sample.pairs:
        return (
            "A review needs answers of the baseline and of another model to the same questions.\n"
            "Create them with 1, then s, or import them with I."
        )
    more = "\n+ adds more pairs to the sample." if sample.candidates > len(sample.pairs) else ""
    return (
        f"All pairs are reviewed.{more}\nleft goes back, u removes the last label.\n"
        "arena-tui audit compares all labels with the judge's."
    )


def revealed_line(review: ReviewSession, ink: Inks, width: int) -> Text:
    """Return the reviewer's label and the judge's."""
    label, entry = review.label, review.entry
    if label is None:
        return Text()
    line = Text()
    judged = entry.outcome if entry is not None else None
    if label.outcome is not None and judged is not None:
        agrees = label.outcome == judged
        line.append("you agree   " if agrees else "you disagree   ", ink.good if agrees else ink.warning)
    line.append("you: ", ink.muted)
    words = label_words(label.label, label.game) if width >= _ROOM_FOR_WORDS else label.label
    line.append(words if label.label is not None and words else "skipped", ink.strong)
    if entry is not None:
        winner = WINNERS[judged] if judged is not None else "unparsed"
        labels = " ".join(given or "none" for given in entry.row.labels)
        line.append("   judge: ", ink.muted).append(winner, ink.strong).append(f" ({labels})", ink.muted)
    return line


def change_line(ink: Inks) -> Text:
    """Return the keys for a pair that has a label."""
    return Text("a A t b B change your label, u undoes the last change, Enter goes to the next pair", ink.muted)


def note_line(review: ReviewSession, unsaved: str, ink: Inks) -> Text | None:
    """Return the note of the current pair, if any; `unsaved` is that of a pair without a label."""
    note = review.label.note if review.label is not None else unsaved
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
