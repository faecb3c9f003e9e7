"""Where the questions of a bench come from: `source.json` in its folder, written when they are added or split."""

from __future__ import annotations

import msgspec

from engine.bench.atomic import write_file
from engine.bench.layout import BenchPaths
from engine.opening import read_whole

_LARGEST = 16 << 20  # bytes


class SourceFileRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that questions were read from: its name, or path in the repository, and the digest of its content."""

    path: str
    sha256: str
    rows: int = 0


class SplitRecord(msgspec.Struct, frozen=True):
    """A part of another bench: which one, which part ("dev" or "test"), how it was drawn."""

    of: str
    part: str
    dev: int
    seed: int


class QuestionSource(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The origin of a question set. `revision` is the commit of a data set of a hub, `endpoint` the hub itself."""

    source: str  # "hub:OWNER/NAME", "file" or "split"
    added: str  # date and time, UTC
    questions: int
    files: tuple[SourceFileRecord, ...] = ()
    revision: str = ""
    endpoint: str = ""
    subset: str = ""
    split: str = ""
    columns: dict[str, str] = {}
    part_of: SplitRecord | None = None

    @property
    def named(self) -> str:
        """Return the source in one line."""
        if self.part_of is not None:
            return f"{self.part_of.part} part of {self.part_of.of}, seed {self.part_of.seed}"
        if self.revision:
            return f"{self.source}@{self.revision[:10]}"
        return self.files[0].path if self.files else self.source


def write_source(paths: BenchPaths, source: QuestionSource) -> None:
    """Record where the questions come from. Raises StorageError."""
    write_file(paths.source, msgspec.json.format(msgspec.json.encode(source), indent=2) + b"\n")


def read_source(paths: BenchPaths) -> QuestionSource | None:
    """Return where the questions come from; None where that is not recorded, or not readable."""
    try:
        return msgspec.json.decode(read_whole(paths.source, _LARGEST, pipes=False), type=QuestionSource)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
