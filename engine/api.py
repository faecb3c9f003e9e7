"""The functions of the public API: the leaderboard, a comparison, a study plan and the audit of a bench.

Each takes a source and returns one result, the same that the command line prints. A source is a `Config`, a `Bench`,
or a path: of a bench folder, or of a published file of battles. A config names its judges and baselines; for a bench
without one the judges are all that judged there, and the baseline must be named.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from engine.bench import Bench
from engine.config.load import parse_config
from engine.config.model import Config
from engine.errors import Advice, AdviceKind, BenchError, UsageProblem, listed
from engine.labels import DEFAULT_WEIGHT
from engine.pairing import Pairing
from engine.ratings.battles import Battles, NullGames, common_opponent
from engine.ratings.estimate import BenchFacts, CiKind, RatingOptions, rate_battles
from engine.ratings.leaderboard import GroupKind, Leaderboard, LeaderboardOptions, Rater
from engine.results import JudgedBench, judged_bench, rate, read_style, refuse_partial_baselines
from engine.token_lengths import comparable_lengths

if TYPE_CHECKING:  # each function loads what it alone needs
    from engine.auditing.material import Material
    from engine.auditing.report import AuditReport
    from engine.ratings.compare import Comparison
    from engine.ratings.power import StudyPlan

Names: TypeAlias = str | Sequence[str]
StyleWord: TypeAlias = Literal["length", "markdown"]


@dataclass(frozen=True)
class JudgedSource:
    """An opened source: its battles, the model at 50, and the weight of a strong label unless another is asked for.

    `bench` holds the judgments (None for a file of battles), `answers` the answers behind the battles, if known.
    """

    judged: JudgedBench
    baseline: str
    weight: int
    bench: Bench | None = None
    answers: Bench | None = None
    strict: bool = False


Source: TypeAlias = Config | Bench | JudgedSource | str | PathLike[str]


def leaderboard(
    source: Source,
    *,
    judges: Names = (),
    baseline: Names = (),
    style: Sequence[StyleWord] = (),
    ci: CiKind = "question",
    rounds: int = 1000,
    seed: int = 42,
    weight: int | None = None,
    first_game_only: bool = False,
    soft: bool = False,
    elo: bool = False,
    full_stats: bool = False,
    by: GroupKind | None = None,
) -> Leaderboard:
    """Rate every judged model against the baseline, with 95 % intervals.

    Of several baselines the first is at 50; games against any of them count. Raises ArenaError if there is nothing to
    rate. Options:

        style                        what to control for: "length", "markdown"
        ci                           what the bootstrap resamples, or "sandwich" for clustered standard errors
        rounds, seed                 of the bootstrap
        weight                       how many battles a strong label counts (3, or what the file of battles says)
        first_game_only              leave out the games with swapped places
        soft                         rate expected outcomes, by the judge's probabilities of its verdicts
        elo, full_stats, by          add Elo ratings, further statistics, a leaderboard for each category or cluster
    """
    opened = open_source(source, judges, baseline)
    options = LeaderboardOptions(
        baseline=opened.baseline,
        ci=ci,
        rounds=rounds,
        seed=seed,
        weight=weight or opened.weight,
        first_game_only=first_game_only,
        soft=soft,
        elo=elo,
        full_stats=full_stats,
        by=by,
    )
    rater, notes = style_rater(opened, style) if style else (rate_battles, [])
    board, _ = rate(opened.judged, options, rater)
    return msgspec.structs.replace(board, warnings=[*map(str, board.warnings), *notes])


def compare(
    source: Source,
    *models: str,
    judges: Names = (),
    baseline: Names = (),
    direct: bool = False,
    rounds: int = 1000,
    seed: int = 42,
    weight: int | None = None,
    soft: bool = False,
    margin: float | None = None,
) -> Comparison:
    """Compare models pairwise on the same questions; none named: all.

    `margin` is the difference, in points, below which two models count as equivalent.
    With `direct`, games that were judged between the named models count as well. Raises ArenaError.
    """
    from engine.ratings.compare import compare as compare_battles

    opened = open_source(source, judges, baseline)
    refuse_partial_baselines(opened.judged, models)
    options = RatingOptions(
        baseline=opened.baseline, rounds=rounds, seed=seed, weight=weight or opened.weight, soft=soft
    )
    games = _direct_games(opened, models) if direct else []
    result = compare_battles(opened.judged.battles, options, opened.judged.facts, models, games, margin)
    return msgspec.structs.replace(result, warnings=[*map(str, opened.judged.warnings), *result.warnings])


def plan(
    source: Source,
    differences: Sequence[float] = (10.0, 5.0, 3.0),
    *,
    power: float = 0.8,
    judges: Names = (),
    baseline: Names = (),
    weight: int | None = None,
    soft: bool = False,
) -> StudyPlan:
    """Estimate how many questions, calls and seconds it takes to detect each difference (in points).

    The judgments of the source are the pilot. Raises ArenaError.
    """
    from engine.bench.pace import measured_pace
    from engine.ratings.power import plan_study

    opened = open_source(source, judges, baseline)
    options = RatingOptions(baseline=opened.baseline, weight=weight or opened.weight, soft=soft)
    facts = opened.judged.facts
    pace = measured_pace(opened.bench, facts.judges)
    study = plan_study(opened.judged.battles, options, facts, differences, power, pace)
    return msgspec.structs.replace(study, warnings=[*map(str, opened.judged.warnings), *study.warnings])


def audit(
    source: Config | Bench | str | PathLike[str],
    *,
    judges: Names = (),
    baseline: str = "",
    weight: int | None = None,
    rounds: int = 1000,
    seed: int = 42,
    strict: bool = False,
    null_games: NullGames = "keep",
) -> AuditReport:
    """Report the biases of each judge, and how far it agrees with itself, other judges and people. Makes no calls.

    Raises ArenaError if there is nothing to audit.
    """
    from engine.auditing.auditor import Auditor

    material, options = audit_material(
        source, judges, baseline, weight=weight, rounds=rounds, seed=seed, strict=strict, null_games=null_games
    )
    report = Auditor(material, options).report()
    return msgspec.structs.replace(report, warnings=[str(warning) for warning in report.warnings])


# -- Sources


def open_source(
    source: Source,
    judges: Names = (),
    baselines: Names = (),
    *,
    strict: bool = False,
    null_games: NullGames = "keep",
    lender: Config | None = None,
) -> JudgedSource:
    """Read the battles of a source. The bench of `lender` lends questions and answers to a file of battles.

    `strict` leaves out judgments that cannot be checked against today's texts, `null_games="drop-pair"` both games of a
    pair of which one has no label.

    Raises ArenaError if there is nothing to rate.
    """
    if isinstance(source, JudgedSource):
        return source
    if (file := _battles_path(source)) is not None:
        return _open_battles(file, _tuple(baselines), lender)
    bench, config = _bench_of(source, _tuple(judges), _tuple(baselines))
    judged = judged_bench(bench, tuple(config.judge.model), config.judge.pairing, strict=strict)
    judged = judged.with_null_games(null_games)
    if isinstance(source, Config) and not baselines:
        judged = _with_published(judged, config.judge.pairing)
    if bench.paths.probes.exists():
        from engine.auditing.known_bad import with_known_bad

        judged = with_known_bad(judged, bench, config if isinstance(source, Config) else None)
    return JudgedSource(judged, judged.facts.baselines[0], DEFAULT_WEIGHT, bench, bench, strict=strict)


def _with_published(judged: JudgedBench, pairing: Pairing) -> JudgedBench:
    """Add a warning where the config has another baseline for a category than arena-hard-auto has."""
    from engine.formats.original_categories import unlike_published

    found = [*unlike_published({question.category for question in judged.facts.questions}, pairing)]
    return replace(judged, warnings=[*judged.warnings, *found]) if found else judged


def audit_material(
    source: Config | Bench | str | PathLike[str],
    judges: Names,
    baseline: str,
    *,
    weight: int | None,
    rounds: int,
    seed: int,
    strict: bool = False,
    null_games: NullGames = "keep",
    lender: Config | None = None,
) -> tuple[Material, RatingOptions]:
    """Read what an audit examines; parameters as for `audit` and `open_source`. Raises ArenaError."""
    from engine.auditing.material import material_of_battles, material_of_bench
    from engine.formats.battles_file import load_battles

    chosen = _tuple(judges)
    if (file := _battles_path(source)) is not None:
        if len(chosen) > 1:
            hint = Advice("name only the judge of the file, or none", AdviceKind.JUDGES)
            raise UsageProblem(f"{file}: a file of battles has one judge, not {len(chosen)}", hint)
        loaded = load_battles(file)
        lent = _lent_bench(lender)
        known = (lent, lender) if lent is not None and lender is not None else None
        problems = [str(problem) for problem in loaded.problems]
        material = material_of_battles(file.stem, loaded.battles, chosen[0] if chosen else None, known, problems)
        named = baseline or _common_baseline(file, loaded.battles)
        weight = weight or loaded.weight
    else:
        bench, config = _bench_of(source, chosen, _tuple(baseline))
        judging = config.judge
        material = material_of_bench(
            bench, config, tuple(judging.model), judging.pairing.first, strict=strict, null_games=null_games
        )
        named = material.baseline
    return material, RatingOptions(baseline=named, weight=weight or DEFAULT_WEIGHT, rounds=rounds, seed=seed)


def style_rater(source: JudgedSource, words: Sequence[str]) -> tuple[Rater, list[str]]:
    """Return a rater that controls for style, and warnings about the answers. Raises UsageProblem without answers."""
    from engine.ratings.style import rate_with_style

    if source.answers is None:
        hint = Advice("open the config of their bench as well, or leave style out", AdviceKind.CONFIG, AdviceKind.STYLE)
        raise UsageProblem("style control needs the answers, which a file of battles does not hold", hint)
    counts, notes = read_style(source.answers, source.judged.battles.models, source.judged.facts)
    return partial(rate_with_style, words=tuple(words), style=counts), notes


def _tuple(names: Names) -> tuple[str, ...]:
    if isinstance(names, str):
        return (names,) if names else ()
    return tuple(names)


def _battles_path(source: Source) -> Path | None:
    """Return the path of a file of battles; None for any other source, a folder among them."""
    path = Path(source) if isinstance(source, str | PathLike) else None
    return None if path is None or path.is_dir() else path


def _bench_of(
    source: Config | Bench | str | PathLike[str], judges: tuple[str, ...], baselines: tuple[str, ...]
) -> tuple[Bench, Config]:
    """Return the bench of a source, and its config with the judges and baselines that were asked for."""
    if isinstance(source, Config):
        judging = {"model": list(judges or source.judge.model)}
        config = source.with_baselines(baselines)
        config = config.model_copy(update={"judge": config.judge.model_copy(update=judging)})
        return Bench.open(config.data, config.bench), config
    if isinstance(source, Bench):
        bench = source
    else:
        folder = Path(source).resolve()
        bench = Bench.open(folder.parent, folder.name)
    chosen = judges or tuple(bench.judges())
    if not chosen:
        raise BenchError(f"{bench.paths.root}: no judgments", Advice("create them first", AdviceKind.RUN))
    if not baselines:
        raise UsageProblem(f"{bench.paths.root}: no baseline named", Advice("name one", AdviceKind.BASELINE))
    document = {
        "bench": bench.name,
        "data": str(bench.paths.root.resolve().parent),
        "judge": {"model": list(chosen), "baseline": list(baselines)},
        "models": {name: {} for name in (*chosen, *baselines)},
    }
    return bench, parse_config(document, environ={})


def _lent_bench(lender: Config | None) -> Bench | None:
    if lender is None or not (lender.data / lender.bench).is_dir():
        return None
    return Bench.open(lender.data, lender.bench)


def _open_battles(file: Path, baselines: tuple[str, ...], lender: Config | None) -> JudgedSource:
    from engine.formats.battles_file import load_battles

    loaded = load_battles(file)
    battles = loaded.battles
    answers = _lent_bench(lender)
    facts = (_facts(answers, battles) if answers is not None else None) or BenchFacts(name=file.stem)
    if not baselines and lender is not None and common_opponent(battles) is None:
        facts = _with_pairing(facts, lender.judge.pairing)
    if facts.by_category:
        battles, named = battles.under_one_name(facts.own_baselines, facts.baselines[0]), facts.baselines[0]
    else:
        named = baselines[0] if baselines else _common_baseline(file, battles)
        facts = msgspec.structs.replace(facts, baselines=baselines)
    if len(baselines) > 1:
        battles = battles.where(battles.with_any_of(baselines))
    warnings = [str(problem) for problem in loaded.problems]
    if unmet := [name for name in baselines[1:] if name not in battles.models]:
        warnings.append(f"no battle has {listed(unmet)} in it")
    return JudgedSource(JudgedBench(battles, facts, warnings), named, loaded.weight or DEFAULT_WEIGHT, answers=answers)


def _with_pairing(facts: BenchFacts, pairing: Pairing) -> BenchFacts:
    """Add the baseline of each category, where a config has different ones for the questions."""
    pairing = pairing.on({question.category for question in facts.questions})
    if not pairing.is_split:
        return facts
    by_category = {question.category: pairing.of(question.category)[0] for question in facts.questions}
    return msgspec.structs.replace(facts, baselines=(pairing.anchor,), by_category=dict(sorted(by_category.items())))


def _common_baseline(file: Path, battles: Battles) -> str:
    named = common_opponent(battles)
    if named is None:
        hint = Advice("name the baseline", AdviceKind.BASELINE)
        raise UsageProblem(f"{file}: no model takes part in every battle", hint)
    return named


def _facts(bench: Bench, battles: Battles) -> BenchFacts | None:
    """Return what a bench knows of the battles of a file; None if it has none of their questions."""
    questions = tuple(bench.questions().items)
    if not {question.id for question in questions} & set(battles.questions):
        return None
    lengths, _, _ = comparable_lengths(bench.index, battles.models)
    return BenchFacts(name=bench.paths.name, questions=questions, token_lengths=lengths)


# -- What a comparison and a plan read beside the battles


def _direct_games(source: JudgedSource, models: Sequence[str]) -> list[Battles]:
    """Return the games with one of the models in the baseline's place; those of a file are among its others."""
    if source.bench is None:
        return []
    if len(models) < 2:
        raise UsageProblem("direct games need at least two models by name")
    found = []
    for baseline in models:
        with suppress(BenchError):  # none were judged against this one
            read = judged_bench(source.bench, source.judged.facts.judges, baseline, strict=source.strict)
            judged = read.with_null_games(source.judged.null_games).battles
            if baseline != source.baseline and len(set(models) & set(judged.models)) > 1:
                found.append(judged)
    if not found:
        hint = Advice("judge them first", AdviceKind.RUN_AGAINST, values=(models[0], ",".join(models[1:])))
        raise UsageProblem(f"no game was judged directly between {' and '.join(models)}", hint)
    return found
