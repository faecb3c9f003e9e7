"""A style sheet that is parsed again only when a theme has changed its variables.

Textual parses all of it again whenever a screen is shown for the first time.
"""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet


class ParsedOnce(Stylesheet):
    """Skips parsing with the same variables; sources that are added are parsed as usual."""

    def __init__(self, *, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._parsed_with = dict(variables)
        self._is_current = True

    def set_variables(self, variables: dict[str, str]) -> None:
        self._is_current = variables == self._parsed_with
        if not self._is_current:
            self._parsed_with = dict(variables)
            super().set_variables(variables)

    def reparse(self) -> None:
        if not self._is_current:
            super().reparse()
            self._is_current = True
