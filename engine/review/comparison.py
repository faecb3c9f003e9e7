"""Everything about one judgment at once: the question, both answers, and both games as they were played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from engine.bench.digest import inputs_digest
from engine.bench.judgments import ANSWER_END, ANSWER_START, StoredJudgment, is_current
from engine.bench.whole import WholeAnswer, WholeGame, WholeJudgment
from engine.config.sampling import settings_digest
from engine.errors import ArenaError
from engine.judging.prompts import judge_prompt
from engine.judging.verdicts import opening_prompt, wording_of
from engine.records import Question, VerdictMode

Origin: TypeAlias = Literal["current", "prompt", "changed", "unknown"]
"""Where the answers come from.

current    the files of the answers, and they are what the judge saw
prompt     what the judge was shown: the files hold none, or other ones by now
changed    the files of the answers, though the judge saw other texts, which the judgment does not tell
unknown    the files of the answers, and nothing tells what the judge saw (or there is no judgment)
"""


class Comparison(msgspec.Struct, frozen=True):
    """A model's answer beside the baseline's. `judgment` is None where nobody has judged them yet.

    `system` is the judge's system prompt: "" if it had none, None if nothing tells.
    """

    question: Question | None
    model: str
    baseline: str
    answer: WholeAnswer | None
    baseline_answer: WholeAnswer | None
    judgment: WholeJudgment | None = None
    origin: Origin = "unknown"
    system: str | None = None

    def side(self, letter: Literal["A", "B"], game: int) -> tuple[str, WholeAnswer | None]:
        """The model in a place of game 1 or 2, and its answer."""
        if (letter == "A") == (game == 1):
            return self.baseline, self.baseline_answer
        return self.model, self.answer


def compare(
    question: Question | None,
    model: str,
    baseline: str,
    judgment: WholeJudgment | None,
    answer: WholeAnswer | None,
    baseline_answer: WholeAnswer | None,
    settings: dict[str, Any] | None = None,
) -> Comparison:
    """Put together what the files tell. Answers that are not what the judge saw give way to what its prompt shows."""
    if judgment is None:
        return Comparison(question, model, baseline, answer, baseline_answer)
    system = _system(judgment, settings)
    fits = _fits(judgment, baseline, question, answer, baseline_answer)
    if fits:
        return Comparison(question, model, baseline, answer, baseline_answer, judgment, "current", system)
    shown = _shown(judgment.games)
    if shown is not None:
        return Comparison(question, model, baseline, shown[1], shown[0], judgment, "prompt", system)
    origin: Origin = "unknown" if fits is None else "changed"
    return Comparison(question, model, baseline, answer, baseline_answer, judgment, origin, system)


def _fits(
    judgment: WholeJudgment,
    baseline: str,
    question: Question | None,
    answer: WholeAnswer | None,
    baseline_answer: WholeAnswer | None,
) -> bool | None:
    """Whether the judgment is of these texts; None if nothing tells."""
    prompts = tuple(None if game is None else _user_text(game) or None for game in judgment.games)
    if question is None or answer is None or baseline_answer is None or not (judgment.inputs or any(prompts)):
        return None
    texts = question.turns, baseline_answer.turns, answer.turns
    stored = StoredJudgment(
        judgment.question_id,
        None,
        None,
        labels=tuple(game.label if game is not None else None for game in judgment.games),
        played=tuple(game is not None for game in judgment.games),
        inputs=judgment.inputs,
        prompts=prompts,
    )
    return is_current(
        stored,
        baseline=baseline,
        inputs=inputs_digest(*texts),
        question_turns=texts[0],
        baseline_turns=texts[1],
        model_turns=texts[2],
    )


def _shown(games: Sequence[WholeGame | None]) -> tuple[WholeAnswer, WholeAnswer] | None:
    """The answers of the baseline and of the model in the prompt of a game, where all forks' template frames them."""
    for at, game in enumerate(games):
        prompt = "" if game is None else _user_text(game)
        start_a, start_b = ANSWER_START.format("A"), ANSWER_START.format("B")
        begins, middle = prompt.find(start_a), prompt.rfind(start_b)
        end_a = prompt.rfind(ANSWER_END.format("A"), begins, middle)
        end_b = prompt.rfind(ANSWER_END.format("B"), middle)
        if -1 in (begins, middle, end_a, end_b):
            continue
        first = WholeAnswer((prompt[begins + len(start_a) : end_a].strip("\n"),))
        second = WholeAnswer((prompt[middle + len(start_b) : end_b].strip("\n"),))
        return (first, second) if at % 2 == 0 else (second, first)
    return None


def _user_text(game: WholeGame) -> str:
    return "\n".join(message.content for message in game.messages)


def _system(judgment: WholeJudgment, settings: dict[str, Any] | None) -> str | None:
    """From the messages if they are whole, else from what the judgment's settings say of the prompt."""
    for game in judgment.games:
        told = [message.content for message in game.messages if message.role == "system"] if game else []
        if told:
            return "\n\n".join(told)
    if settings is None:
        return None
    if isinstance(settings.get("system"), str):
        return str(settings["system"])
    try:
        prompt = opening_prompt(judge_prompt(str(settings.get("prompt"))), _mode(settings))
    except ArenaError:
        return None
    wording = settings_digest(wording_of(prompt, _mode(settings)))
    return prompt.system if settings.get("prompt_digest") == wording else None


def _mode(settings: dict[str, Any]) -> VerdictMode:
    """How verdicts were asked for, by the settings of a judgment."""
    kind = settings.get("verdict")
    return VerdictMode(
        kind if kind in ("constrained", "soft") else "text",
        thinks_first=settings.get("thinking") == "first",
        constrains_reasks=settings.get("reask") == "constrained",
    )
