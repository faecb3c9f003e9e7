"""Who takes part: which models answer, which judge, which are judged. Pure; problems are reported, never ignored."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from engine.config.model import Config
from engine.errors import ConfigProblem
from engine.pairing import Pairing
from engine.records import Question


@dataclass(frozen=True)
class Participants:
    """`answering` models have calls to make or answers on disk; `judges` compare the `judged` with the baselines."""

    answering: Sequence[str]
    judged: Sequence[str]
    judges: Sequence[str]
    pairing: Pairing
    problems: Sequence[ConfigProblem] = ()
    warnings: Sequence[str] = ()

    @property
    def baselines(self) -> Sequence[str]:
        """The models that others are compared with."""
        return self.pairing.names

    @property
    def opponents(self) -> Sequence[str]:
        """What each model is compared with, one after the other: the baselines, or all of them as one where they depend
        on the category."""
        return (self.pairing.anchor,) if self.pairing.is_split else self.pairing.baselines

    @property
    def baseline(self) -> str:
        """The name of what is at 50.0."""
        return self.pairing.anchor

    def judged_against(self, opponent: str) -> list[str]:
        """Return the models compared with an opponent. Two baselines meet once: the later one against the earlier."""
        earlier = self.opponents[: self.opponents.index(opponent)]
        return [name for name in self.judged if name != opponent and name not in earlier]

    def baseline_of(self, question: Question, opponent: str = "") -> str:
        """Return the baseline of a question, which `opponent` names unless it depends on the category."""
        return self.pairing.of(question.category)[0] if self.pairing.is_split else opponent or self.baseline


def choose_participants(
    config: Config, only: Collection[str], answers_on_disk: Mapping[str, int], pairing: Pairing | None = None
) -> Participants:
    """Return who takes part in a run of `config`, restricted to the contestants `only` unless it is empty.

    `answers_on_disk` maps each model with an answer file to its number of answers. Baselines always take part: those of
    `pairing`, which by default is the config's.
    """
    problems: list[ConfigProblem] = []
    pairing = pairing or config.judge.pairing
    baselines, judges = list(pairing.names), list(config.judge.model)
    known = {*config.models, *answers_on_disk}
    for name in only:
        if name not in known:
            close = get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"
            problems.append(ConfigProblem("models", f"no model {name!r}", hint))

    answering = [name for name in config.answer_models() if not only or name in only or name in baselines]
    for baseline in reversed(baselines):
        if only and baseline in config.models and baseline not in answering and not answers_on_disk.get(baseline):
            answering.insert(0, baseline)
    reachable = [name for name in answering if has_endpoint(config, name)]
    for name in answering:
        if name not in reachable and not answers_on_disk.get(name):
            problems.append(
                ConfigProblem(
                    f"models.{name}",
                    "has neither answers on disk nor an endpoint",
                    f'add endpoints = [{{ base_url = "http://localhost:8000/v1" }}] to [models."{name}"], '
                    f'or a table [models."{name}".serve] to have vLLM started for it',
                )
            )

    with_answers = sorted({*answers_on_disk, *reachable})
    judged = [name for name in config.judged_models(with_answers, pairing) if (not only or name in only)]
    for baseline in baselines:
        if baseline in with_answers:
            continue
        problems.append(
            ConfigProblem(
                _place_of(config, baseline),
                f"{baseline!r} has neither answers on disk nor an endpoint",
                f'put its answers in model_answer/ or add it to [answers] models with a [models."{baseline}"] entry',
            )
        )
    for name in judged:
        if name not in with_answers and name not in answering:
            problems.append(
                ConfigProblem("judge.models", f"{name!r} has no answers", "add it to [answers] models, or take it out")
            )
    warnings = _judge_warnings(config, judges, [*judged, *baselines])
    return Participants(answering, judged, judges, pairing, problems, warnings)


def _place_of(config: Config, baseline: str) -> str:
    """Return the key that names a baseline."""
    own = (
        f"judge.by_category[{at}].baseline"
        for at, each in enumerate(config.judge.by_category)
        if each.baseline == baseline
    )
    return "judge.baseline" if baseline in config.judge.baselines else next(own, "judge.baseline")


def has_endpoint(config: Config, name: str) -> bool:
    """Return whether the model has an endpoint, or a server that can be started."""
    return name in config.models and config.models[name].can_be_called


def _judge_warnings(config: Config, judges: Sequence[str], compared: Sequence[str]) -> list[str]:
    """Warn of judges that judge themselves or a relative: judges prefer their own style."""
    warnings = []
    contestants = list(dict.fromkeys(compared))
    for judge in judges:
        if judge in contestants:
            warnings.append(
                f"{judge} judges its own answers: judges prefer their own style, so its score is not to be trusted"
            )
        relatives = [name for name in contestants if name != judge and family(config, name) == family(config, judge)]
        if relatives:
            warnings.append(f"{judge} judges models of its own family ({', '.join(relatives)}): it may favour them")
    return warnings


# Names of base models. The name of a fine-tune usually contains that of its base model ("SELM-Llama-3-8B").
_FAMILIES = (
    "llama", "qwen", "qwq", "mistral", "mixtral", "ministral", "gemma", "gemini", "phi", "aya", "command", "vikhr",
    "saiga", "gigachat", "yandexgpt", "deepseek", "glm", "yi", "falcon", "gpt", "chatgpt", "claude", "o1", "o3", "o4",
    "olmo", "internlm", "granite", "nemotron", "kimi", "minimax", "solar", "exaone",
)  # fmt: skip
_DISTINCT = 5  # letters: shorter names (phi, yi) count only as a whole word


def family(config: Config, name: str) -> str:
    """Return the family of a model: what the config says, else the first known one in its name, else the name."""
    entry = config.models.get(name)
    if entry is not None and entry.family:
        return entry.family.casefold()
    lowered = name.casefold()
    words = re.findall(r"[a-z]+", lowered) + re.findall(r"[a-z0-9]+", lowered)
    hits = [
        (lowered.index(known), known)
        for known in _FAMILIES
        if known in words or (len(known) >= _DISTINCT and any(known in word for word in words))
    ]
    return min(hits)[1] if hits else lowered
