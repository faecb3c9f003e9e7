"""Answer lengths in tokens for formats that must have them, where the files of a bench do not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Count = Callable[[str], int]
BYTES_PER_TOKEN = 4.3  # of UTF-8, in cl100k_base, for English and for Russian alike


class Lengths:
    """Counts what is not told. `load` brings a tokenizer, or None where there is none; it is asked once, and late."""

    def __init__(self, load: Callable[[], Count | None]) -> None:
        self._load = load
        self._count: Count | None = None
        self._asked = False
        self.filled = 0  # answers whose length had to be found here

    def of(self, turns: Sequence[str], told: int | None) -> int:
        """The length of an answer: as told, else counted, else estimated from its bytes."""
        if told is not None:
            return told
        self.filled += 1
        return sum(map(self._length, turns))

    def note(self) -> str | None:
        """What a reader should know, if lengths had to be filled in."""
        if not self.filled:
            return None
        how = "counted with cl100k_base" if self._count is not None else "estimated from their bytes"
        return f"{self.filled} answers do not tell their length in tokens: it is {how}"

    def _length(self, text: str) -> int:
        if not self._asked:
            self._asked, self._count = True, self._load()
        if self._count is not None:
            return self._count(text)
        return round(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)
