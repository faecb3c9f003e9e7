"""The models and judges of a server: turns a request into text. Pure: no clock, no order of arrival, no network."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import msgspec

from engine.simulator.config import ReasoningStyle, SimulatedJudge, SimulatedModel, SimulatorConfig
from engine.simulator.draws import Draws, digest
from engine.simulator.requests import ChatRequest, Refusal, error_body, unknown_model
from engine.simulator.text import count_tokens, cut, traits_of
from engine.simulator.verdicts import (
    Case,
    constrained_text,
    find_case,
    form_opinion,
    log_probabilities,
    write_verdict,
)
from engine.simulator.wording import PHRASES

_JUDGE_SKILL = 0.8  # of a judge that answers a question
_MODEL_NOISE = 0.6  # of a model without any skill that judges
_FEWEST_POINTS, _MORE_POINTS, _MOST_PADDING = 4, 4, 3


class ReplyChoice(msgspec.Struct, frozen=True):
    """One choice of a reply, cut to the tokens it may have. `tokens` counts reasoning and content."""

    content: str | None
    reasoning: str | None
    finish_reason: str
    tokens: int
    reasoning_tokens: int
    logprobs: dict[str, Any] | None = None


class Cast:
    """The models and judges of one server, by name. Each of them can answer and judge."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._seed = config.seed
        self._models = {model.name: model for model in config.models}
        self._judges = {judge.name: judge for judge in config.judges}
        for judge in config.judges:
            self._models[judge.name] = SimulatedModel(name=judge.name, skill=_JUDGE_SKILL, reasoning=judge.reasoning)
        for model in config.models:
            self._judges[model.name] = SimulatedJudge(
                name=model.name, noise=_MODEL_NOISE * (1 - model.skill), reasoning=model.reasoning
            )
        self.names = config.names

    def resolve(self, name: str | None) -> str:
        """Return the name of the requested model; the first one if the request has none. Raises Refusal (404)."""
        if name is None:
            return self.names[0]
        if name not in self._models:
            raise unknown_model(name, self.names)
        return name

    def key(self, name: str, request: ChatRequest) -> bytes:
        """Return what decides the reply, apart from the sampling: the model and the conversation."""
        parts = [part for message in request.messages for part in (message.role, message.text)]
        return digest(self._seed, name, *parts)

    def reply(self, name: str, request: ChatRequest, room: int, key: bytes) -> list[ReplyChoice]:
        """Return the choices of a reply, each within `room` tokens. Raises Refusal (400)."""
        users = (message.text for message in request.messages if message.role == "user")
        case = find_case(next(users, request.messages[-1].text))
        return [self._choice(name, request, room, case, key, index) for index in range(request.n or 1)]

    def _choice(
        self, name: str, request: ChatRequest, room: int, case: Case | None, key: bytes, index: int
    ) -> ReplyChoice:
        temperature = 1.0 if request.temperature is None else request.temperature
        if temperature > 0:
            key = digest(key, temperature, request.top_p, request.seed, index)
        draws = Draws(key)
        judge, last = self._judges[name], request.messages[-1].text
        opinion = form_opinion(judge, self._seed, case, key, temperature) if case else None
        shares: dict[str, float] = {}
        if request.structured_outputs is not None:
            found = constrained_text(request.structured_outputs, opinion, draws)
            if found is None:
                message = "The simulated server can only meet a regex that a verdict label in a usual frame matches."
                raise Refusal(400, error_body(message, "BadRequestError", 400, "structured_outputs"))
            text, shares = found
        elif case and opinion:
            text = write_verdict(judge, case, opinion, draws, full=_in_full(judge, request))
        elif any("A>>B" in message.text for message in request.messages if message.role != "assistant"):
            text = PHRASES[traits_of(last).language].no_answers  # a verdict is requested, without answers
        else:
            text = write_answer(self._models[name], last, draws)
        reasons = (request.chat_template_kwargs or {}).get("enable_thinking", True)
        style = judge.reasoning if reasons else "none"
        reasoning = write_reasoning(case.question if case else last) if style != "none" else ""
        choice = _within(text, reasoning, style, room)
        if request.structured_outputs is not None and choice.tokens == room:  # no token is left for the end
            choice = msgspec.structs.replace(choice, finish_reason="length")
        if request.logprobs and choice.content is not None:
            logprobs = log_probabilities(choice.content, shares, request.top_logprobs or 0)
            choice = msgspec.structs.replace(choice, logprobs=logprobs)
        return choice if request.include_reasoning else msgspec.structs.replace(choice, reasoning=None)


def write_answer(model: SimulatedModel, question: str, draws: Draws) -> str:
    """Write an answer in Markdown. A share `skill` of its statements is solid, the others vague."""
    traits = traits_of(question)
    language = traits.language
    if draws.chance(model.language_drift):
        language = "en" if language == "ru" else "ru"
    phrases = PHRASES[language]
    words = cycle(draws.shuffled(traits.topics))

    def filled(sentence: str) -> str:
        return sentence.replace("{t}", next(words))

    count = _FEWEST_POINTS + round(_MORE_POINTS * model.verbosity)
    solid = _which_are_solid(model.skill, count + 3, draws)
    points = [cycle(draws.shuffled(sentences)) for sentences in phrases.points]
    blocks = [
        filled(draws.pick(phrases.openings[solid[0]])),
        f"## {draws.pick(phrases.headings)}",
        "\n".join(f"{number}. {filled(next(points[well]))}" for number, well in enumerate(solid[3:], start=1)),
    ]
    if traits.wants_code and solid[2]:
        blocks.append(f"```python\n{phrases.code}```")
    padding = draws.shuffled(phrases.padding)
    blocks += [filled(sentence) for sentence in padding[: round(_MOST_PADDING * model.verbosity)]]
    blocks.append(filled(draws.pick(phrases.closings[solid[1]])))
    return "\n\n".join(blocks)


def write_reasoning(question: str) -> str:
    """Write the reasoning before a reply."""
    traits = traits_of(question)
    return PHRASES[traits.language].thought.replace("{t}", traits.topics[0])


def _which_are_solid(skill: float, count: int, draws: Draws) -> list[bool]:
    """Draw which statements are solid: a share `skill` of them, rounded up or down by chance."""
    exact = skill * count
    solid = int(exact) + draws.chance(exact % 1)
    return draws.shuffled([index < solid for index in range(count)])


def _in_full(judge: SimulatedJudge, request: ChatRequest) -> bool:
    """Return whether the judge explains itself: prompts that want it show how the last line should begin."""
    if judge.style == "as_asked":
        return any("final verdict is" in message.text for message in request.messages if message.role == "system")
    return judge.style == "full"


def _within(text: str, reasoning: str, style: ReasoningStyle, room: int) -> ReplyChoice:
    """Return reasoning and text as the server sends them, within `room` tokens of both together."""
    if style == "field":
        reasoning, used, was_cut = cut(reasoning, room)
        if was_cut or used == room:
            return ReplyChoice(None, reasoning, "length", used, used)
        text, tokens, was_cut = cut(text, room - used)
        return ReplyChoice(text, reasoning, "length" if was_cut else "stop", used + tokens, used)
    if style == "tags":
        text = f"<think>\n{reasoning}\n</think>\n\n{text}"
    elif style == "orphan":
        text = f"{reasoning}\n</think>\n\n{text}"
    text, tokens, was_cut = cut(text, room)
    return ReplyChoice(text, None, "length" if was_cut else "stop", tokens, count_tokens(reasoning))
