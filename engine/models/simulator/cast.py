"""Turns a request into what one member of the cast says to it. Pure: no clock, no order of arrival, no network."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.models.simulator.answers import think_about, write_answer
from engine.models.simulator.chance import Draws, digest
from engine.models.simulator.config import SimulatedJudge, SimulatedModel, SimulatorConfig, Thinking
from engine.models.simulator.constrained import constrained_text, log_probabilities
from engine.models.simulator.requests import ChatRequest, Refusal, error_body, unknown_model
from engine.models.simulator.tokens import count_tokens, cut
from engine.models.simulator.topics import about
from engine.models.simulator.verdicts import Case, Opinion, find_case, form_opinion, write_verdict
from engine.models.simulator.wording import PHRASES

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


def _constrained(request: ChatRequest, opinion: Opinion | None, draws: Draws) -> tuple[str, dict[str, float]]:
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
