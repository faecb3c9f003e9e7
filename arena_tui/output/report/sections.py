"""The sections of a report, in the order of a reader's questions: who is better, how sure is it, and why believe it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from arena_tui.output.audit import finding_columns, model_columns
from arena_tui.output.audit_findings import phrased
from arena_tui.output.compare import RANKS_WORDS, in_words, pair_columns, possible_ranks_words, separable_words
from arena_tui.output.leaderboard_columns import baseline_of, group_title, headline, interval, score_columns
from arena_tui.output.report.content import ReportContent
from arena_tui.output.report.optional_sections import curve_parts, noise_parts
from arena_tui.output.report.parts import (
    ReportCell,
    ReportExample,
    ReportFacts,
    ReportHead,
    ReportHeading,
    ReportPart,
    ReportPlot,
    ReportSection,
    ReportTable,
    ReportWords,
    table_of,
)
from arena_tui.output.report.plots import PlotPoint, forest_plot, scatter_plot, share_plot
from arena_tui.output.tables import TableColumn
from arena_tui.safe_text import one_line
from engine.auditing.findings import FLIPS_BAD, FLIPS_CARE
from engine.auditing.report import JudgeAudit
from engine.ratings import ALPHA
from engine.ratings.compare import Comparison, PairComparison
from engine.ratings.leaderboard import Row

MOST_PAIRS = 66  # in the table of pairs: all of 12 models
CLEAR = 15.0  # points away from 50 from which a win rate has the deeper colour
_EXAMPLE_TITLES = {"won": "{a} did better", "lost": "{b} did better", "flip": "The verdict followed the places"}
_OF_LENGTH = ("length",)
_OF_PLACES = ("position", "flips", "identical answers")


def sections(content: ReportContent) -> list[ReportSection]:
    """Return the sections that have something to show."""
    found = [
        ReportSection("leaderboard", "Leaderboard", [*_leaderboard(content)]),
        ReportSection("curve", "Over the steps of the training", [*curve_parts(content)]),
        ReportSection("pairs", "Every pair of models", [*_pairs(content)]),
        ReportSection("categories", "By category", [*_categories(content)]),
        ReportSection("flips", "Flips: does the judge follow the places?", [*_flips(content)]),
        ReportSection("length", "Length against score", [*_length(content)]),
        ReportSection("noise", "Where the noise comes from", [*noise_parts(content)]),
        ReportSection("judge", "Can the judge be trusted?", [*_judge(content)]),
        ReportSection("examples", "Examples", [*_examples(content)]),
        ReportSection("method", "How this was measured", [*_method(content)]),
    ]
    return [section for section in found if section.parts]


def _leaderboard(content: ReportContent) -> Iterator[ReportPart]:
    board = content.board
    numbers = [interval(row) for row in board.rows]
    points = [
        PlotPoint(row.model, number.score, number.lower, number.upper)
        for row, number in zip(board.rows, numbers, strict=True)
    ]
    is_elo = any(number.decimals == 0 for number in numbers)
    middle = next(
        (number.score for row, number in zip(board.rows, numbers, strict=True) if row.model == board.baseline), 50.0
    )
    unit = "Elo rating" if is_elo else "win rate against the baseline, percent"
    yield ReportPlot(
        "forest-caption",
        f"Scores with 95% intervals, best first; the dashed line is the baseline {one_line(board.baseline)}. "
        "The table below has the same numbers.",
        partial(forest_plot, points, middle, f"score: {unit}"),
    )
    columns = score_columns(board.rows, board.baseline, board.noise)
    words = [f"Score: {unit}."]
    if any(column.title == "flips %" for column in columns):
        words.append("Flips: pairs of games in which the winner changed with the places of the answers.")
    if content.comparison is not None and content.compared is None and len(board.rows) > 2:
        ranks = {model.model: possible_ranks_words(model) for model in content.comparison.models}
        columns.insert(1, TableColumn("can be", [ranks.get(row.model, "-") for row in board.rows]))
        words.append(RANKS_WORDS)
    yield table_of(columns, "Table of the scores", " ".join(words))


def _pairs(content: ReportContent) -> Iterator[ReportPart]:
    found = content.comparison
    if found is None or not found.pairs:
        return
    if content.pair is not None and (pair := _find(found, *content.pair)) is not None:
        yield ReportWords(" ".join(in_words(pair).split("\n")))
    if len(found.models) > 2:
        if content.compared is not None:
            yield ReportWords(f"The {content.compared} best of all models are compared; `arena-tui compare` has all.")
        yield _matrix(found)
        yield ReportWords(separable_words(found))
    shown = found.pairs[:MOST_PAIRS]
    more = (
        f" The first {len(shown)} of {len(found.pairs)}; `arena-tui compare` prints all."
        if len(shown) < len(found.pairs)
        else ""
    )
    yield table_of(
        pair_columns(shown),
        "Table of the pairs",
        f"Differences in points, paired by question.{more}",
        head="model A",
        fold="Differences, intervals and p-values of the pairs",
    )


def _find(found: Comparison, a: str, b: str) -> PairComparison | None:
    return next((pair for pair in found.pairs if {pair.model_a, pair.model_b} == {a, b}), None)


def _matrix(found: Comparison) -> ReportTable:
    names = [model.model for model in found.models]
    pairs = {(pair.model_a, pair.model_b): (pair, False) for pair in found.pairs}
    pairs |= {(pair.model_b, pair.model_a): (pair, True) for pair in found.pairs}
    rows = []
    for rank, name in enumerate(names, start=1):
        row = [ReportCell(str(rank)), ReportCell(one_line(name), is_head=True)]
        row += [_met(pairs.get((name, other)), is_itself=name == other) for other in names]
        rows.append(row)
    heads = [ReportHead("#"), ReportHead("model", True)]
    heads += [ReportHead(str(rank), hidden=one_line(name)) for rank, name in enumerate(names, start=1)]
    return ReportTable(
        "Win rates of all pairs",
        "Percent of the common questions on which the model of the row did better than that of the column, ties half. "
        "A colour, or ▲ and ▼, means that the difference holds for all pairs together (Holm's correction, 5%); ~ marks "
        "those that are undecided.",
        heads,
        rows,
        is_matrix=True,
    )


def _met(found: tuple[PairComparison, bool] | None, *, is_itself: bool) -> ReportCell:
    if found is None:
        return ReportCell("·" if is_itself else "–")
    pair, is_reversed = found
    rate = 100.0 - pair.win_rate if is_reversed else pair.win_rate
    if pair.p_holm >= ALPHA:
        return ReportCell(f"~{rate:.0f}")
    is_better = (pair.difference < 0.0) if is_reversed else pair.difference > 0.0
    return ReportCell(
        f"{rate:.0f}", style=("much-" if abs(rate - 50.0) >= CLEAR else "") + ("better" if is_better else "worse")
    )


def _categories(content: ReportContent) -> Iterator[ReportPart]:
    groups, board = content.groups, content.board
    if not groups:
        return
    by_group = [{row.model: row for row in group.rows} for group in groups]
    heads = [ReportHead("model", True)]
    heads += [ReportHead(f"{one_line(group.group)} ({group.questions})") for group in groups]
    rows = [
        [
            ReportCell(one_line(row.model), is_head=True),
            *(
                _of_group(rows.get(row.model), baseline_of(board, group))
                for group, rows in zip(groups, by_group, strict=True)
            ),
        ]
        for row in board.rows
    ]
    left_out = (
        f" The {len(groups)} largest of {len(groups) + content.groups_left_out}." if content.groups_left_out else ""
    )
    yield ReportTable(
        "Scores by category",
        "Score in each category (its number of questions), with its 95% interval below. A colour, or ▲ and ▼, means "
        f"that the interval excludes 50, for this category alone.{left_out}",
        heads,
        rows,
    )
    for group in groups:
        yield table_of(
            score_columns(group.rows, baseline_of(board, group)),
            f"Table of {one_line(group.group)}",
            group_title(board, group),
            fold=group_title(board, group),
        )


def _of_group(row: Row | None, baseline: str) -> ReportCell:
    if row is None:
        return ReportCell("–")
    if row.model == baseline:
        return ReportCell(f"{row.score:.1f}", "baseline")
    style = "better" if row.lower > 50.0 else "worse" if row.upper < 50.0 else ""
    return ReportCell(f"{row.score:.1f}", f"[{row.lower:.1f}, {row.upper:.1f}]", style)


def _flips(content: ReportContent) -> Iterator[ReportPart]:
    for number, audit in enumerate(content.audit.judges if content.audit is not None else ()):
        known = {row.model: row.flips for row in (audit.position.models if audit.position is not None else ())}
        shown = [(row.model, known[row.model]) for row in content.board.rows if row.model in known]
        points = [
            PlotPoint(model, flips.number, _limit(flips.lower), _limit(flips.upper))
            for model, flips in shown
            if flips.known
        ]
        if not points:
            continue
        yield from _findings(content, audit, _OF_PLACES)
        lines = (FLIPS_CARE, "care"), (FLIPS_BAD, "bad")
        yield ReportPlot(
            f"flips-caption-{number}",
            f"Percent of the pairs of games in which {one_line(audit.judge)} changed the winner with the places, with "
            "95% intervals by question. Figures are in the table of the judge below.",
            partial(share_plot, points, lines, "flips, percent of the pairs of games"),
        )


def _limit(value: float | None) -> float:
    return float("nan") if value is None else value


def _findings(content: ReportContent, audit: JudgeAudit, topics: Sequence[str]) -> Iterator[ReportPart]:
    """Yield what the audit found on some topics, as sentences."""
    assert content.audit is not None
    _, found = phrased(content.audit, audit.judge)
    text = " ".join(one_line(each.text) for each in found if each.topic in topics and each.level != "unknown")
    if text:
        yield ReportWords(text if len(content.audit.judges) == 1 else f"{one_line(audit.judge)}: {text}")


def _length(content: ReportContent) -> Iterator[ReportPart]:
    board = content.board
    known = [row for row in board.rows if row.avg_tokens is not None]
    if len(known) < 2:
        return
    for audit in content.audit.judges if content.audit is not None else ():
        yield from _findings(content, audit, _OF_LENGTH)
    points = [
        PlotPoint(row.model, row.score, row.lower, row.upper, at=float(row.avg_tokens or 0), number=row.rank)
        for row in known
    ]
    yield ReportPlot(
        "length-caption",
        "Mean length of the answers and score with its 95% interval; the dashed line is the baseline. That longer "
        "answers score higher does not show that the judge rewards length: better answers may be longer.",
        partial(scatter_plot, points, 50.0, ("mean length of the answers, tokens", "score")),
    )
    equal = {row.model: row for row in content.same_length.rows} if content.same_length is not None else {}
    columns = [
        TableColumn("model", [one_line(row.model) for row in known], right=False),
        TableColumn("tokens", [str(row.avg_tokens) for row in known]),
        TableColumn("score", [f"{row.score:.2f}" for row in known]),
    ]
    if equal:
        columns.append(
            TableColumn("at equal length", [_at_equal_length(equal.get(row.model), board.baseline) for row in known])
        )
    yield table_of(
        columns,
        "Table of length and score",
        "At equal length: the score if the length of the answers made no difference to the judge "
        "(`arena-tui leaderboard --style length`)."
        if equal
        else "Mean length of the answers and score.",
    )


def _at_equal_length(row: Row | None, baseline: str) -> str:
    if row is None:
        return "–"
    return "baseline" if row.model == baseline else f"{row.score:.2f} [{row.lower:.2f}, {row.upper:.2f}]"


def _judge(content: ReportContent) -> Iterator[ReportPart]:
    if content.audit is None:
        return
    if content.by_verdicts:
        yield ReportWords(
            "Only the verdicts were examined: the texts of a bench of this size take minutes to read. `report --texts` "
            "and `arena-tui audit` examine replies, length, format, language and family, too."
        )
    for audit in content.audit.judges:
        opinion, found = phrased(content.audit, audit.judge)
        if content.by_verdicts:
            found = [each for each in found if each.level != "unknown"]
        yield ReportHeading(f"{one_line(audit.judge)}: {_TRUST[opinion.trust]}")
        if not content.by_verdicts:
            yield ReportWords(one_line(opinion.summary))
        table = table_of(
            finding_columns(found),
            f"Findings on {one_line(audit.judge)}",
            "What was examined, and what was found.",
            head="topic",
            texts=("finding",),
        )
        rows = [
            [ReportCell(_LEVELS[each.level], style=f"left level {each.level}"), *row[1:]]
            for each, row in zip(found, table.rows, strict=True)
        ]
        yield ReportTable(table.label, table.caption, [ReportHead("level", True), *table.heads[1:]], rows)
        if columns := model_columns(audit, {row.model for row in content.board.rows}):
            yield table_of(
                columns,
                f"Figures of {one_line(audit.judge)} by model",
                "Figures behind the findings, by model.",
                fold=f"Figures of {one_line(audit.judge)} by model",
            )


_TRUST = {"yes": "it can be trusted here", "with care": "to be trusted with care", "no": "not to be trusted here"}
_LEVELS = {"good": "ok", "care": "care", "bad": "bad", "unknown": "not known"}


def _examples(content: ReportContent) -> Iterator[ReportPart]:
    if content.pair is None or not content.examples:
        return
    a, b = map(one_line, content.pair)
    yield ReportWords(
        f"Questions that {a} won most clearly, that {b} won most clearly, and on which the judge changed the winner "
        "with the places, in turn. Words that only one of both answers has are marked."
    )
    for example in content.examples:
        title = _EXAMPLE_TITLES[example.kind].format(a=a, b=b)
        number = f"question {example.number}" if example.number else f"question {example.question_id}"
        points = f"{example.points_a:.0f} against {example.points_b:.0f} percent of the games won"
        yield ReportExample(title, " · ".join(filter(None, (number, example.category, points))), example)


def _method(content: ReportContent) -> Iterator[ReportPart]:
    board = content.board
    judged = [row for row in board.rows if row.games]
    facts = [
        ("Compared", " · ".join(headline(board))),
        ("Questions", f"{max((row.questions for row in judged), default=0):,} at most for a model"),
        ("Games", f"{sum(row.games for row in judged):,} with a verdict"),
        (
            "Without a verdict",
            f"{sum(row.unparsed for row in judged):,} games unparsed, "
            f"{sum(row.missing for row in judged):,} questions not judged",
        ),
        ("Seed", f"{board.seed}; the same data and options give the same numbers"),
    ]
    yield ReportFacts(facts)
    yield ReportWords(
        "The judge compares each answer with the baseline's answer to the same question, in two games with the places "
        "swapped. The score is the win rate by the Bradley-Terry model; the baseline has 50 by definition. A 95% "
        "interval is by question, since the games of one question are no independent evidence: intervals hold the "
        "chance in the choice of questions, and no error of the judge that affects all of them alike."
    )
    for note in content.notes:
        yield ReportWords(f"Left out: {one_line(note)}.")
