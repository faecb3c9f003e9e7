"""Bars of text: they keep their meaning without colour."""

from __future__ import annotations

from rich.text import Text

from arena_tui.theme import Inks

_FULL, _EMPTY = "━", "╌"


def bar(share: float, width: int, ink: Inks) -> Text:
    """A bar of `width` columns, `share` (0..1) of it full."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return Text.assemble((_FULL * full, ink.bar), (_EMPTY * (width - full), ink.muted))


def percent(share: float | None) -> str:
    """A share (0..1) in percent, `-` when it is not known."""
    return "-" if share is None else f"{100 * share:.0f}%"


def short_number(value: float) -> str:
    """A number in at most five columns: 7, 84.2, 1204, 38.1k, 2.4M."""
    if value < 99.95:
        return f"{value:.1f}" if value % 1 and value < 99.95 else f"{value:.0f}"
    if value < 9999.5:
        return f"{value:.0f}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if value < 999.5 * size:
            return f"{value / size:.1f}{unit}" if value < 99.95 * size else f"{value / size:.0f}{unit}"
    return f"{value / 1e12:.0f}T"


def short_seconds(seconds: float | None) -> str:
    """Seconds in at most five columns: 84ms, 1.4s, 38s, 2:05, `-` when not known."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 99.5:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}"
