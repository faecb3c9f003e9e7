"""The columns of a leaderboard as texts, for every format that people read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from arena_tui.output.tables import TableColumn
from arena_tui.safe_text import one_line
from engine.ratings.leaderboard import UNNAMED_GROUP, GroupBoard, Leaderboard, Noise, Row, StyleReport
from engine.ratings.model_stats import ModelStats
from engine.ratings.outcomes import SoftReport
from engine.ratings.sensitivity import KnownBad


class Interval(msgspec.Struct, frozen=True):
    """The numbers of a row: percent, or Elo if it was requested. Infinite limits are `inf`."""

    score: float
    lower: float
    upper: float
    decimals: int


def interval(row: Row) -> Interval:
    if isinstance(row.elo, UnsetType):
        return Interval(row.score, row.lower, row.upper, 2)
    score, lower, upper = (
        value if isinstance(value, float) else (float("-inf") if percent < 50.0 else float("inf"))
        for value, percent in ((row.elo, row.score), (row.elo_lower, row.lower), (row.elo_upper, row.upper))
    )
    return Interval(score, lower, upper, 0)


def score_columns(
    rows: Sequence[Row], baseline: str, noise: Mapping[str, Noise] | UnsetType = UNSET
) -> list[TableColumn]:
    """Return rank, model, score, interval and counts, and the shares of flips and ties where they are known.

    Empty columns (no known lengths, nothing unparsed, nothing missing) are omitted.
    """
    shown = [interval(row) for row in rows]
    is_elo = any(number.decimals == 0 for number in shown)
    columns = [
        TableColumn("#", [str(row.rank) for row in rows]),
        TableColumn("model", [one_line(row.model) for row in rows], right=False),
        TableColumn("elo" if is_elo else "score", [f"{number.score:.{number.decimals}f}" for number in shown]),
        TableColumn(
            "95% CI",
            ["baseline" if row.model == baseline else _limits(number) for row, number in zip(rows, shown, strict=True)],
        ),
    ]
    if any(isinstance(row.same_style, float) for row in rows):
        columns.append(
            TableColumn(
                "same style", [_percent(row.same_style if isinstance(row.same_style, float) else None) for row in rows]
            )
        )
    if any(isinstance(row.label_score, float) for row in rows):
        columns.append(TableColumn("by label", [_by_label(row, baseline) for row in rows]))
    if any(row.avg_tokens is not None for row in rows):
        columns.append(TableColumn("tokens", ["-" if row.avg_tokens is None else str(row.avg_tokens) for row in rows]))
    columns += [TableColumn("questions", _counts(rows, lambda row: row.questions))]
    columns += [TableColumn("games", _counts(rows, lambda row: row.games))]
    if not isinstance(noise, UnsetType):
        known = [noise.get(row.model) for row in rows]
        columns += [
            TableColumn("flips %", ["-" if each is None else _share(each.flips, each.pairs) for each in known]),
            TableColumn("ties %", ["-" if each is None else _share(each.ties, each.pairs) for each in known]),
        ]
    if any(row.unparsed for row in rows):
        columns.append(TableColumn("unparsed", _counts(rows, lambda row: row.unparsed)))
    if any(row.missing for row in rows):
        columns.append(TableColumn("missing", _counts(rows, lambda row: row.missing)))
    return columns


def stats_columns(rows: Sequence[Row]) -> list[TableColumn]:
    """Return the columns of `--full-stats`; empty if no row has them."""
    known = [(row, row.stats) for row in rows if isinstance(row.stats, ModelStats)]
    if not known:
        return []
    stats = [stat for _, stat in known]
    columns = [
        TableColumn("model", [one_line(row.model) for row, _ in known], right=False),
        TableColumn("wins", [str(stat.wins) for stat in stats]),
        TableColumn("ties", [str(stat.ties) for stat in stats]),
        TableColumn("losses", [str(stat.losses) for stat in stats]),
        TableColumn("strong +/-", [f"{stat.strong_wins}/{stat.strong_losses}" for stat in stats]),
        TableColumn("weight 1", [f"{stat.unweighted:.2f}" for stat in stats]),
        TableColumn("game 1", [_percent(stat.game_1) for stat in stats]),
        TableColumn("game 2", [_percent(stat.game_2) for stat in stats]),
        TableColumn("flips", [str(stat.flips) for stat in stats]),
        TableColumn("questions +/=/-", [_balance(stat) for stat in stats]),
        TableColumn("mean", [f"{stat.bootstrap_mean:.2f}" for stat in stats]),
        TableColumn("SE", [f"{stat.std_error:.2f}" for stat in stats]),
    ]
    judges = sorted({judge for stat in stats for judge in stat.judges})
    if len(judges) > 1:
        columns += [
            TableColumn(one_line(judge), [_percent(stat.judges.get(judge)) for stat in stats]) for judge in judges
        ]
    return columns


def group_title(board: Leaderboard, group: GroupBoard) -> str:
    """Return the name of a group, its number of questions, and its baseline where that depends on the category."""
    against = "" if isinstance(group.baseline, UnsetType) else f", baseline {one_line(group.baseline)}"
    plural = "" if group.questions == 1 else "s"
    return f"{board.by}: {one_line(group.group)} ({group.questions} question{plural}{against})"


def baseline_of(board: Leaderboard, group: GroupBoard) -> str:
    """Return the baseline of a group's rows."""
    return board.baseline if isinstance(group.baseline, UnsetType) else group.baseline


