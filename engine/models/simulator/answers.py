"""How a simulated model answers: Markdown in the question's language, as solid as its skill."""

from __future__ import annotations

from itertools import cycle

from engine.models.simulator.chance import Draws
from engine.models.simulator.config import SimulatedModel
from engine.models.simulator.topics import about
from engine.models.simulator.wording import PHRASES, Language

_FEWEST_POINTS, _MORE_POINTS, _MOST_PADDING = 4, 4, 3


def write_answer(model: SimulatedModel, question: str, draws: Draws) -> str:
    """One answer. A share `skill` of its statements is solid, the others vague; verbosity adds points and padding."""
    asked = about(question)
    phrases = PHRASES[_language(model, asked.language, draws)]
    words = cycle(draws.shuffled(asked.topics))

    def say(sentence: str) -> str:
        return sentence.replace("{t}", next(words))

    count = _FEWEST_POINTS + round(_MORE_POINTS * model.verbosity)
    solid = _solid_places(model.skill, count + 3, draws)
    points = [cycle(draws.shuffled(sentences)) for sentences in phrases.points]
    blocks = [
        say(draws.pick(phrases.openings[solid[0]])),
        f"## {draws.pick(phrases.headings)}",
        "\n".join(f"{number}. {say(next(points[well]))}" for number, well in enumerate(solid[3:], start=1)),
    ]
    if asked.wants_code and solid[2]:
        blocks.append(f"```python\n{phrases.code}```")
    padding = draws.shuffled(phrases.padding)
    blocks += [say(sentence) for sentence in padding[: round(_MOST_PADDING * model.verbosity)]]
    blocks.append(say(draws.pick(phrases.closings[solid[1]])))
    return "\n\n".join(blocks)


def think_about(question: str) -> str:
    """What a thinking model writes before its reply."""
    asked = about(question)
    return PHRASES[asked.language].thought.replace("{t}", asked.topics[0])


def _solid_places(skill: float, places: int, draws: Draws) -> list[bool]:
    """Which of so many statements are solid: a share `skill` of them, rounded up or down by chance, anywhere."""
    exact = skill * places
    solid = int(exact) + draws.chance(exact % 1)
    return draws.shuffled([place < solid for place in range(places)])


def _language(model: SimulatedModel, asked: Language, draws: Draws) -> Language:
    if draws.chance(model.language_drift):
        return "en" if asked == "ru" else "ru"
    return asked
