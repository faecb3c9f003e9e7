"""How a simulated model answers: Markdown in the question's language, as solid as its skill."""

from __future__ import annotations

from engine.models.simulator.chance import Draws
from engine.models.simulator.config import SimulatedModel
from engine.models.simulator.topics import language_of, topics, wants_code
from engine.models.simulator.wording import PHRASES, Language

_FEWEST_POINTS, _MORE_POINTS, _MOST_PADDING = 4, 4, 5


def write_answer(model: SimulatedModel, question: str, draws: Draws) -> str:
    """One answer. A paragraph is solid with the chance `skill`, vague otherwise; verbosity adds points and padding."""
    spoken = _language(model, question, draws)
    phrases = PHRASES[spoken]
    words = topics(question)

    def say(sentences: tuple[str, ...]) -> str:
        return draws.pick(sentences).replace("{t}", draws.pick(words))

    def solid() -> bool:
        return draws.chance(model.skill)

    points = _FEWEST_POINTS + round(_MORE_POINTS * model.verbosity)
    padding = round(_MOST_PADDING * model.verbosity)
    blocks = [say(phrases.openings[solid()]), f"## {draws.pick(phrases.headings)}"]
    blocks.append("\n".join(f"{number}. {say(phrases.points[solid()])}" for number in range(1, points + 1)))
    if wants_code(question) and solid():
        blocks.append(f"```python\n{phrases.code}```")
    blocks += [say(phrases.padding) for _ in range(padding)]
    blocks.append(say(phrases.closings[solid()]))
    return "\n\n".join(blocks)


def think_about(question: str) -> str:
    """What a thinking model writes before its reply."""
    return PHRASES[language_of(question)].thought.replace("{t}", topics(question)[0])


def _language(model: SimulatedModel, question: str, draws: Draws) -> Language:
    asked = language_of(question)
    if draws.chance(model.language_drift):
        return "en" if asked == "ru" else "ru"
    return asked