def same_games(rows: Sequence[Row]) -> Row | None:
    """Return a judged row if all have the same number of questions and games, else None."""
    judged = [row for row in rows if row.games]
    return judged[0] if len({(row.questions, row.games) for row in judged}) == 1 else None


def headline(board: Leaderboard) -> list[str]:
    """Return what was compared and how, as short phrases."""
    names = ", ".join(map(one_line, board.judges))
    phrases = [one_line(board.bench)]
    if names:
        phrases.append(f"judge{'s' if len(board.judges) > 1 else ''} {names}")
    if isinstance(board.baseline_by_category, UnsetType):
        phrases.append(f"baseline {one_line(board.baseline)}")
    else:
        phrases += own_baselines(board.baseline_by_category)
    phrases += further_baselines(board.baselines)
    if board.ci == "sandwich":
        phrases.append("95% CI from errors clustered by question (sandwich)")
    elif board.limits == "likelihood":
        phrases.append("95% CI by question (profile likelihood)")
    else:
        phrases.append(f"95% CI by {board.ci}, {board.rounds} rounds")
    if board.weight != 1:
        phrases.append(f"strong verdicts count {board.weight}")
    if board.first_game_only is True:
        phrases.append("first games only")
    if isinstance(board.style, StyleReport):
        phrases.append(f"style controlled: {', '.join(board.style.words)}")
    if isinstance(board.soft, SoftReport):
        phrases.append(soft_phrase(board.soft))
    return phrases + known_bad_phrases(board.known_bad)


def own_baselines(by_category: Mapping[str, str]) -> Iterator[str]:
    """Yield each baseline with its categories."""
    for baseline in dict.fromkeys(by_category.values()):
        own = [one_line(category) or UNNAMED_GROUP for category, name in by_category.items() if name == baseline]
        yield f"baseline {one_line(baseline)} ({', '.join(own)})"


def further_baselines(baselines: Sequence[str] | UnsetType) -> list[str]:
    """Return the further baselines as a short phrase; nothing if there is only one."""
    if isinstance(baselines, UnsetType):
        return []
    return [f"games against {', '.join(map(one_line, baselines[1:]))} too"]


def soft_phrase(soft: SoftReport) -> str:
    """Return what soft verdicts change, as a short phrase."""
    if soft.width is None:
        return "expected outcomes (soft verdicts)"
    return f"expected outcomes (soft verdicts): intervals {soft.width:.2f} times as wide as by label"


def _by_label(row: Row, baseline: str) -> str:
    if row.model == baseline or not isinstance(row.label_score, float):
        return "-"
    return f"{row.label_score:.2f} [{row.label_lower:.2f}, {row.label_upper:.2f}]"


def _limits(number: Interval) -> str:
    return f"[{number.lower:.{number.decimals}f}, {number.upper:.{number.decimals}f}]"


def _counts(rows: Sequence[Row], count: Callable[[Row], int]) -> list[str]:
    """Return the counts, with a dash for a row without games (the baseline)."""
    return [str(count(row)) if row.games or row.missing or row.unparsed else "-" for row in rows]


def _share(count: int, of: int) -> str:
    return f"{100.0 * count / of:.0f}"


def known_bad_phrases(known: Sequence[KnownBad] | UnsetType) -> list[str]:
    """Return the highest score of an answer that must lose, by judge, as short phrases."""
    if isinstance(known, UnsetType):
        return []
    judges = list(dict.fromkeys(each.judge for each in known))
    worst = {
        judge: max((each for each in known if each.judge == judge), key=lambda each: each.score) for judge in judges
    }
    return [
        f"answers that must lose score at most {each.score:.1f}"
        + (f" with {one_line(judge)}" if len(judges) > 1 else "")
        for judge, each in worst.items()
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _balance(stat: ModelStats) -> str:
    return f"{stat.question_wins}/{stat.question_ties}/{stat.question_losses}"
