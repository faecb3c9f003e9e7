"""Reads an HTML page as a browser does, and strictly: an error of its syntax is an error of the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import html5lib

HTML, SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
ALLOWED = frozenset(
    {
        *("html", "head", "meta", "title", "style", "body", "a", "header", "h1"),
        *("h2", "h3", "h4", "fieldset", "legend", "label", "input", "p", "main"),
        *("section", "nav", "ul", "li", "div", "figure", "figcaption", "table", "caption"),
        *("thead", "tbody", "tr", "th", "td", "span", "details", "summary", "article"),
        *("pre", "mark", "dl", "dt", "dd", "footer", "svg", "g", "path"),
        *("defs", "use", "text", "clipPath", "rect", "tspan"),
    }
)  # fmt: skip


class PageReader:
    """A page as a tree. Raises html5lib's ParseError for anything that the standard calls an error."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.root: Element = html5lib.HTMLParser(strict=True).parse(page)
        self.elements = list(self.root.iter())

    def all(self, *names: str) -> list[Element]:
        return [each for each in self.elements if tag(each) in names]

    def attributes(self) -> Iterator[tuple[Element, str, str]]:
        for element in self.elements:
            for name, value in element.attrib.items():
                yield element, name, value

    def by_id(self, name: str) -> Element:
        (found,) = [each for each in self.elements if each.get("id") == name]
        return found

    @property
    def text(self) -> str:
        body = self.root.find(f"{HTML}body")
        assert body is not None
        return "".join(body.itertext())

    @property
    def style(self) -> str:
        (found,) = self.all("style")
        return found.text or ""

    def tables(self) -> dict[str, list[list[str]]]:
        """By caption, the cells of each table, its head first."""
        found = {}
        for table in self.all("table"):
            rows = [[words(cell) for cell in row if tag(cell) in ("th", "td")] for row in table.iter(f"{HTML}tr")]
            found[words(next(table.iter(f"{HTML}caption")))] = rows
        return found


def tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def words(element: Element) -> str:
    """The text of an element on one line."""
    return re.sub(r"\s+", " ", "".join(element.itertext())).strip()
