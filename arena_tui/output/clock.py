"""Durations and amounts of money as people read them."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """Return `seconds` as h:mm:ss, or m:ss below an hour."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def money(amount: float) -> str:
    """Return an amount in the currency of the config's prices, with two decimals, or two digits if it is small."""
    return f"{amount:.2f}" if amount >= 0.1 or amount == 0.0 else f"{amount:.2g}"
