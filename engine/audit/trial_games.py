"""The games that a judge is asked to play anew: which questions, which texts, in which places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.audit.constants import CONSTANT_ANSWERS
from engine.bench.answers import StoredAnswer
from engine.records import Label, Question
from engine.work.jobs import GAME_NUMBERS
from engine.work.order import seeded_order


@dataclass(frozen=True)
class TrialPlan:
    """What to ask: `probe` constant answers or not, `repeat` times the same verdict (0: not), each on `sample`."""

    probe: bool
    repeat: int
    sample: int
    seed: int


@dataclass(slots=True)
class TrialGame:
    """One game: the texts in their places (1: the baseline's first), and in the end the judge's label."""

    question: Question
    baseline_turns: tuple[str, ...]
    turns: tuple[str, ...]
    number: int
    label: Label | None = None
    is_played: bool = False


def probe_games(
    questions: Sequence[Question], baseline: Mapping[str, StoredAnswer], plan: TrialPlan
) -> list[list[TrialGame]]:
    """For each constant answer, both games on the first `sample` questions of the seeded order."""
    chosen = [question for question in seeded_order(questions, plan.seed) if question.id in baseline][: plan.sample]
    return [
        [
            TrialGame(question, baseline[question.id].turns, constant.turns(question), number)
            for question in chosen
            for number in GAME_NUMBERS
        ]
        for constant in CONSTANT_ANSWERS
    ]


def identical_games(
    questions: Sequence[Question], baseline: Mapping[str, StoredAnswer], plan: TrialPlan
) -> list[TrialGame]:
    """The baseline's answer in both places, on the same questions; the other order would be the same prompt."""
    chosen = [question for question in seeded_order(questions, plan.seed) if question.id in baseline][: plan.sample]
    return [TrialGame(question, baseline[question.id].turns, baseline[question.id].turns, 1) for question in chosen]


def repeat_games(
    questions: Sequence[Question],
    answers: Mapping[str, Mapping[str, StoredAnswer]],
    baseline: str,
    plan: TrialPlan,
) -> list[list[TrialGame]]:
    """`sample` games, each `repeat` times: one a question, models and places taking turns."""
    models = sorted(name for name, known in answers.items() if name != baseline and known)
    theirs = answers.get(baseline, {})
    groups: list[list[TrialGame]] = []
    for at, question in enumerate(seeded_order(questions, plan.seed)):
        if len(groups) == plan.sample or not models:
            break
        model = models[at % len(models)]
        if question.id in theirs and question.id in answers[model]:
            number = GAME_NUMBERS[at // len(models) % 2]
            turns = answers[model][question.id].turns
            groups.append([TrialGame(question, theirs[question.id].turns, turns, number) for _ in range(plan.repeat)])
    return groups
