"""One ask of one game, in every mode: which call is made, and what the game is after its reply."""

from __future__ import annotations

from typing import Any, Protocol

from engine.config.model import Config
from engine.config.requests import Requests, constrained_requests, read_choice, soft_requests
from engine.config.sampling import judge_sampling
from engine.errors import CallFailed, FailureKind
from engine.events import TaskKey
from engine.judging.games import Messages, reask_messages
from engine.judging.labels import Verdict, asks_again, parser
from engine.judging.verdicts import FORMS, asked_for_verdict, choices, read_first_token, read_form
from engine.records import LABELS, Completion, Game, Usage, VerdictMode


class Completer(Protocol):
    """What a player needs of a model: one chat call. Raises CallFailed when it failed for good.

    Calls with the same `prefix` have the beginning of their prompts in common.
    """

    async def complete(self, body: dict[str, Any], task: TaskKey | None = None, prefix: str = "") -> Completion: ...


def judge_requests(config: Config, judge: str) -> dict[str, Requests]:
    """The calls that a judge may get: those for a "text", and those for a "verdict" and nothing else."""
    sampling, provider, mode = judge_sampling(config, judge), config.provider(judge), config.judge.mode
    name, refuses = config.served_name(judge), config.models[judge].refuses
    make = soft_requests if mode.kind == "soft" else constrained_requests
    return {
        "text": Requests(name, sampling, provider, refuses),
        "verdict": make(name, sampling, provider, choices(mode), refuses),
    }


class GameAsker:
    """Asks a judge as the config says: freely, for a label and nothing else, or for probabilities."""

    def __init__(self, client: Completer, config: Config, judge: str) -> None:
        self._client = client
        self._mode = config.judge.mode
        self._rule = config.judge.labels
        self._parse = parser(self._rule)
        self._read_masked = config.provider(judge).masked
        requests = judge_requests(config, judge)
        self._free, self._bound = requests["text"], requests["verdict"]

    async def ask(self, opening: Messages, before: Game | None, task: TaskKey | None = None, prefix: str = "") -> Game:
        """The game after one more call; `before` is None for the first one. Raises CallFailed."""
        is_bound = self._is_bound(before)
        messages = opening if before is None else self._following(opening, before, is_bound=is_bound)
        completion = await self._client.complete((self._bound if is_bound else self._free).body(messages), task, prefix)
        return self._after(opening, before, completion, is_bound=is_bound)

    def gives_up(self, game: Game) -> bool:
        """Whether a game is left without a label though it might be asked for again."""
        return game.score is None and gives_up(self._mode, self._rule, game.unparsed)

    def _is_bound(self, before: Game | None) -> bool:
        """Whether the next call leaves the judge nothing but a verdict to write."""
        if self._mode.kind == "text":
            return before is not None and self._mode.constrains_reasks
        return before is not None or not self._mode.thinks_first

    def _following(self, opening: Messages, before: Game, *, is_bound: bool) -> Messages:
        if not is_bound:
            return reask_messages(opening, before.judgment)
        said = before.judgment
        if before.reasoning and len(said) <= len(before.reasoning):  # it thought apart: without that it would be lost
            said = f"{before.reasoning}\n\n{said}"
        asked = {"role": "user", "content": asked_for_verdict(self._mode)}
        return [*opening, {"role": "assistant", "content": said}, asked]

    def _after(self, opening: Messages, before: Game | None, completion: Completion, *, is_bound: bool) -> Game:
        said, finish_reason, probabilities, mass = completion.content, completion.finish_reason, None, None
        if not is_bound:
            is_verdict = self._mode.kind == "text"
            verdict = self._parse(said) if is_verdict else Verdict(None, "none")
        elif self._mode.kind == "soft":
            if not completion.first_token:
                raise CallFailed(
                    FailureKind.REJECTED,
                    "the reply holds no log-probabilities, which a soft verdict is read from",
                    hint='this server does not tell them: use verdict = "constrained" or "text"',
                )
            verdict, probabilities, told = read_first_token(completion.first_token)
            mass = None if self._read_masked else told
            if verdict.label is not None:
                said = FORMS[LABELS.index(verdict.label)]  # what the number stands for
                finish_reason = "stop"  # one token was asked for: that it is the last one cuts nothing
        else:
            verdict = read_form(read_choice(said), self._parse)
        return Game(
            user_prompt=opening[-1]["content"],
            judgment=said if before is None else f"{before.judgment}\n{said}",
            score=verdict.label,
            asks=1 if before is None else before.asks + 1,
            unparsed=verdict.reason or None,
            finish_reason=finish_reason,
            reasoning=joined(before.reasoning if before else None, completion.reasoning),
            usage=completion.usage if before is None else (before.usage or Usage()) + completion.usage,
            probabilities=probabilities,
            label_mass=mass,
        )


def gives_up(mode: VerdictMode, rule: str, unparsed: str | None) -> bool:
    """Whether a reply without a label (for the reason `unparsed`) ends its game, by the label rule.

    Where a reply is bound to be a verdict the rule has no say: it tells what a text is worth.
    """
    if mode.kind != "text" or mode.constrains_reasks:
        return False
    return not asks_again(rule, Verdict(None, unparsed or "none"))  # type: ignore[arg-type]


def joined(one: str | None, other: str | None) -> str | None:
    """Two thoughts, or the one that there is."""
    return "\n\n".join(filter(None, (one, other))) or None
