"""Whether a judgment is still of today's texts."""

from __future__ import annotations

from collections.abc import Sequence

from engine.bench.stored import StoredJudgment, StoredPrompts

ANSWER_START = "<|The Start of Assistant {}'s Answer|>"  # how every fork's prompt template frames the two answers
ANSWER_END = "<|The End of Assistant {}'s Answer|>"


def is_current(
    stored: StoredJudgment,
    *,
    baseline: str,
    inputs: str,
    question_turns: Sequence[str],
    baseline_turns: Sequence[str],
    model_turns: Sequence[str],
) -> bool:
    """Whether `stored` compares exactly these texts, and this baseline where it names one.

    `inputs` is `inputs_digest` of the three. A judgment that carries no digest is checked by what the judge was shown:
    every prompt must hold the texts in the places of its game. Where nothing tells, it is not current.
    """
    if stored.baseline is not None and stored.baseline != baseline:
        return False
    if stored.inputs is not None:
        return stored.inputs == inputs
    prompts = stored.prompts.read() if isinstance(stored.prompts, StoredPrompts) else stored.prompts
    shown = [(at, prompt) for at, prompt in enumerate(prompts) if prompt]
    return bool(shown) and all(
        _shows(prompt, question_turns, baseline_turns, model_turns)
        if at % 2 == 0
        else _shows(prompt, question_turns, model_turns, baseline_turns)
        for at, prompt in shown
    )


def _shows(prompt: str, question: Sequence[str], answer_a: Sequence[str], answer_b: Sequence[str]) -> bool:
    """Whether the prompt holds the texts; in the template of all forks an answer must fill its section exactly.

    Being contained is not enough there: an answer that was cut since, or another that begins alike, is contained too.
    """
    if not all(text in prompt for text in (*question, *answer_a, *answer_b)):
        return False
    if ANSWER_START.format("A") not in prompt or len(answer_a) != 1 or len(answer_b) != 1:
        return True
    return all(
        f"{ANSWER_START.format(side)}\n{answer}\n{ANSWER_END.format(side)}" in prompt
        for side, (answer,) in (("A", answer_a), ("B", answer_b))
    )
