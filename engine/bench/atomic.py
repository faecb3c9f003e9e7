"""Files that appear under their name only when they are whole, and folders of them likewise."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from engine.bench.appender import storage_error, sync_folder


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; under `path` once the context is left without an error, else not at all. Raises StorageError.

    What stands there already is replaced in one step. Folders on the way are made.
    """
    partial = partial_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill; its files are under `folder` once the context is left without an error, else none of them.

    If `folder` is there, files of the same name are replaced one by one and others left alone. Raises StorageError.
    """
    partial = partial_name(folder)
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            for file in sorted(found for found in partial.rglob("*") if found.is_file()):
                target = folder / file.relative_to(partial)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
        else:
            partial.replace(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise storage_error(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_name(path: Path) -> Path:
    """Where `path` is written until it is whole: beside it, hidden, and not where another process writes the same."""
    return path.with_name(f".{path.name[:100]}.{os.getpid()}.partial")
