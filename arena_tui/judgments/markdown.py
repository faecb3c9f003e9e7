"""Markdown rendered by rich, without control characters and terminal links.

rich decodes HTML entities, so its output may contain control characters again and is made safe once more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown, MarkdownElement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from arena_tui.judgments.passages import Passage, RawText
from arena_tui.safe_text import readable
from arena_tui.theme import Inks

MOST_CHARACTERS = 60_000  # takes half a second; longer texts are shown raw


class RenderedText:
    """Rows rendered by rich."""

    def __init__(self, rows: list[list[Segment]]) -> None:
        self._rows = rows

    @property
    def height(self) -> int:
        return len(self._rows)

    def segments(self, row: int, inks: Inks) -> list[Segment]:
        return self._rows[row]


@lru_cache(maxsize=8)
def renderer(inks: Inks) -> Callable[[str, int], Passage]:
    """Return a function that renders a text for a width in the colours of a theme; raw if it cannot be rendered."""
    console = Console(
        force_terminal=True, color_system="truecolor", legacy_windows=False, emoji=False, theme=_theme(inks)
    )

    def render(text: str, width: int) -> Passage:
        if len(text) > MOST_CHARACTERS:
            return RawText(text, width)
        options = console.options.update(width=max(8, width), height=None)
        try:
            lines = console.render_lines(_PlainMarkdown(readable(text), hyperlinks=False), options, pad=False)
        except Exception:  # rich may fail on hostile Markdown
            return RawText(text, width)
        return RenderedText([_safe(line) for line in lines] or [[]])

    return render


def _safe(line: list[Segment]) -> list[Segment]:
    return [
        Segment(readable(text).replace("\n", " "), _without_link(style))
        for text, style, control in line
        if text and not control
    ]


def _without_link(style: Style | None) -> Style | None:
    return style.update_link(None) if style is not None and style.link else style


class _PlainCode(CodeBlock):
    """Code without Pygments, whose lexers are slow on some texts and whose colours ignore the theme."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(str(self.text).rstrip(), style="markdown.code_block", overflow="fold"), (0, 0, 0, 2))


class _PlainMarkdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _PlainCode,
        "code_block": _PlainCode,
    }


def _theme(inks: Inks) -> Theme:
    heading = inks.accent + inks.strong
    styles: dict[str, Any] = {f"markdown.h{level}": heading for level in range(1, 8)}
    styles |= {
        "markdown.code": inks.good,
        "markdown.code_block": inks.good,
        "markdown.block_quote": inks.muted,
        "markdown.hr": inks.muted,
        "markdown.link": inks.accent,
        "markdown.link_url": inks.muted,
        "markdown.item.bullet": inks.accent,
        "markdown.item.number": inks.accent,
        "markdown.table.border": inks.muted,
        "markdown.table.header": heading,
    }
    return Theme(styles)
