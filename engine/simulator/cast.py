"""The models and judges of a server: turns a request into text. Pure: no clock, no order of arrival, no network."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import msgspec

from engine.simulator.config import SimulatedJudge, SimulatedModel, SimulatorConfig, Thinking
from engine.simulator.draws import Draws, digest
from engine.simulator.requests import ChatRequest, Refusal, error_body, unknown_model
from engine.simulator.text import about, count_tokens, cut
from engine.simulator.verdicts import (
    Case,
    JudgeOpinion,
    constrained_text,
    find_case,
    form_opinion,
    log_probabilities,
    write_verdict,
)
from engine.simulator.wording import PHRASES, Language

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


_JUDGE_SKILL = 0.8  # with which a judge answers what is not a case
_CONTESTANT_NOISE = 0.6  # of a contestant without any skill that is asked to judge


class Said(msgspec.Struct, frozen=True):
    """One choice of a reply, cut to the room there was. `tokens` counts thoughts and content."""

    content: str | None
    reasoning: str | None
    finish_reason: str
    tokens: int
    reasoning_tokens: int
    logprobs: dict[str, Any] | None


class Cast:
    """The members of one server, by name. Any of them can answer and judge."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._seed = config.seed
        self._contestants = {model.name: model for model in config.models}
        self._contestants |= {
            judge.name: SimulatedModel(name=judge.name, skill=_JUDGE_SKILL, thinking=judge.thinking)
            for judge in config.judges
        }
        self._judges = {
            model.name: SimulatedJudge(
                name=model.name, noise=_CONTESTANT_NOISE * (1 - model.skill), thinking=model.thinking
            )
            for model in config.models
        }
        self._judges |= {judge.name: judge for judge in config.judges}
        self.names = config.names

    def resolve(self, name: str | None) -> str:
        """The member that is meant; the first one if none is named. Raises Refusal (404)."""
        if name is None:
            return self.names[0]
        if name not in self._contestants:
            raise unknown_model(name, self.names)
        return name

    def key(self, name: str, request: ChatRequest) -> bytes:
        """What decides the reply, apart from the sampling: who is asked, and the conversation."""
        parts = [part for message in request.messages for part in (message.role, message.text)]
        return digest(self._seed, name, *parts)

    def speak(self, name: str, request: ChatRequest, room: int, key: bytes) -> list[Said]:
        """What `name` says, one item per choice, each within `room` tokens. Raises Refusal (400)."""
        asked = next(
            (message.text for message in request.messages if message.role == "user"), request.messages[-1].text
        )
        case = find_case(asked)
        return [self._say(name, request, room, case, key, index) for index in range(request.n or 1)]

    def _say(self, name: str, request: ChatRequest, room: int, case: Case | None, key: bytes, index: int) -> Said:
        temperature = 1.0 if request.temperature is None else request.temperature
        if temperature > 0:
            key = digest(key, temperature, request.top_p, request.seed, index)
        draws = Draws(key)
        judge, last = self._judges[name], request.messages[-1].text
        opinion = form_opinion(judge, self._seed, case, key, temperature) if case else None
        shares: dict[str, float] = {}
        if request.structured_outputs is not None:
            text, shares = _constrained(request, opinion, draws)
        elif case and opinion:
            text = write_verdict(judge, case, opinion, draws, full=_in_full(judge, request))
        elif _asks_for_a_verdict(request):
            text = PHRASES[about(last).language].no_answers
        else:
            text = write_answer(self._contestants[name], last, draws)
        thinking = _thinking(judge.thinking, request)
        thought = think_about(case.question if case else last) if thinking != "none" else ""
        said = _within(text, thought, thinking, room)
        if request.structured_outputs is not None and said.tokens == room:  # no token is left to end with
            said = msgspec.structs.replace(said, finish_reason="length")
        if request.logprobs and said.content is not None:
            logprobs = log_probabilities(said.content, shares, request.top_logprobs or 0)
            said = msgspec.structs.replace(said, logprobs=logprobs)
        return said if request.include_reasoning else msgspec.structs.replace(said, reasoning=None)


def _constrained(request: ChatRequest, opinion: JudgeOpinion | None, draws: Draws) -> tuple[str, dict[str, float]]:
    assert request.structured_outputs is not None
    found = constrained_text(request.structured_outputs, opinion, draws)
    if found is None:
        message = "The simulated server can only meet a regex that a verdict label in a usual frame matches."
        raise Refusal(400, error_body(message, "BadRequestError", 400, "structured_outputs"))
    return found


def _asks_for_a_verdict(request: ChatRequest) -> bool:
    return any("A>>B" in message.text for message in request.messages if message.role != "assistant")


def _in_full(judge: SimulatedJudge, request: ChatRequest) -> bool:
    """Whether the judge explains itself: prompts that want it show how the last line should begin."""
    if judge.style == "as_asked":
        return any("final verdict is" in message.text for message in request.messages if message.role == "system")
    return judge.style == "full"


def _thinking(usual: Thinking, request: ChatRequest) -> Thinking:
    wanted = (request.chat_template_kwargs or {}).get("enable_thinking", True)
    return usual if wanted else "none"


def _within(text: str, thought: str, thinking: Thinking, room: int) -> Said:
    """Thoughts and text as they leave the server, within `room` tokens of both together."""
    if thinking == "field":
        thought, thought_tokens, cut_short = cut(thought, room)
        if cut_short or thought_tokens == room:
            return Said(None, thought, "length", thought_tokens, thought_tokens, None)
        text, tokens, cut_short = cut(text, room - thought_tokens)
        return Said(text, thought, "length" if cut_short else "stop", thought_tokens + tokens, thought_tokens, None)
    if thinking == "tags":
        text = f"<think>\n{thought}\n</think>\n\n{text}"
    elif thinking == "orphan":
        text = f"{thought}\n</think>\n\n{text}"
    text, tokens, cut_short = cut(text, room)
    return Said(text, None, "length" if cut_short else "stop", tokens, count_tokens(thought), None)
