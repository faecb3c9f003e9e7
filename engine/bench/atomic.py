"""The one way to write or replace a file or folder: beside it, fsync, rename, fsync of the folder around it.

A reader sees the old content or the new, never a part of it, and what was written outlasts a crash of the machine.
(Record files are appended to instead, see `engine.bench.appender`.)
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from engine.errors import StorageError, UsageProblem
from engine.opening import open_to_write


@contextmanager
def atomic_file(path: Path, *, make_folders: bool = True) -> Iterator[BinaryIO]:
    """Open a file to write that appears under `path` when the context ends without an error.

    A file that is replaced passes its permissions on. Missing folders on the way are made if `make_folders`. Raises
    StorageError, and UsageProblem for the path of a pipe or a device.
    """
    partial = partial_name(path)
    try:
        if make_folders:
            make_folder(path.parent)
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UsageProblem(f"{path}: a pipe or a device, which cannot be replaced", "give the path of a file")
        descriptor = open_to_write(partial, os.O_RDWR | os.O_TRUNC)
        with os.fdopen(descriptor, "w+b") as stream:
            with suppress(OSError):  # there is no such file, or the file system knows no permissions
                os.fchmod(descriptor, path.stat().st_mode & 0o7777)
            yield stream
            stream.flush()
            os.fsync(descriptor)
        partial.replace(path)
        sync(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write or replace a small file. Raises StorageError."""
    with atomic_file(path) as stream:
        stream.write(data)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Open a folder to fill; its files appear under `folder` when the context ends without an error.

    If `folder` exists, files of the same name are replaced one by one and others stay. Raises StorageError.
    """
    partial = partial_name(folder)
    try:
        make_folder(partial)
        yield partial
        written = sorted(partial.rglob("*"))
        for each in (*written, partial):
            sync(each)
        if not folder.exists():
            partial.replace(folder)
            sync(folder.parent)
            return
        targets = {file: folder / file.relative_to(partial) for file in written if file.is_file()}
        for file, target in targets.items():
            make_folder(target.parent)
            file.replace(target)
        for parent in {target.parent for target in targets.values()}:
            sync(parent)
    except OSError as error:
        raise storage_error(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_name(path: Path) -> Path:
    """Return where `path` is written until it is whole: beside it, hidden, with the id of this process in its name."""
    return path.with_name(f".{path.name[:100]}.{os.getpid()}.partial")


def make_folder(folder: Path) -> None:
    """Make a folder and those around it, each so that its name outlasts a crash of the machine. Raises OSError."""
    if folder.is_dir():
        return
    if folder.exists():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, outlast a crash of the machine, where the system can. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def storage_error(path: Path, error: OSError) -> StorageError:
    """Return the error for a file that could not be written, with what to do about it."""
    hints = {
        errno.ENOSPC: "free some disk space",
        errno.EDQUOT: "free some of your disk quota",
        errno.EFBIG: "the file has reached the largest size allowed here",
        errno.EROFS: "the file system is mounted read-only",
        errno.EACCES: "the folder must be writable",
        errno.EPERM: "the folder must be writable",
        errno.ELOOP: "put the file itself there, or remove the link",
    }
    hint = hints.get(error.errno or 0, "check the disk and the folder")
    why = error.strerror or str(error)
    return StorageError(
        f"{path}: cannot be written: {why}", f"{hint}, then run the same command again: what was saved is kept"
    )
