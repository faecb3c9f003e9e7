"""The two games of a question: who is A and who is B, and what the judge is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from engine.judging.prompts import REASK, JudgePrompt, render
from engine.records import Question

Messages: TypeAlias = list[dict[str, str]]


def game_messages(
    prompt: JudgePrompt, question: Question, baseline_turns: Sequence[str], model_turns: Sequence[str], number: int
) -> Messages:
    """The chat that opens game 1 (the baseline is A) or game 2 (the model is A). The user's message comes last."""
    first, second = (baseline_turns, model_turns) if number == 1 else (model_turns, baseline_turns)
    system, user = render(prompt, question.turns, first, second)
    opening = [{"role": "system", "content": system}] if system else []
    return [*opening, {"role": "user", "content": user}]


def reask_messages(opening: Messages, judgment: str) -> Messages:
    """The chat that asks again after a judgment without a verdict: the judge sees what it wrote and goes on from it."""
    return [*opening, {"role": "assistant", "content": judgment}, {"role": "user", "content": REASK}]
