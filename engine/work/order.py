"""The order of work: questions in a seeded random order, judge calls side by side when they share a prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from engine.records import Question
from engine.work.jobs import GameUnit

DEFAULT_SEED = 42


def seeded_order(questions: Iterable[Question], seed: int = DEFAULT_SEED) -> list[Question]:
    """The questions in a random order that depends on the seed and on each id alone.

    Adding a question to the set never changes the order of the others, so the first N questions of a larger
    set hold nearly the same ones, and all models get the same.
    """

    def rank(question: Question) -> bytes:
        return blake2b(f"{seed}:{question.id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    return sorted(questions, key=rank)


def question_major(
    questions: Sequence[Question], models: Sequence[str], baselines: Sequence[str] = ()
) -> Callable[[GameUnit], tuple[int, ...]]:
    """Where a judge call stands: games of one question next to each other, in the order of `questions`; first every
    game 1, whose prompts share the question and a baseline's answer as their prefix (a server's prefix cache then
    computes it once), then every game 2.

    Within these, games with the same answer in front go together, baselines and models in the order of theirs.
    """
    question_rank = {question.id: rank for rank, question in enumerate(questions)}
    model_rank = {model: rank for rank, model in enumerate(models)}
    baseline_rank = {baseline: rank for rank, baseline in enumerate(baselines)}

    def place(unit: GameUnit) -> tuple[int, ...]:
        sides = baseline_rank.get(unit.job.baseline, 0), model_rank[unit.job.task.model]
        in_front, behind = sides if unit.number == 1 else sides[::-1]
        return question_rank[unit.job.question.id], unit.number, in_front, behind

    return place
