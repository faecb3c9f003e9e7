"""Names of models that a reader, or a file system, takes for one another. Pure.

On disk they are two models: `aya-23-8B` and `Aya-23-8b` have two files, and so has `aya-23-8B` with a Cyrillic a. But
who reads a table cannot tell them apart, and some file systems do not tell `A` from `a`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable

# Letters of other alphabets that are drawn as Latin ones, after case folding.
_DRAWN_ALIKE = str.maketrans(
    "авеёікмнорстухѕјԁһԛԝαβεικνορτυχγ" + "‐‑‒–—―−_",
    "abeeikmhopctyxsjdhqwabeikvoptuxy" + "--------",
)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Mn"})


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of two or more different names that look alike, sorted."""
    return _groups(names, _drawn)


def same_on_disk(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names that are one where upper and lower case, and ways to write an accent, are not told."""
    return _groups(names, _folded)


def _groups(names: Iterable[str], form: Callable[[str], str]) -> list[tuple[str, ...]]:
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(form(name), set()).add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _drawn(name: str) -> str:
    """What is left of a name when everything is taken away that hardly shows."""
    plain = unicodedata.normalize("NFKC", name).casefold().translate(_DRAWN_ALIKE)
    decomposed = unicodedata.normalize("NFKD", plain)
    seen = "".join(each for each in decomposed if unicodedata.category(each) not in _UNSEEN)
    return " ".join(seen.split())
