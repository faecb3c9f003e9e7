"""A comparison as text for stdout: in words for two models, tables for more, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from arena_tui.output.json_text import json_text
from arena_tui.output.leaderboard_columns import further_baselines, known_bad_phrases, soft_phrase
from arena_tui.output.tables import TableColumn, fitted, text_table
from arena_tui.output.verdict import pair_words, without_unicode
from arena_tui.safe_text import one_line
from engine.ratings.compare import Comparison, PairComparison, RankedModel
from engine.ratings.outcomes import SoftReport
from engine.ratings.paired import DirectGames

CompareFormat: TypeAlias = Literal["table", "json"]
RANKS_WORDS = "The ranks a model can have (can be) hold for all models at once, with 95% confidence."
_DROPPED_FIRST = ("questions", "won/tied/lost %", "verdict")


def format_comparison(result: Comparison, form: CompareFormat, *, width: int = 120, ascii_only: bool = False) -> str:
    """Return text that ends with a newline. Only the JSON contains the warnings.

    Names can neither control a terminal nor break a line.
    """
    if form == "json":
        return json_text(result)
    parts = [_headline(result)]
    if len(result.models) == 2 and result.pairs:
        parts.insert(0, in_words(result.pairs[0]))
    elif result.models:
        parts.append(text_table(_rank_columns(result)))
    if result.pairs:
        parts.append(
            text_table(fitted(pair_columns(result.pairs), width, _DROPPED_FIRST, ellipsis="~" if ascii_only else "…"))
        )
    if len(result.models) > 2:
        parts.append(f"{separable_words(result)}\n{RANKS_WORDS}")
    text = "\n\n".join(parts) + "\n"
    return without_unicode(text) if ascii_only else text


def _headline(result: Comparison) -> str:
    phrases = [one_line(result.bench)]
    if result.judges:
        phrases.append(f"judge{'s' if len(result.judges) > 1 else ''} {', '.join(map(one_line, result.judges))}")
    phrases.append(f"scores against {one_line(result.baseline)}")
    phrases += further_baselines(result.baselines)
    phrases.append(f"paired by question, 95% CI from {result.rounds} rounds")
    if isinstance(result.soft, SoftReport):
        phrases.append(soft_phrase(result.soft))
    return " · ".join([*phrases, *known_bad_phrases(result.known_bad)])


def in_words(pair: PairComparison) -> str:
    """Answer "is a better than b?", one sentence for each kind of evidence."""
    lines = [
        f"{pair_words(pair)}.",
        f"95% CI [{pair.lower:.1f}, {pair.upper:.1f}] ({_p(pair.p_value)}, {pair.questions} questions).",
        f"{one_line(pair.model_a)} has more of the points on {pair.won:.0f}% of them, less on {pair.lost:.0f}%.",
    ]
    if isinstance(pair.direct, DirectGames):
        direct = pair.direct
        lines.append(
            f"In {direct.games} games against each other on {direct.questions} questions it scores {direct.score:.1f} "
            f"[{direct.lower:.1f}, {direct.upper:.1f}] ({_p(direct.p_value)})."
        )
    return "\n".join(lines)


def possible_ranks_words(model: RankedModel) -> str:
    """Return the ranks that a model can have."""
    return f"{model.best_rank}-{model.worst_rank}" if model.best_rank < model.worst_rank else str(model.best_rank)


def _rank_columns(result: Comparison) -> list[TableColumn]:
    models = result.models
    return [
        TableColumn("#", [str(model.rank) for model in models]),
        TableColumn("can be", [possible_ranks_words(model) for model in models]),
        TableColumn("model", [one_line(model.model) for model in models], right=False),
        TableColumn("score", [f"{model.score:.2f}" for model in models]),
    ]


def pair_columns(pairs: Sequence[PairComparison]) -> list[TableColumn]:
    def column(title: str, cell: Callable[[PairComparison], str], *, right: bool = True) -> TableColumn:
        return TableColumn(title, [cell(pair) for pair in pairs], right=right)

    columns = [
        column("model A", lambda pair: one_line(pair.model_a), right=False),
        column("model B", lambda pair: one_line(pair.model_b), right=False),
        column("A − B", lambda pair: f"{pair.difference:+.2f}"),
        column("95% CI", lambda pair: f"[{pair.lower:.2f}, {pair.upper:.2f}]"),
        column("SE", lambda pair: f"{pair.std_error:.2f}"),
        column("p", lambda pair: _p_value(pair.p_value)),
        column("p Holm", lambda pair: _p_value(pair.p_holm)),
        column("won/tied/lost %", lambda pair: f"{pair.won:.0f}/{pair.tied:.0f}/{pair.lost:.0f}"),
        column("questions", lambda pair: str(pair.questions)),
    ]
    if any(isinstance(pair.direct, DirectGames) for pair in pairs):
        columns.append(column("A against B", _direct))
    if len(pairs) > 1:
        columns.append(column("verdict", lambda pair: pair.verdict, right=False))
    else:
        columns = [each for each in columns if each.title != "p Holm"]
    return columns


def _direct(pair: PairComparison) -> str:
    direct = pair.direct
    if not isinstance(direct, DirectGames):
        return "-"
    return f"{direct.score:.1f} [{direct.lower:.1f}, {direct.upper:.1f}] {_p(direct.p_value)}"


def separable_words(result: Comparison) -> str:
    """Return how many pairs are decided, as a sentence."""
    found = result.separable
    return (
        f"{found.paired} of {found.pairs} pairs are decided (paired by question, 5% each), {found.holm} of them with "
        f"Holm's correction for their number; by intervals that do not overlap it would be {found.intervals}."
    )


def _p(value: float) -> str:
    text = _p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _p_value(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"
