"""What a report shows: results of the functions behind `leaderboard`, `compare` and `audit`, with examples.

Nothing is computed here. A bench of more than `MOST_READ` judgments is audited by its verdicts alone, unless the whole
audit is requested: reading every text again and detecting its language takes minutes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from arena_tui.advice import phrase, phrase_all
from arena_tui.output.leaderboard_columns import baseline_of
from arena_tui.output.report.examples import Example, find_examples
from engine.api import JudgedSource, audit_material, compare, style_rater
from engine.auditing.auditor import Auditor
from engine.auditing.material import material_of_verdicts
from engine.auditing.report import AuditReport
from engine.errors import Advice, AdviceKind, ArenaError, UsageProblem, listed
from engine.noise_sources import noise
from engine.ratings.battles import NullGames
from engine.ratings.compare import Comparison
from engine.ratings.leaderboard import GroupBoard, Leaderboard, LeaderboardOptions
from engine.results import rate
from engine.training_curves import FEWEST_POINTS, checkpoint_steps, curves, trainings_of

if TYPE_CHECKING:
    from engine.config.model import Config
    from engine.ratings.curve_result import CurveReport
    from engine.ratings.noise import NoiseReport

MOST_COMPARED = 20  # models in the matrix of all pairs
MOST_GROUPS = 12  # categories in one table
MOST_READ = 60_000  # judgments whose texts are read for the audit without being asked to
DEFAULT_EXAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """What to report: `origin` is what `source` was opened from, `lender` the config that goes with a file of battles.

    `models` are the models to show (empty: all; the baseline always is). `texts` is whether to read those of all
    judgments: None decides by their number.
    """

    source: JudgedSource
    origin: Config | Path
    options: LeaderboardOptions
    judges: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    examples: int = DEFAULT_EXAMPLES
    texts: bool | None = None
    null_games: NullGames = "keep"
    lender: Config | None = None


@dataclass(frozen=True)
class ReportContent:
    """The parts of a report; what does not apply is None or empty.

    Attributes:
        board: the leaderboard, with its groups where the bench has several categories.
        compared: how many models the comparison is of, where these are not all.
        by_verdicts: the audit has read no texts.
        same_length: the leaderboard with the length of the answers controlled for.
        noise: what questions, answers and judge add to the intervals, where something was repeated.
        curves: the trainings whose checkpoints are among the models.
        pair: the models whose answers the examples show.
        notes: what was left out, and why.
    """

    board: Leaderboard
    comparison: Comparison | None
    compared: int | None
    audit: AuditReport | None
    by_verdicts: bool
    same_length: Leaderboard | None
    pair: tuple[str, str] | None
    examples: Sequence[Example]
    curves: CurveReport | None = None
    noise: NoiseReport | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def groups(self) -> list[GroupBoard]:
        """Return the largest categories that have scores, in the order of the leaderboard."""
        known = [] if self.board.groups is UNSET else [group for group in self.board.groups if group.rows]
        largest = sorted(known, key=lambda group: -group.questions)[:MOST_GROUPS]
        return [group for group in known if group in largest]

    @property
    def groups_left_out(self) -> int:
        """Return how many categories are not among `groups`."""
        return 0 if self.board.groups is UNSET else len(self.board.groups) - len(self.groups)


def gather(request: ReportRequest) -> ReportContent:
    """Return the content of a report. Reads files. Raises ArenaError if there is nothing to rate."""
    source, options, notes = request.source, request.options, list[str]()
    judged = source.judged
    named = {question.category for question in judged.facts.questions} - {""}
    with_groups = msgspec.structs.replace(options, by="category") if len(named) > 1 else options
    board, _ = rate(judged, with_groups)
    _require(request.models, board)
    shown = _only(board, request.models)
    reads_texts = request.texts if request.texts is not None else len(judged.battles) <= 2 * MOST_READ
    comparison, compared = _comparison(source, options, shown, notes)
    audit, by_verdicts = _audit(request, reads_texts, notes)
    pair = _pair(shown, board)
    return ReportContent(
        board=msgspec.structs.replace(shown, warnings=phrase_all(board.warnings)),
        comparison=comparison,
        compared=compared,
        audit=audit,
        by_verdicts=by_verdicts,
        same_length=_same_length(source, options, request.models, notes) if reads_texts else None,
        pair=pair,
        examples=find_examples(source, pair, request.examples, options, notes) if pair and request.examples else (),
        curves=_curves(request),
        noise=_noise(request),
        notes=tuple(notes),
    )


def _require(models: Sequence[str], board: Leaderboard) -> None:
    """Raise UsageProblem for a model that is not on the leaderboard."""
    known = [row.model for row in board.rows]
    for name in models:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {listed(known, 12)}"
            raise UsageProblem(f"{name!r} is not on the leaderboard", Advice(hint, AdviceKind.MODELS))


def _only(board: Leaderboard, models: Sequence[str]) -> Leaderboard:
    """Return the leaderboard with the rows of some models and of the baseline alone; their ranks are of all."""
    if not models:
        return board
    groups = board.groups
    if groups is not UNSET:
        groups = [
            msgspec.structs.replace(
                group, rows=[row for row in group.rows if row.model in (*models, baseline_of(board, group))]
            )
            for group in groups
        ]
    rows = [row for row in board.rows if row.model in (*models, board.baseline)]
    return msgspec.structs.replace(board, rows=rows, groups=groups)


def _comparison(
    source: JudgedSource, options: LeaderboardOptions, board: Leaderboard, notes: list[str]
) -> tuple[Comparison | None, int | None]:
    """Compare the models of the board, of many the best; return also how many where these are not all."""
    names = [row.model for row in board.rows]
    if len(names) < 2:
        return None, None
    chosen = names[:MOST_COMPARED]
    if board.baseline in names and board.baseline not in chosen:
        chosen[-1] = board.baseline
    try:
        found = compare(
            source, *chosen, rounds=options.rounds, seed=options.seed, weight=options.weight, soft=options.soft
        )
    except ArenaError as error:
        notes.append(f"no comparison of all pairs: {error.title}")
        return None, None
    return found, len(chosen) if len(chosen) < len(names) else None


def _audit(request: ReportRequest, reads_texts: bool, notes: list[str]) -> tuple[AuditReport | None, bool]:
    """Audit the judges; return also whether by their verdicts alone."""
    source, options = request.source, request.options
    try:
        if not reads_texts and source.bench is not None:
            material = material_of_verdicts(source.judged, source.bench)
            return Auditor(material, options).report(), True
        material, rating = audit_material(
            request.origin,
            request.judges,
            "" if source.judged.facts.by_category else source.baseline,
            weight=options.weight,
            rounds=options.rounds,
            seed=options.seed,
            strict=source.strict,
            null_games=request.null_games,
            lender=request.lender,
        )
        found = Auditor(material, rating).report()
    except ArenaError as error:
        notes.append(f"no audit of the judge: {phrase(error.title)}")
        return None, False
    return found, False


def _same_length(
    source: JudgedSource, options: LeaderboardOptions, models: Sequence[str], notes: list[str]
) -> Leaderboard | None:
    """Rate with the length of the answers controlled for; None where the answers are not known."""
    if source.answers is None:
        return None
    try:
        rater, _ = style_rater(source, ("length",))
        board, _ = rate(source.judged, options, rater)
    except ArenaError as error:
        notes.append(f"no scores at equal length: {error.title}")
        return None
    return _only(board, models)


def _curves(request: ReportRequest) -> CurveReport | None:
    """Return the curves of the trainings that have at least two checkpoints here; None without any."""
    source, options = request.source, request.options
    config = request.lender if isinstance(request.origin, Path) else request.origin
    steps = checkpoint_steps(source, config)
    if not any(len(found) >= FEWEST_POINTS for found in trainings_of(steps).values()):
        return None
    with suppress(ArenaError):  # as where no two were judged
        return curves(
            source, config=config, models=request.models, seed=options.seed, weight=options.weight, soft=options.soft
        )
    return None


def _noise(request: ReportRequest) -> NoiseReport | None:
    """Return the sources of the noise of every score; None where nothing was answered or judged again."""
    source, options = request.source, request.options
    with suppress(ArenaError):
        found = noise(source, rounds=options.rounds, seed=options.seed, weight=options.weight, soft=options.soft)
        rows = [row for row in found.rows if not request.models or row.model in request.models]
        return msgspec.structs.replace(found, rows=rows) if rows else None
    return None


def _pair(board: Leaderboard, whole: Leaderboard) -> tuple[str, str] | None:
    """Return the models of the leading verdict, or the two best that are shown."""
    shown = [row.model for row in board.rows]
    answer = whole.answer
    if answer is not UNSET and {answer.model_a, answer.model_b} <= {*shown}:
        return answer.model_a, answer.model_b
    return (shown[0], shown[1]) if len(shown) > 1 else None
