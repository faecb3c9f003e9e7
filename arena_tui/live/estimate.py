"""How long a plan will take: from the pace that the bench's own records tell, else from an assumed speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from engine.bench import Bench
from engine.bench.pace import answering_pace, judging_pace
from engine.bench.run_files import load_runs
from engine.config.model import Config
from engine.errors import BenchError
from engine.serving.forecast import Turn, turns
from engine.serving.plan import server_plan
from engine.work.plan import Plan

ASSUMED_TOKENS_PER_SECOND = 30.0  # of one call while others run beside it: an 8B model on one GPU gives 20 to 50
ASSUMED_ANSWER_TOKENS = 500  # about the mean of the published answers
ASSUMED_VERDICT_TOKENS = {"simple": 10, "full": 400}
ASSUMED_CUSTOM_VERDICT_TOKENS = 200


class Estimate(msgspec.Struct, frozen=True):
    """`seconds` of a whole plan; `measured` when all of it rests on records of this bench, not on assumptions."""

    seconds: float
    measured: bool

    @property
    def basis(self) -> str:
        """What it rests on, in words."""
        if self.measured:
            return "at this bench's own pace"
        return f"if each call makes {ASSUMED_TOKENS_PER_SECOND:.0f} tokens/s"


def estimate(config: Config, bench: Bench, plan: Plan) -> Estimate:
    """Estimate a plan. Reads times in the files of the bench, so call it in a thread.

    The models of one stage work side by side, so a stage takes as long as its slowest one; servers that have their
    turns one after another take as long as all of them.
    """
    answers, verdicts = _by_model(config, bench, plan)
    seconds = _longest(answers.values()) + _longest(verdicts.values())
    turns = server_turns(config, bench, plan)
    measured = all(estimate.measured for estimate in (*answers.values(), *verdicts.values()))
    return Estimate(max([seconds, *(turn.ends for turn in turns)]), measured and all(turn.measured for turn in turns))


def server_turns(config: Config, bench: Bench, plan: Plan) -> list[Turn]:
    """When each server that a run of the plan starts itself has its turn. Raises ConfigError; call it in a thread."""
    answers, verdicts = _by_model(config, bench, plan)
    servers = server_plan(config, list(dict.fromkeys((*answers, *verdicts))), list(verdicts))
    if not servers.servers:
        return []
    works_for = Counter({name: found.seconds for name, found in answers.items()})
    works_for.update({name: found.seconds for name, found in verdicts.items()})
    return turns(servers, works_for, load_runs(bench.paths.runs), list(verdicts))


def _by_model(config: Config, bench: Bench, plan: Plan) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """How long the calls of each answering model take, and those of each judge."""
    judging: Counter[str] = Counter()
    for task in plan.judgments:
        judging[task.key.judge] += task.calls
    answers = {
        task.key.model: _answers(config, bench, task.key.model, task.calls) for task in plan.answers if task.calls
    }
    return answers, {judge: _verdicts(config, bench, judge, calls) for judge, calls in judging.items() if calls}


def _answers(config: Config, bench: Bench, model: str, calls: int) -> Estimate:
    pace = _pace_or_none(lambda: answering_pace([bench.paths.answers(model)]))
    return Estimate(calls / pace, True) if pace else _assumed(config, model, calls, ASSUMED_ANSWER_TOKENS)


def _verdicts(config: Config, bench: Bench, judge: str, calls: int) -> Estimate:
    files = [bench.paths.judgments(judge, model) for model in bench.judged_models(judge)]
    pace = _pace_or_none(lambda: judging_pace(files))
    if pace:
        return Estimate(calls / pace, True)
    prompt = config.judge.prompt
    tokens = ASSUMED_VERDICT_TOKENS[prompt] if isinstance(prompt, str) else ASSUMED_CUSTOM_VERDICT_TOKENS
    return _assumed(config, judge, calls, tokens)


def _assumed(config: Config, model: str, calls: int, tokens: int) -> Estimate:
    entry = config.models.get(model)
    if entry is None:
        return Estimate(0.0, False)
    places = max(1, len(entry.endpoints))
    seconds = calls * tokens / ASSUMED_TOKENS_PER_SECOND / (entry.parallel * places)
    return Estimate(max(seconds, calls / (entry.rate * places) if entry.rate else 0.0), False)


def _longest(estimates: Iterable[Estimate]) -> float:
    return max((estimate.seconds for estimate in estimates), default=0.0)


def _pace_or_none(read: Callable[[], float | None]) -> float | None:
    try:
        return read()
    except BenchError:  # a file that cannot be read is told by the survey
        return None
