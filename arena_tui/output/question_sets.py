"""Benches and question sets as text: the list, one bench, the preview of what is added, the parts of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from arena_tui.output.json_text import json_text
from arena_tui.output.tables import TableColumn, text_table
from arena_tui.safe_text import clip, one_line, printable, shorten
from engine.question_sets.adding import SetProposal
from engine.question_sets.overview import BenchLine, BenchOverview
from engine.question_sets.splitting import SplitReport

_MOST_CATEGORIES = 8
_MOST_GROUPS = 5
_SHOWN = 3
_WIDTH = 100


def bench_list(lines: Sequence[BenchLine]) -> str:
    """Return a table of benches."""
    rows = [
        (each.bench, *((str(each.questions), str(each.models), str(each.judges)) if not each.problem else ("-",) * 3),
         each.problem or each.source)
        for each in lines
    ]  # fmt: skip
    titles = ("bench", "questions", "models", "judges", "source")
    columns = [
        TableColumn(title, [shorten(one_line(printable(row[at])), 60) for row in rows], right=0 < at < 4)
        for at, title in enumerate(titles)
    ]
    return text_table(columns)


def bench_page(found: BenchOverview) -> str:
    """Return what a bench holds, a fact a line."""
    return "\n".join(map(printable, _bench_lines(found)))


def preview(proposal: SetProposal) -> str:
    """Return what would be written: counts, categories, duplicates and the first questions."""
    return "\n".join(map(printable, _preview_lines(proposal)))


def preview_json(proposal: SetProposal) -> str:
    """Return the same as JSON."""
    middle, most = proposal.lengths if proposal.questions else (0, 0)
    return json_text(
        {
            "bench": proposal.bench,
            "questions": len(proposal.questions),
            "known": proposal.known,
            "categories": proposal.categories,
            "median_characters": middle,
            "most_characters": most,
            "source": proposal.source,
            "same": [list(group) for group in proposal.same],
            "near": [list(group) for group in proposal.near],
            "dropped": proposal.dropped,
            "problems": [str(problem) for problem in proposal.problems],
            "notes": list(proposal.notes),
            "first": [list(question.shown) for question in proposal.questions[:_SHOWN]],
        }
    )


def split_page(report: SplitReport) -> str:
    """Return the parts of a split, one a line."""
    lines = []
    for part in report.parts:
        line = f"{part.bench}: {part.questions} questions"
        if report.extended:
            line += f", {part.new} of them new"
        if part.answers or part.judgments:
            line += f"; {part.answers} answers and {part.judgments} judgments copied"
        lines += [line, f"  {_categories(part.categories)}"]
    if report.together:
        lines.append(f"{report.together} questions are in the part of a question that is nearly the same")
    return "\n".join(map(printable, lines))


def _bench_lines(found: BenchOverview) -> Iterator[str]:
    sizes = f"{found.median_characters} characters (median), {found.most_characters} at most"
    yield f"{found.folder}: {found.questions} questions, {sizes}"
    source = found.source
    if source is not None:
        yield f"source: {source.named} ({source.added})"
        if source.revision:
            yield f"  revision {source.revision} of {source.endpoint}"
        yield from (f"  {file.path}  sha256 {file.sha256[:16]}" for file in source.files)
    yield f"categories: {_categories(found.categories)}"
    if found.several_turns:
        yield f"questions of several turns: {found.several_turns}"
    if found.with_context:
        yield f"questions with a system prompt or earlier turns: {found.with_context}"
    for model, count in found.answers.items():
        yield f"answers of {model}: {count}"
    for judge, models in found.judgments.items():
        yield f"judgments by {judge}: {sum(models.values())} of {len(models)} models"
    if found.labels_of_people:
        yield f"labels of people: {found.labels_of_people}"
    yield from _duplicates(found.same, found.near)


def _preview_lines(proposal: SetProposal) -> Iterator[str]:
    source, count = proposal.source, len(proposal.questions)
    encoding = f", {proposal.encoding}" if proposal.encoding else ""
    yield f"{source.named}: {'/'.join(proposal.forms)}{encoding}, {sum(file.rows for file in source.files)} rows"
    if source.revision:
        chosen = "".join(
            f", {name} {value}" for name, value in (("subset", source.subset), ("split", source.split)) if value
        )
        yield f"  revision {source.revision} of {source.endpoint}{chosen}"
    if proposal.known:
        yield f"  {proposal.known} questions are in the bench already"
    if count:
        middle, most = proposal.lengths
        yield f"  {count} questions, {middle} characters (median), {most} at most"
        yield f"  categories: {_categories(proposal.categories)}"
    if proposal.problems:
        yield f"  {len(proposal.problems)} rows are left out"
    if proposal.dropped:
        yield f"  {proposal.dropped} questions with the words of an earlier one are left out"
    yield from (f"  {line}" for line in _duplicates(proposal.same if not proposal.dropped else (), proposal.near))
    yield from (f"  note: {note}" for note in proposal.notes)
    for question in proposal.questions[:_SHOWN]:
        text = clip(one_line(" ".join(" / ".join(question.shown).split())), _WIDTH - 20)
        yield f"  {shorten(one_line(question.id), 16)}  {text}"
    if count > _SHOWN:
        yield f"  ... and {count - _SHOWN} more"


def _duplicates(same: Sequence[Sequence[str]], near: Sequence[Sequence[str]]) -> Iterator[str]:
    for what, groups in (("the same words", same), ("nearly the same words", near)):
        if groups:
            yield f"groups of questions with {what}: {len(groups)} ({_groups(groups)})"


def _groups(groups: Sequence[Sequence[str]]) -> str:
    shown = ["=".join(shorten(one_line(each), 16) for each in group[:_SHOWN]) for group in groups[:_MOST_GROUPS]]
    return ", ".join(shown) + (f" and {len(groups) - len(shown)} more" if len(groups) > len(shown) else "")


def _categories(categories: Mapping[str, int]) -> str:
    named: Iterable[tuple[str, int]] = list(categories.items())[:_MOST_CATEGORIES]
    text = ", ".join(f"{shorten(one_line(name), 30) or 'none'} {count}" for name, count in named)
    return text + (f" and {len(categories) - _MOST_CATEGORIES} more" if len(categories) > _MOST_CATEGORIES else "")
