"""The order of work: questions in a seeded random order, judge calls side by side when they share a prefix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import groupby

from engine.records import Question
from engine.work.jobs import GAME_NUMBERS, GameUnit, JudgeJob

DEFAULT_SEED = 42


def seeded_order(questions: Iterable[Question], seed: int = DEFAULT_SEED) -> list[Question]:
    """The questions in a random order that depends on the seed and on each id alone.

    Adding a question to the set never changes the order of the others, so the first N questions of a larger
    set hold nearly the same ones, and all models get the same.
    """

    def rank(question: Question) -> bytes:
        return blake2b(f"{seed}:{question.id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    return sorted(questions, key=rank)


def question_major(jobs: Sequence[JudgeJob]) -> list[GameUnit]:
    """Games of one question next to each other: first every game 1, whose prompts share the question and the baseline's
    answer as their prefix (a server's prefix cache then computes it once), then every game 2.

    `jobs` come in question order within each model; the order of questions is that of their first appearance.
    """
    rank: dict[str, int] = {}
    for job in jobs:
        rank.setdefault(job.question.id, len(rank))
    by_question = sorted(jobs, key=lambda job: rank[job.question.id])
    units: list[GameUnit] = []
    for _, group in groupby(by_question, key=lambda job: job.question.id):
        together = [{unit.number: unit for unit in job.units()} for job in group]
        units.extend(games[number] for number in GAME_NUMBERS for games in together if number in games)
    return units
