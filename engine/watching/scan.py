"""Which checkpoints a folder of a training holds now. Looks again and again; reads a folder only when it changed."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from engine.checkpoint_names import step_of_name
from engine.watching.folders import FolderState, examine_folder, signature
from engine.watching.steps import TRAINER_STATE, step_in_folder

MOST_FOLDERS = 10_000
Order: TypeAlias = Literal["newest", "oldest"]
_NEVER = (".", "tmp-")  # begin the names of folders that are renamed once they are whole
_Signature: TypeAlias = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class FoundFolder:
    """One folder: its name below the folder that is watched, its state, and whether its files have stopped changing."""

    path: Path
    name: str
    state: FolderState
    step: int | None
    changed: float  # Unix seconds of its last file
    is_stable: bool

    @property
    def is_ready(self) -> bool:
        return self.state.is_complete and self.is_stable

    @property
    def waits_for(self) -> str:
        """What is missing, in words; "" for one that is ready or never will be."""
        if self.state.kind is None or self.state.refused:
            return ""
        return self.state.waits_for or ("" if self.is_stable else "its files to stop changing")


@dataclass
class _Seen:
    files: _Signature
    state: FolderState
    step: int | None
    changed: float
    looks: int = 1


class Scanner:
    """Looks at the folders below `root` that match `pattern` (by default every folder directly below it), and at others
    that are named one by one.

    A folder is stable when two looks in a row found the same files. Where other checkpoints of the same kind have
    `trainer_state.json`, which trainers write last, one without it is not complete.
    """

    def __init__(self, root: Path | None, pattern: str = "") -> None:
        self._root = root
        self._pattern = pattern
        self._seen: dict[Path, _Seen] = {}

    def look(self, named: Iterable[Path] = ()) -> list[FoundFolder]:
        """Return every checkpoint folder. Blocks on the disk: call it in a thread."""
        paths = dict.fromkeys((*self._below_root(), *named))
        for gone in self._seen.keys() - paths.keys():
            del self._seen[gone]
        for path in paths:
            self._look_at(path)
        kinds_with_state = {seen.state.kind for seen in self._seen.values() if seen.state.has_trainer_state}
        found = []
        for path in paths:
            if (seen := self._seen.get(path)) is not None:
                found.append(self._found(path, seen, expects_state=seen.state.kind in kinds_with_state))
        return found

    def _below_root(self) -> list[Path]:
        if self._root is None:
            return []
        if self._pattern:
            names = sorted(glob.glob(self._pattern, root_dir=self._root, recursive=True))  # noqa: PTH207
        else:
            try:
                names = sorted(name for name in os.listdir(self._root) if not name.startswith(_NEVER))  # noqa: PTH208
            except OSError:
                return []
        # A link such as `latest` leads to the same folder as another name.
        return [path.resolve() for name in names[:MOST_FOLDERS] if (path := self._root / name).is_dir()]

    def _look_at(self, path: Path) -> None:
        try:
            files = signature(path)
            seen = self._seen.get(path)
            if seen is not None and seen.files == files:
                seen.looks += 1
                if seen.state.is_complete or not seen.state.kind:
                    return
                seen.state = examine_folder(path)  # a subfolder may have changed
                return
            step = step_in_folder(path) if any(name == TRAINER_STATE for name, _, _ in files) else None
            changed = max((time for _, _, time in files), default=path.stat().st_mtime_ns) / 1e9
            self._seen[path] = _Seen(files, examine_folder(path), step, changed)
        except OSError:  # deleted meanwhile, or not readable
            self._seen.pop(path, None)

    def _found(self, path: Path, seen: _Seen, *, expects_state: bool) -> FoundFolder:
        root = self._root
        name = str(path.relative_to(root)) if root is not None and path.is_relative_to(root) else path.name
        state = seen.state
        if expects_state and state.is_complete and not state.has_trainer_state:
            state = FolderState(state.kind, f"{TRAINER_STATE}, which the others have")
        step = seen.step if seen.step is not None else step_of_name(name)
        return FoundFolder(path, name, state, step, seen.changed, is_stable=seen.looks > 1)


def in_order(found: Sequence[FoundFolder], order: Order) -> list[FoundFolder]:
    """Return the checkpoints by step, those without one by the time of their last file; `newest` first or last."""
    return sorted(
        found,
        key=lambda each: (each.step is not None, each.step or 0, each.changed, each.name),
        reverse=order == "newest",
    )
