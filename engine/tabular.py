"""Results as tables: the rows of a result as a Polars frame, and as HTML where a notebook shows it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

if TYPE_CHECKING:
    import polars

SHOWN_ROWS = 100  # of a result in a notebook
SHOWN_COLUMNS = 12
SHOWN_WARNINGS = 10
LONGEST_CELL = 80  # characters


class Tabular:
    """A result with `rows`, each a struct: a table in a notebook, and a frame by `to_polars`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def rows(self) -> Sequence[msgspec.Struct]: ...

    def records(self) -> list[dict[str, object]]:
        """Return each row as a flat dict: inner fields as `outer_inner`; lists and absent fields are left out."""
        return [dict(_flat(row)) for row in self.rows]

    def to_polars(self) -> polars.DataFrame:
        """Return the rows as a frame, one column for each key of `records`; null where a row lacks a value."""
        import polars

        return polars.DataFrame(self.records(), infer_schema_length=None)

    def _repr_html_(self) -> str:
        """Return the first rows and columns as a table, and the warnings. Names from files are escaped."""
        records = self.records()
        names = list(dict.fromkeys(name for record in records for name in record))
        shown = [name for name in names if any(record.get(name) is not None for record in records)][:SHOWN_COLUMNS]
        head = "".join(f'<th scope="col">{_cell(name)}</th>' for name in shown)
        body = "".join(
            f"<tr>{''.join(f'<td>{_cell(record.get(name))}</td>' for name in shown)}</tr>"
            for record in records[:SHOWN_ROWS]
        )
        left_out = []
        if (rows := len(records) - SHOWN_ROWS) > 0:
            left_out.append(f"{rows} more rows")
        if (columns := len(names) - len(shown)) > 0:
            left_out.append(f"{columns} more columns")
        note = f"<p>{' and '.join(left_out)} in <code>to_polars()</code></p>" if left_out else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}{self._html_of_warnings()}"

    def _html_of_warnings(self) -> str:
        warnings = list(getattr(self, "warnings", ()))
        items = "".join(f"<li>{html.escape(str(warning))}</li>" for warning in warnings[:SHOWN_WARNINGS])
        more = len(warnings) - SHOWN_WARNINGS
        return f"<ul>{items}{f'<li>{more} more warnings</li>' if more > 0 else ''}</ul>" if items else ""


def _flat(row: msgspec.Struct, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in row.__struct_fields__:
        value: Any = getattr(row, name)
        if isinstance(value, msgspec.Struct):
            yield from _flat(value, f"{prefix}{name}_")
        elif value is not UNSET and not (isinstance(value, Iterable) and not isinstance(value, str)):
            yield prefix + name, value


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
    return html.escape(text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}...")
