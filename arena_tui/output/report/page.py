"""The report as one HTML page that loads nothing and runs nothing, whatever models wrote.

Every text reaches the page through the templates, which escape it and make its control characters visible. The policy
of the page allows its one style sheet: no script, picture, font, frame or request. The theme is switched by the style
sheet alone, so that the page works where scripts are off.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from arena_tui.advice import phrase
from arena_tui.output.leaderboard_columns import headline
from arena_tui.output.report.content import ReportContent
from arena_tui.output.report.judgments import Fold
from arena_tui.output.report.parts import ReportPlot, ReportSection
from arena_tui.output.report.sections import sections
from arena_tui.output.verdict import answer_words
from arena_tui.safe_text import one_line, readable
from engine.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

GENERATOR = "arena-tui"
"""Begins the `generator` of every page, by which a report is recognised before it is overwritten."""


@dataclass(frozen=True)
class PageView:
    """What the template shows beside the sections."""

    bench: str
    headline: str
    answer: list[str]
    warnings: list[str]
    sections: list[ReportSection]
    footer: str


def style_sheet() -> str:
    """Return the style sheet of the page."""
    return (files("arena_tui.output.report") / "templates" / "report.css").read_text("utf-8")


def policy(style: str) -> str:
    """Return the content security policy that allows one style sheet and nothing else."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def html_page(content: ReportContent, made: str, judgments: Iterable[Fold | str] | None = None) -> Iterator[str]:
    """Yield the page, piece by piece. `made` says when; `judgments` are shown in full below the sections."""
    from markupsafe import Markup

    style = "\n" + style_sheet()
    board = content.board
    answer = answer_words(board) or ["Too few judgments for a verdict"]
    view = PageView(
        bench=one_line(board.bench),
        headline=" · ".join(headline(board)[1:]),
        answer=[f"{line}." for line in answer],
        warnings=unique_warnings(content),
        sections=sections(content),
        footer=f"Made by arena-tui {__version__} on {made}.",
    )
    environment = _environment()
    template = environment.get_template("report.html.j2")
    yield from template.generate(
        view=view,
        style=Markup(style),  # the project's own
        policy=policy(style),
        generator=f"{GENERATOR} {__version__}",
        judgments=None if judgments is None else _folds(environment, judgments),
    )


def unique_warnings(content: ReportContent) -> list[str]:
    """Return the warnings of all results, each once."""
    found = [*content.board.warnings]
    for part in (content.comparison, content.audit, content.curves, content.noise):
        found += part.warnings if part is not None else ()
    return list(dict.fromkeys(one_line(phrase(text)) for text in found))


def _folds(environment: Environment, judgments: Iterable[Fold | str]) -> Iterator[Markup]:
    from markupsafe import Markup

    template = environment.get_template("judgments.html.j2")
    for each in judgments:
        if isinstance(each, str):
            yield Markup('<p class="soft">{}</p>').format(each)
        else:
            yield Markup(template.render(fold=each))  # escaped by the template


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("arena_tui.output.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = _drawn
    return environment


def _visible(value: Any) -> Any:
    """Make the control characters of a text visible that did not pass through `readable` before."""
    from markupsafe import Markup

    return readable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _drawn(plot: ReportPlot) -> Markup:
    from markupsafe import Markup

    return Markup(plot.draw(plot.caption_id))  # serialized by an XML library, which escapes every text
