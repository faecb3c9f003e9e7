"""Files that hold records in another form than JSON lines, by their first bytes and by their names."""

from __future__ import annotations

from pathlib import Path

UNPACK = "unpack it, or convert it to JSON lines"
MAGIC_BYTES = 8
_MAGIC = {
    b"\x1f\x8b": "compressed with gzip",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\0": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"SQLite": "a database of SQLite",
}
_ENDS = (".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".parquet", ".arrow", ".feather")


def packed_kind(first: bytes) -> str | None:
    """Return what a file is that begins with these bytes, None for text."""
    return next((kind for magic, kind in _MAGIC.items() if first.startswith(magic)), None)


def is_packed(file: Path) -> bool:
    """Whether the name of a file says that it is compressed or a table."""
    return file.name.lower().endswith(_ENDS)


def packed_file(wanted: Path) -> Path | None:
    """Return a packed file beside the place of `wanted` that holds its content by its name."""
    beside = wanted.parent.glob(f"{wanted.stem}*") if wanted.parent.is_dir() else ()
    return next((file for file in sorted(beside) if is_packed(file)), None)
