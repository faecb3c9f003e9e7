"""What a plan will take in tokens, money and server hours, and what a run has spent.

Prices are those of the config, per million tokens. Tokens to come are estimated from the latest records of the same
model (a pilot), else from the length of the texts and an assumed length of replies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec

from engine.bench import Bench
from engine.bench.layout import BenchPaths
from engine.config.model import Config
from engine.config.servers import PriceConfig
from engine.errors import UsageProblem
from engine.events import CallEnded, Event
from engine.opening import open_regular
from engine.records import Usage
from engine.work.duration import ASSUMED_ANSWER_TOKENS, assumed_verdict_tokens
from engine.work.plan import Plan
from engine.work.progress import EndpointKey, EndpointState
from engine.work.tasks import Task

MILLION = 1_000_000
FEWEST_PILOTS = 5  # calls from which a mean is taken
_TAIL = 4 << 20  # bytes of a file of records that are looked at


@dataclass(frozen=True)
class ExpectedUse:
    """The calls to one model of the config that a plan needs, and their tokens.

    `measured` if the tokens rest on records of the model. `cost` is None for a model without a price.
    """

    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    measured: bool
    cost: float | None


class _Line(msgspec.Struct):
    usage: Usage | None = None
    choices: list[msgspec.Raw] | None = None
    games: list[_GameLine | None] | None = None


class _GameLine(msgspec.Struct):
    usage: Usage | None = None
    asks: int = 1


_decoder = msgspec.json.Decoder(_Line)


def expected_use(config: Config, bench: Bench, plan: Plan) -> list[ExpectedUse]:
    """Estimate the calls of every model with work; those that answer first. Reads files: call it in a thread."""
    found = []
    for task in plan.answers:
        if task.calls:
            pilots = list(_answer_calls(bench.paths.answers(task.key.model)))
            assumed = min(ASSUMED_ANSWER_TOKENS, _limit(task))
            found.append(_expected(config, task.key.model, [task], pilots, assumed))
    for judge in dict.fromkeys(task.key.judge for task in plan.judgments if task.calls):
        tasks = [task for task in plan.judgments if task.key.judge == judge and task.calls]
        pilots = [usage for file in _files_of(bench.paths, judge) for usage in _judge_calls(file)]
        found.append(_expected(config, judge, tasks, pilots, min(assumed_verdict_tokens(config), _limit(tasks[0]))))
    return found


def expected_cost(use: Iterable[ExpectedUse]) -> float | None:
    """Return what all calls are expected to cost; None where no model has a price."""
    costs = [each.cost for each in use if each.cost is not None]
    return sum(costs) if costs else None


def cost_of_call(config: Config, bench: Bench, model: str, *, judging: bool) -> float | None:
    """Return what a call of a model is expected to cost, by its latest records, else by assumed lengths.

    None without a price. Reads files: call it in a thread.
    """
    entry = config.models.get(model)
    if entry is None or entry.price is None:
        return None
    files = _files_of(bench.paths, model) if judging else [bench.paths.answers(model)]
    pilots = [usage for file in files for usage in (_judge_calls if judging else _answer_calls)(file)]
    written = assumed_verdict_tokens(config) if judging else ASSUMED_ANSWER_TOKENS
    usage = Usage((3 if judging else 1) * ASSUMED_ANSWER_TOKENS, written)
    if len(pilots) >= FEWEST_PILOTS:
        usage = Usage(
            round(fmean(each.prompt_tokens for each in pilots)), round(fmean(each.completion_tokens for each in pilots))
        )
    return cost_of(entry.price, usage)


def cost_of(price: PriceConfig | None, usage: Usage) -> float | None:
    """Return what tokens cost; None without a price."""
    if price is None:
        return None
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    of_cached = price.input if price.cached is None else price.cached
    spent = (usage.prompt_tokens - cached) * price.input + cached * of_cached + usage.completion_tokens * price.output
    return spent / MILLION


def spent_by(config: Config, traffic: Mapping[EndpointKey, EndpointState]) -> dict[str, float]:
    """Return what the calls of a run have cost so far, by model; models without a price are left out."""
    spent: dict[str, float] = {}
    for (model, _), seen in traffic.items():
        entry = config.models.get(model)
        usage = Usage(seen.prompt_tokens, seen.completion_tokens, cached_tokens=seen.cached_tokens)
        cost = cost_of(entry.price if entry else None, usage)
        if cost is not None:
            spent[model] = spent.get(model, 0.0) + cost
    return spent


class Spending:
    """Adds up what the calls of a run cost, and calls `exceeded` once when that reaches `most`.

    Raises UsageProblem where no model that is called has a price.
    """

    def __init__(self, config: Config, plan: Plan, most: float, exceeded: Callable[[float], None]) -> None:
        self.total = 0.0
        self._prices = {name: entry.price for name, entry in config.models.items() if entry.price is not None}
        self._most = most
        self._exceeded = exceeded
        self._is_over = False
        called = {task.key.judge or task.key.model for task in plan.tasks if task.has_work}
        if called and not called & self._prices.keys():
            raise UsageProblem(
                f"a limit of cost needs prices, and none of {', '.join(sorted(called))} has one",
                "add price = { input = 2.5, output = 10.0 } (per million tokens) to their tables in the config",
            )

    def handle(self, event: Event) -> None:
        """Count the tokens of a call that has ended."""
        if not isinstance(event, CallEnded) or event.usage is None:
            return
        self.total += cost_of(self._prices.get(event.model), event.usage) or 0.0
        if self.total >= self._most and not self._is_over:
            self._is_over = True
            self._exceeded(self.total)


def _expected(config: Config, model: str, tasks: list[Task], pilots: list[Usage], assumed: int) -> ExpectedUse:
    calls = sum(task.calls for task in tasks)
    prompt, completion = sum(task.prompt_tokens for task in tasks), calls * assumed
    measured = len(pilots) >= FEWEST_PILOTS
    if measured:
        prompt = round(calls * fmean(usage.prompt_tokens for usage in pilots))
        completion = round(calls * fmean(usage.completion_tokens for usage in pilots))
    elif awaited := sum(task.awaited_calls(each) for task in tasks for each in task.awaited):
        planned = calls - awaited  # the prompts of the others are not there to be measured
        mean = prompt / planned if planned > 0 and prompt else 3.0 * ASSUMED_ANSWER_TOKENS
        prompt = round(mean * calls)
    entry = config.models.get(model)
    cost = cost_of(entry.price if entry else None, Usage(prompt, completion))
    return ExpectedUse(model, calls, prompt, completion, measured, cost)


def _limit(task: Task) -> int:
    """Return the most tokens of one reply."""
    calls = sum(job.calls() for job in task.jobs)
    return task.max_completion_tokens // calls if calls and task.max_completion_tokens else ASSUMED_ANSWER_TOKENS


def _files_of(paths: BenchPaths, judge: str) -> Iterator[Path]:
    for model in paths.judged_models(judge):
        yield paths.judgments(judge, model)


def _answer_calls(file: Path) -> Iterator[Usage]:
    for line in _last_lines(file):
        if line.usage is not None and line.choices:
            yield _share(line.usage, len(line.choices))


def _judge_calls(file: Path) -> Iterator[Usage]:
    for line in _last_lines(file):
        for game in line.games or ():
            if game is not None and game.usage is not None and game.asks > 0:
                yield _share(game.usage, game.asks)


def _share(usage: Usage, calls: int) -> Usage:
    return Usage(usage.prompt_tokens // calls, usage.completion_tokens // calls)


def _last_lines(file: Path) -> Iterator[_Line]:
    """Yield the last records of a file that can be read: an estimate needs no others."""
    try:
        with open_regular(file) as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL))
            lines = stream.read(_TAIL).split(b"\n")
    except OSError:
        return
    for line in lines[1 if size > _TAIL else 0 :]:
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
