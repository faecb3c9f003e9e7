"""Names of models as file names, and names that are easily confused. Pure.

Any name that a config or a server may use has a file name of its own, from which it can be read back. Ordinary names
stay unchanged, so existing arena-hard folders work as they are. A name that could leave its folder, hide, break a
terminal or exceed what a file system takes is written with `%XX` escapes (`Qwen/Qwen2` is `Qwen%2FQwen2`), a very long
one as its beginning and a digest. Two different names never share a file: a name stays unchanged only if it could not
be the written form of another.

Names that look alike (`aya-23-8B` and `Aya-23-8b`, or the same with a Cyrillic a) are two models with two files. People
who read a table confuse them, and some file systems do not distinguish `A` from `a`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import unquote_to_bytes

LONGEST = 180  # bytes of a file name without its suffixes; file systems take 255

_DIGEST_MARK = "%~"
_SHORTENED = re.compile(r".*%~[0-9a-f]{32}", re.DOTALL)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE | re.DOTALL)

# Letters of other alphabets that are drawn as Latin ones, after case folding.
_DRAWN_ALIKE = str.maketrans(
    "авеёікмнорстухѕјԁһԛԝαβεικνορτυχγ" + "‐‑‒–—―−_",
    "abeeikmhopctyxsjdhqwabeikvoptuxy" + "--------",
)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Mn"})


@lru_cache(maxsize=4096)
def file_stem(name: str) -> str:
    """Return the file (or folder) name for a model, without suffix: injective, never empty, never a path."""
    if _is_ordinary(name):
        return name
    escaped = _escape(name)
    return escaped if len(_bytes(escaped)) <= LONGEST else _shorten(name, escaped)


def model_name(stem: str) -> str | None:
    """Return the name that `file_stem` wrote as `stem`.

    None if the stem is a shortened one (the name is only in the records of the file), or if `file_stem` never writes
    it, so that no name leads to that file.
    """
    if is_shortened(stem):
        return None
    for candidate in (_unescape(stem), stem):
        if file_stem(candidate) == stem:
            return candidate
    return None


def is_shortened(stem: str) -> bool:
    """Whether `stem` stands for a name too long for a file name."""
    return _SHORTENED.fullmatch(stem) is not None


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of different names that look alike, sorted."""
    return _groups(names, _drawn)


def same_on_disk(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of names that differ only in case, or in how an accent is encoded, sorted."""
    return _groups(names, _folded)


def _is_ordinary(name: str) -> bool:
    if not name or len(_bytes(name)) > LONGEST or _RESERVED.fullmatch(name):
        return False
    if name[0] == "." or name[-1] in ". " or any(map(_is_unsafe, name)):
        return False
    return not _looks_escaped(name)


def _looks_escaped(name: str) -> bool:
    return "%" in name and (is_shortened(name) or _escape(_unescape(name)) == name)


def _is_unsafe(character: str) -> bool:
    return character in "/\\" or not character.isprintable()


def _escape(name: str) -> str:
    """Write `%XX` for `%` itself and for all that is not safe at its position; "%" alone is the empty name."""
    if not name:
        return "%"
    reserved = _RESERVED.fullmatch(name) is not None
    last = len(name) - 1
    written = []
    for at, character in enumerate(name):
        exposed = (at == 0 and (reserved or character == ".")) or (at == last and character in ". ")
        if exposed or character == "%" or _is_unsafe(character):
            written.append("".join(f"%{byte:02X}" for byte in _bytes(character)))
        else:
            written.append(character)
    return "".join(written)


def _unescape(stem: str) -> str:
    if stem == "%":
        return ""
    try:
        return unquote_to_bytes(_bytes(stem)).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return stem


def _shorten(name: str, escaped: str) -> str:
    tail = _DIGEST_MARK + blake2b(_bytes(name), digest_size=16).hexdigest()
    return _bytes(escaped)[: LONGEST - len(tail)].decode("utf-8", "ignore") + tail


def _bytes(text: str) -> bytes:
    """Encode as UTF-8, lone surrogates included: names come from outside."""
    return text.encode("utf-8", "surrogatepass")


def _groups(names: Iterable[str], form: Callable[[str], str]) -> list[tuple[str, ...]]:
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(form(name), set()).add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _drawn(name: str) -> str:
    """Reduce a name to what is clearly visible of it."""
    plain = unicodedata.normalize("NFKC", name).casefold().translate(_DRAWN_ALIKE)
    decomposed = unicodedata.normalize("NFKD", plain)
    seen = "".join(each for each in decomposed if unicodedata.category(each) not in _UNSEEN)
    return " ".join(seen.split())
