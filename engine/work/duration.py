"""How long a plan will take, from the pace of the bench's own records, else from an assumed speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from engine.bench import Bench
from engine.bench.pace import answering_pace, judging_pace
from engine.bench.run_files import load_runs
from engine.config.model import Config
from engine.errors import BenchError
from engine.serving.forecast import ServerTurn, turns
from engine.serving.plan import server_plan
from engine.work.plan import Plan

ASSUMED_TOKENS_PER_SECOND = 30.0  # of one call while others run beside it: an 8B model on one GPU gives 20 to 50
ASSUMED_ANSWER_TOKENS = 500  # about the mean of the published answers
ASSUMED_VERDICT_TOKENS = {"simple": 10, "full": 400, "creative": 300}
ASSUMED_CUSTOM_VERDICT_TOKENS = 200


class Duration(msgspec.Struct, frozen=True):
    """An estimated duration of a whole plan, in seconds. `measured` if it rests on records of this bench alone."""

    seconds: float
    measured: bool

    @property
    def basis(self) -> str:
        """Describe what the estimate rests on."""
        if self.measured:
            return "at this bench's own pace"
        return f"if each call makes {ASSUMED_TOKENS_PER_SECOND:.0f} tokens/s"


def estimate_duration(config: Config, bench: Bench, plan: Plan) -> Duration:
    """Estimate how long a plan takes. Reads times in the files of the bench, so call it in a thread.

    The models of one stage work side by side, so a stage takes as long as its slowest one; servers that have their
    turns one after another take as long as all of them.
    """
    answers, verdicts = _by_model(config, bench, plan)
    seconds = _longest(answers.values()) + _longest(verdicts.values())
    forecast = _turns(config, bench, answers, verdicts)
    measured = all(duration.measured for duration in (*answers.values(), *verdicts.values()))
    ends = [turn.ends for turn in forecast]
    return Duration(max([seconds, *ends]), measured and all(turn.measured for turn in forecast))


def seconds_of_call(config: Config, bench: Bench, model: str, *, judging: bool) -> float:
    """Estimate the seconds that a call of a model takes while others run beside it; call it in a thread."""
    estimate = _verdicts if judging else _answers
    return estimate(config, bench, model, 1).seconds


def server_turns(config: Config, bench: Bench, plan: Plan) -> list[ServerTurn]:
    """Forecast when each server that a run of the plan starts has its turn. Raises ConfigError; call it in a thread."""
    return _turns(config, bench, *_by_model(config, bench, plan))


def _turns(
    config: Config, bench: Bench, answers: Mapping[str, Duration], verdicts: Mapping[str, Duration]
) -> list[ServerTurn]:
    servers = server_plan(config, list(dict.fromkeys((*answers, *verdicts))), list(verdicts))
    if not servers.servers:
        return []
    works_for = Counter({name: found.seconds for name, found in answers.items()})
    works_for.update({name: found.seconds for name, found in verdicts.items()})
    return turns(servers, works_for, load_runs(bench.paths.runs), list(verdicts))


def _by_model(config: Config, bench: Bench, plan: Plan) -> tuple[dict[str, Duration], dict[str, Duration]]:
    """Estimate the calls of each answering model and of each judge."""
    judging: Counter[str] = Counter()
    for task in plan.judgments:
        judging[task.key.judge] += task.calls
    answers = {
        task.key.model: _answers(config, bench, task.key.model, task.calls) for task in plan.answers if task.calls
    }
    return answers, {judge: _verdicts(config, bench, judge, calls) for judge, calls in judging.items() if calls}


def _answers(config: Config, bench: Bench, model: str, calls: int) -> Duration:
    pace = _pace_or_none(lambda: answering_pace(bench.index, [model]))
    return Duration(calls / pace, True) if pace else _assumed(config, model, calls, ASSUMED_ANSWER_TOKENS)


def _verdicts(config: Config, bench: Bench, judge: str, calls: int) -> Duration:
    pace = _pace_or_none(lambda: judging_pace(bench.index, [judge]))
    if pace:
        return Duration(calls / pace, True)
    return _assumed(config, judge, calls, assumed_verdict_tokens(config))


def assumed_verdict_tokens(config: Config) -> int:
    """Return the tokens of a verdict by the judge prompt, where none was measured."""
    prompt = config.judge.prompt
    return ASSUMED_VERDICT_TOKENS[prompt] if isinstance(prompt, str) else ASSUMED_CUSTOM_VERDICT_TOKENS


def _assumed(config: Config, model: str, calls: int, tokens: int) -> Duration:
    entry = config.models.get(model)
    if entry is None:
        return Duration(0.0, False)
    endpoints = max(1, len(entry.addresses))
    seconds = calls * tokens / ASSUMED_TOKENS_PER_SECOND / (entry.parallel * endpoints)
    return Duration(max(seconds, calls / (entry.rate * endpoints) if entry.rate else 0.0), False)


def _longest(durations: Iterable[Duration]) -> float:
    return max((duration.seconds for duration in durations), default=0.0)


def _pace_or_none(read: Callable[[], float | None]) -> float | None:
    try:
        return read()
    except BenchError:  # the plan reports a file that cannot be read
        return None
