"""Texts in CSV that no spreadsheet takes for a formula.

A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` (full-width ones too, and behind blanks), whoever wrote
it. Such a text gets an apostrophe in front, and so does one that begins with an apostrophe: taking one leading
apostrophe away, if there is one, gives back every text exactly.
"""

from __future__ import annotations

_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # the full-width forms, on purpose
_BEFORE_A_FORMULA = " \t\r\n\v\f\0\u00a0\u3000\ufeff"
MARK = "'"


def neutral(text: str) -> str:
    """The text as a cell that is shown and never run."""
    starts = text[:1] in ("\t", "\r", "\n", MARK)
    return MARK + text if starts or text.lstrip(_BEFORE_A_FORMULA).startswith(_FORMULA_STARTS) else text


def original(cell: str) -> str:
    """The text that `neutral` made a cell of."""
    return cell.removeprefix(MARK)
