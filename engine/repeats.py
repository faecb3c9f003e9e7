"""Which answers to a question are compared, and how often each comparison is judged: the one place that says so.

A model gives a question one or more answers, the choices of its record, numbered from 0. Choice i of a model is
compared with choice i of the baseline (counted round where the baseline has fewer). Each comparison is judged once or
more: repeats 0, 1, ... A judgment of choice 0 in repeat 0 is the only one that other programs know; it stands in
`model_judgment`, all others stand in `judgment_repeats`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from engine.errors import UsageProblem

MOST_REPEATS = 100  # of answers, and of judgments: beyond this a typing error is likelier


class Replicate(NamedTuple):
    """One judgment of a question: which answer of the model it is of, and which repeat it is."""

    choice: int
    repeat: int

    @property
    def seed(self) -> int:
        """What it adds to the seed of the judge: two judgments of the same text must not be the same draw."""
        return self.choice * MOST_REPEATS + self.repeat


FIRST = Replicate(0, 0)


class Repeats(msgspec.Struct, frozen=True):
    """How many answers a question gets, and how often they are judged.

    Attributes:
        answers: of each model to each question.
        judgments: of the first answer; of every answer if `of_every`, else the others are judged once.
    """

    answers: int = 1
    judgments: int = 1
    of_every: bool = False

    def __str__(self) -> str:
        is_plain = self.answers == self.judgments and not self.of_every
        return str(self.answers) if is_plain else f"{self.answers}x{self.judgments}"

    def at_least(self, answers: int) -> Repeats:
        """Return the same with so many answers at least."""
        return msgspec.structs.replace(self, answers=max(self.answers, answers))

    def replicates(self, choices: int) -> list[Replicate]:
        """Return the judgments of a question to which the model has so many answers, in their order."""
        return [
            Replicate(choice, repeat)
            for choice in range(min(choices, self.answers))
            for repeat in range(self.judgments if self.of_every or choice == 0 else 1)
        ]


ONCE = Repeats()


def parse_repeats(text: str) -> Repeats:
    """Return what "K" or "AxJ" stands for.

    "AxJ" is A answers, each judged J times. "K" is K answers, of which the first is judged K times and the others once:
    the least that shows the noise of answers and that of the judge apart. Raises UsageProblem.
    """
    found = re.fullmatch(r"\s*(\d{1,4})\s*(?:[xX×]\s*(\d{1,4})\s*)?", text)
    answers, judgments = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not (1 <= answers <= MOST_REPEATS and 1 <= judgments <= MOST_REPEATS):
        raise UsageProblem(
            f"repeats {text!r} are neither a number nor answers x judgments",
            f"write 3, or 3x2 for 3 answers to each question, each judged twice (at most {MOST_REPEATS} of both)",
        )
    return Repeats(answers, judgments, of_every=found is not None and found[2] is not None)
