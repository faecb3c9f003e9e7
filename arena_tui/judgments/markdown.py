"""Markdown rendered by rich, without control characters and terminal links; formulas and raw HTML stay as written.

rich decodes HTML entities, so its output may contain control characters again and is made safe once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown, MarkdownElement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from arena_tui.judgments.code import code_stretches
from arena_tui.judgments.hits import Hit, find_hits
from arena_tui.judgments.passages import Passage, RawText
from arena_tui.judgments.roles import Ink, Stretch
from arena_tui.output.word_diff import MOST_WORDS
from arena_tui.safe_text import readable
from arena_tui.theme import Inks

_WORD = re.compile(r"\S+")
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

    def hits(self, pattern: re.Pattern[str]) -> list[Hit]:
        return list(find_hits(self._texts, pattern))

    def words(self) -> Iterator[tuple[str, Hit]]:
        texts = self._texts
        for hit in find_hits(texts, _WORD, MOST_WORDS):
            yield "".join(texts[row][start:end] for row, start, end in hit), hit

    @property
    def _texts(self) -> list[str]:
        return ["".join(text for text, *_ in row) for row in self._rows]


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
            lines = console.render_lines(_Markdown(readable(text)), options, pad=False)
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


class _Code(CodeBlock):
    """Code in the colours of the theme, not in those of Pygments."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        text = Text(code, style="markdown.code_block", overflow="fold")
        known = code_stretches(code, self.lexer_name)
        if known is not None:
            text = Text("\n", overflow="fold").join(map(_coloured, code.split("\n"), known))
        yield Padding(text, (0, 0, 0, 2))


def _coloured(line: str, parts: Sequence[Stretch]) -> Text:
    return Text.assemble(*((line[part.start : part.end], _CODE_STYLES.get(part.ink, "")) for part in parts))


_CODE_STYLES = {
    Ink.KEYWORD: "markdown.link",
    Ink.STRING: "markdown.code",
    Ink.NUMBER: "markdown.number",
    Ink.FAINT: "markdown.block_quote",
    Ink.STRONG: "markdown.strong",
}


class _Markdown(Markdown):
    """Markdown in which raw HTML is text and formulas stay as they are written."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "fence": _Code, "code_block": _Code}

    def __init__(self, markup: str) -> None:
        super().__init__("", hyperlinks=False)
        self.markup = markup
        self.parsed = _parser().parse(markup)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt().enable("strikethrough").enable("table").disable(["html_block", "html_inline"])
    parser.inline.ruler.before("escape", "formula", _inline_formula)
    parser.block.ruler.before("fence", "formula", _block_formula, {"alt": ["paragraph", "blockquote", "list"]})
    return parser


# A single dollar sign is a formula only if no blank is inside it and no digit after it: prices are not.
_FORMULA = re.compile(
    r"\\\((?s:.{1,2000}?)\\\)|\\\[(?s:.{1,4000}?)\\\]|\$\$(?s:.{1,4000}?)\$\$|\$(?=\S)[^$\n]{1,500}?(?<=\S)\$(?!\d)"
)
_BLOCKS = {"\\[": "\\]", "$$": "$$"}
_MOST_LINES = 60  # of a formula


def _inline_formula(state: StateInline, silent: bool) -> bool:
    """Keep a formula within a line of text."""
    if state.src[state.pos] not in "\\$":
        return False
    found = _FORMULA.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        state.push("text", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _block_formula(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """Keep a formula that stands alone, whose lines could be taken for headings, lists or rules."""
    begins = state.bMarks[first] + state.tShift[first]
    opening = state.src[begins : begins + 2]
    closing = _BLOCKS.get(opening)
    if closing is None or state.is_code_block(first):
        return False
    at = first
    while closing not in state.src[begins + 2 if at == first else state.bMarks[at] : state.eMarks[at]]:
        at += 1
        if at >= min(last, first + _MOST_LINES) or state.isEmpty(at):
            return False
    if not state.src[state.bMarks[at] : state.eMarks[at]].rstrip().endswith(closing):
        return False
    if not silent:
        state.line = at + 1
        token = state.push("fence", "code", 0)
        token.content = state.getLines(first, at + 1, state.tShift[first], False) + "\n"
        token.map = [first, at + 1]
    return True


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
        "markdown.number": inks.warning,
        "markdown.item.bullet": inks.accent,
        "markdown.item.number": inks.accent,
        "markdown.table.border": inks.muted,
        "markdown.table.header": heading,
    }
    return Theme(styles)
