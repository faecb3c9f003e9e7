"""The settings of simulated models, judges and their server. Immutable, validated on creation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from engine.errors import UsageProblem
from engine.simulator.faults import FaultRule, Status

ReasoningStyle = Literal["none", "field", "tags", "orphan"]


class SimulatedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers in the language of the question, Russian or English.

    `skill` (0..1) is the share of its statements that can be checked instead of being vague: all that a judge can see
    of it. `verbosity` (0..1) adds paragraphs. `language_drift` (0..1) is the chance of an answer in the other language.
    `reasoning` is where its reasoning goes: nowhere, into `message.reasoning` as with a reasoning parser, or into the
    content as a closed `<think>` block or with an unopened `</think>`.
    """

    name: str
    skill: float = 0.5
    verbosity: float = 0.4
    language_drift: float = 0.0
    reasoning: ReasoningStyle = "none"

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_ranges(self, 0.0, 1.0, "skill", "verbosity", "language_drift")


class SimulatedJudge(msgspec.Struct, frozen=True, kw_only=True):
    """A judge. Two answers differ by about 0 (equal) to 1 (one is far better); its biases are on that scale.

    `position_bias` (-1..1) is added in favour of answer A. `verbosity_taste` (-1..1) is the worth of twice the length.
    `language_strictness` (0..1) is the loss of an answer in another language than the question's. `noise` (0..2) is
    the standard deviation for a pair of answers; a part of it is drawn anew when A and B are swapped, so that verdicts
    flip. `unparsed_rate` (0..1) is the chance of a reply without a usable verdict. `tie_width` and `strong_from` bound
    ties and strong verdicts. `style` is a bare label, or an own answer and a comparison before it, or what the prompt
    asks for; `spelling` is always `[[A>B]]`, or any spelling of real judges. `sharpness` (above 0) is how its
    probabilities concentrate on one label: 1 is about as real judges, more is narrower; its label at temperature 0
    stays the same.
    """

    name: str
    position_bias: float = 0.1
    verbosity_taste: float = 0.1
    language_strictness: float = 0.4
    noise: float = 0.4
    unparsed_rate: float = 0.0
    tie_width: float = 0.12
    strong_from: float = 0.5
    style: Literal["as_asked", "label", "full"] = "as_asked"
    spelling: Literal["plain", "mixed"] = "plain"
    reasoning: ReasoningStyle = "none"
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_ranges(self, 0.01, 100.0, "sharpness")
        _check_ranges(self, -1.0, 1.0, "position_bias", "verbosity_taste")
        _check_ranges(self, 0.0, 1.0, "language_strictness", "unparsed_rate")
        _check_ranges(self, 0.0, 2.0, "noise")
        if not 0 < self.tie_width < self.strong_from:
            raise UsageProblem(
                f"simulated judge {self.name}: tie_width must be above 0 and below strong_from",
                f"it is {self.tie_width} beside {self.strong_from}",
            )


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One simulated server. Equal seeds and requests give equal replies, in whatever order they are sent.

    A reply takes `latency` seconds to its first token, spread evenly by `jitter` (0..1, a share of the latency), and
    then `tokens_per_second` (0: at once). At most `max_running` requests run, the others wait; beyond `max_queued`
    waiting ones (0: no bound) the server refuses with 503. The prefix cache holds the last `kv_cache_tokens` of
    prompts. An idle connection stays open for `keepalive` seconds. A share `fail_rate` (0..1) of the calls gets a 500,
    drawn anew each time a call is sent again; `faults` are tried before that.
    """

    models: Sequence[SimulatedModel] = ()
    judges: Sequence[SimulatedJudge] = ()
    latency: float = 0.0
    jitter: float = 0.0
    tokens_per_second: float = 0.0
    seed: int = 0
    api_key: str | None = None
    max_model_len: int = 32_768
    max_running: int = 256
    max_queued: int = 0
    kv_cache_tokens: int = 262_144
    keepalive: float = 5.0
    fail_rate: float = 0.0
    faults: Sequence[FaultRule] = ()

    def __post_init__(self) -> None:
        _check_ranges(self, 0.0, 1.0, "jitter", "fail_rate")
        _check_ranges(self, 0.0, float("inf"), "latency", "tokens_per_second", "max_queued", "keepalive")
        _check_ranges(self, 1, float("inf"), "max_model_len", "max_running", "kv_cache_tokens")
        names = self.names
        if not names:
            raise UsageProblem("a simulated server needs at least one model or judge", "add one")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageProblem(f"two simulated models or judges are named {twice[0]}", "give each its own name")

    @property
    def names(self) -> list[str]:
        """All names, models first."""
        return [*(model.name for model in self.models), *(judge.name for judge in self.judges)]

    def all_faults(self) -> tuple[FaultRule, ...]:
        """Return the fault rules in the order in which they are tried; `fail_rate` is the last."""
        rate = (FaultRule(Status(500), rate=self.fail_rate),) if self.fail_rate else ()
        return (*self.faults, *rate)

    def __repr__(self) -> str:
        return f"SimulatorConfig({', '.join(self.names)})"  # the key stays out of it


def demo_cast() -> SimulatorConfig:
    """Return the cast of the demo: a baseline (the first model), five models of different skill, a judge."""
    return SimulatorConfig(
        models=(
            SimulatedModel(name="sim-baseline", skill=0.5),
            SimulatedModel(name="sim-strong", skill=0.95),
            SimulatedModel(name="sim-careful", skill=0.77),
            SimulatedModel(name="sim-verbose", skill=0.6, verbosity=1.0),
            SimulatedModel(name="sim-weak", skill=0.3, verbosity=0.5),
            SimulatedModel(name="sim-tiny", skill=0.05, verbosity=0.0, language_drift=0.3),
        ),
        judges=(SimulatedJudge(name="sim-judge"),),
        latency=0.05,
        jitter=0.5,
    )


def _check_name(name: str) -> None:
    if not name.strip():
        raise UsageProblem("a simulated model or judge has an empty name", "give it one, such as sim-strong")


def _check_ranges(checked: msgspec.Struct, low: float, high: float, *fields: str) -> None:
    owner = getattr(checked, "name", "simulated server")
    for field in fields:
        value = getattr(checked, field)
        if not low <= value <= high:
            bounds = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
            raise UsageProblem(f"{owner}: {field} must be {bounds}", f"it is {value}")
