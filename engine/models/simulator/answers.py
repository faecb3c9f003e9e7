"""How a simulated model answers: Markdown in the question's language, as solid as its skill."""

from __future__ import annotations

from itertools import cycle

from engine.models.simulator.chance import Draws
from engine.models.simulator.config import SimulatedModel
from engine.models.simulator.topics import about
from engine.models.simulator.wording import PHRASES, Language

_FEWEST_POINTS, _MORE_POINTS, _MOST_PADDING = 4, 4, 3


def write_answer(model: SimulatedModel, question: str, draws: Draws) -> str:
    """One answer. A paragraph is solid with the chance `skill`, vague otherwise; verbosity adds points and padding."""
    asked = about(question)
    phrases = PHRASES[_language(model, asked.language, draws)]
    words = cycle(draws.shuffled(asked.topics))

    def solid() -> bool:
        return draws.chance(model.skill)

    def say(sentence: str) -> str:
        return sentence.replace("{t}", next(words))

    count = _FEWEST_POINTS + round(_MORE_POINTS * model.verbosity)
    points = [cycle(draws.shuffled(sentences)) for sentences in phrases.points]
    blocks = [
        say(draws.pick(phrases.openings[solid()])),
        f"## {draws.pick(phrases.headings)}",
        "\n".join(f"{number}. {say(next(points[solid()]))}" for number in range(1, count + 1)),
    ]
    if asked.wants_code and solid():
        blocks.append(f"```python\n{phrases.code}```")
    padding = draws.shuffled(phrases.padding)
    blocks += [say(sentence) for sentence in padding[: round(_MOST_PADDING * model.verbosity)]]
    blocks.append(say(draws.pick(phrases.closings[solid()])))
    return "\n\n".join(blocks)


def think_about(question: str) -> str:
    """What a thinking model writes before its reply."""
    asked = about(question)
    return PHRASES[asked.language].thought.replace("{t}", asked.topics[0])


def _language(model: SimulatedModel, asked: Language, draws: Draws) -> Language:
    if draws.chance(model.language_drift):
        return "en" if asked == "ru" else "ru"
    return asked
