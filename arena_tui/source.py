"""Where the commands that rate get their battles: the judgments of the config's bench, or a published file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from arena_tui.invocation import DEFAULT_CONFIG, Invocation
from engine.bench import Bench
from engine.errors import UsageProblem, listed
from engine.formats import battles_file
from engine.labels import DEFAULT_WEIGHT
from engine.ratings.battles import common_opponent
from engine.ratings.leaderboard import BenchFacts
from engine.results import JudgedBench, judged_bench


@dataclass(frozen=True)
class Source:
    """Battles, the model they are rated against, and what a strong verdict counts unless the user says otherwise.

    `bench` is the bench whose judgments they are; None for those of a file.
    """

    judged: JudgedBench
    baseline: str
    weight: int
    bench: Bench | None = None


def open_source(
    invocation: Invocation, battles: Path | None, judges: tuple[str, ...], baselines: tuple[str, ...]
) -> Source:
    """The battles of the file, if one is named, else the judgments of the config's bench by `judges`.

    Of several baselines the first anchors the scores, and games against any of them count. Where nothing is named it is
    the config's. Raises ArenaError where there is nothing to rate.
    """
    return _published(invocation, battles, baselines) if battles else _own(invocation, judges, baselines)


def _own(invocation: Invocation, judges: tuple[str, ...], baselines: tuple[str, ...]) -> Source:
    config = invocation.config(keys=False)
    names = baselines or tuple(config.judge.baselines)
    bench = Bench.open(config.data, config.bench)
    return Source(judged_bench(bench, judges or tuple(config.judge.model), names), names[0], DEFAULT_WEIGHT, bench)


def _published(invocation: Invocation, path: Path, baselines: tuple[str, ...]) -> Source:
    """The bench of the config lends its questions and answer lengths, if it is the same one."""
    loaded = battles_file.load_battles(path)
    battles = loaded.battles
    named = baselines[0] if baselines else common_opponent(battles)
    if named is None:
        raise UsageProblem(f"{path}: no model takes part in every battle", "name the baseline with --baseline")
    if len(baselines) > 1:
        battles = battles.where(battles.with_any_of(baselines))
    facts = BenchFacts(name=path.stem)
    if invocation.config_path or DEFAULT_CONFIG.exists():
        facts = _facts_of_bench(invocation, battles.questions, battles.models) or facts
    facts = msgspec.structs.replace(facts, baselines=baselines)
    warnings = [str(problem) for problem in loaded.problems]
    if unmet := [name for name in baselines[1:] if name not in battles.models]:
        warnings.append(f"no battle has {listed(unmet)} in it")
    judged = JudgedBench(battles, facts, warnings)
    return Source(judged, named, loaded.weight or DEFAULT_WEIGHT)


def _facts_of_bench(
    invocation: Invocation, question_ids: tuple[str, ...], models: tuple[str, ...]
) -> BenchFacts | None:
    config = invocation.config(keys=False)
    if not (config.data / config.bench).is_dir():
        return None
    bench = Bench.open(config.data, config.bench)
    questions = tuple(bench.questions().items)
    if not {question.id for question in questions} & set(question_ids):
        return None
    lengths = {model: bench.token_lengths(model).items for model in models}
    return BenchFacts(name=bench.paths.name, questions=questions, token_lengths=lengths)
