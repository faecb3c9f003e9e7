"""Opens files that others may have made: regular files only, never through a link out of their folder.

A named pipe blocks who opens it, a device has no end, a sparse file takes hours to read, and a link in a folder from
elsewhere may lead to any file of this machine. `check_tree` examines a folder, the other functions open one file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from engine.errors import BenchError

RUN_SOCKET = ".run.sock"  # of the run of a bench, in its folder; never opened as a file
_LARGE = 1 << 30  # bytes; a file of this size is examined for holes
_MOST_HOLES = 64  # times as large as what is on disk of it
_MOST_NAMED = 5
_PIPES = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")  # where a shell puts the output of a command
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path, *, buffering: int = -1, pipes: bool = False) -> BinaryIO:
    """Open a file to read. Raises OSError for anything but a regular file, and for one of holes.

    With `pipes`, the pipe of a shell (`<(command)`, `/dev/stdin`) is opened as well.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if pipes and stat.S_ISFIFO(found.st_mode) and str(path).startswith(_PIPES):
            os.set_blocking(descriptor, True)
        else:
            require_regular(found, path)
            _require_data(descriptor, found, path)
        return os.fdopen(descriptor, "rb", buffering)
    except BaseException:
        os.close(descriptor)
        raise


def read_whole(path: Path, most: int, *, pipes: bool = True) -> bytes:
    """Return the content of a file. Raises OSError, also for one of more than `most` bytes."""
    with open_regular(path, pipes=pipes) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB", str(path))
    return data


def open_to_write(path: Path, flags: int) -> int:
    """Return the descriptor of a regular file that is opened to write, made if it is missing, and never a link.

    Raises OSError.
    """
    flags |= os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, which is never written through", str(path)) from None
        raise
    try:
        require_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def require_regular(found: os.stat_result, path: Path) -> None:
    """Raise OSError if a file is a folder, a pipe, a socket or a device."""
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if (kind := _special(found.st_mode)) is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def check_tree(folder: Path, *trees: Path) -> None:
    """Raise BenchError if `folder` or a link in it leads out of the `trees`, or if a pipe or a device is in it."""
    problems = list(_problems(folder, _resolved(trees)))
    if problems:
        more = f"\n  and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        raise BenchError(
            "\n  ".join(problems[:_MOST_NAMED]) + more,
            "put the file itself there, or remove it; the folder of a bench as a whole may be a link",
        )


def leads_out(path: Path, *trees: Path) -> bool:
    """Return whether a path, links followed, is outside of all `trees`."""
    return _is_outside(Path(os.path.realpath(path)), _resolved(trees))


def _resolved(trees: Collection[Path]) -> set[Path]:
    """Return the trees without links. The cache of a hub keeps contents beside its folders of links: it is one tree."""
    resolved = {tree.resolve() for tree in trees}
    return resolved | {hub for tree in resolved if (hub := _hub(tree)) is not None}


def _is_outside(target: Path, trees: set[Path]) -> bool:
    return not any(target.is_relative_to(tree) for tree in trees)


def _problems(folder: Path, trees: set[Path]) -> Iterator[str]:
    waiting = [str(folder)]
    if _is_outside(target := folder.resolve(), trees):
        yield f"{folder}: is a link to {target}, which is outside of what is imported"
        return
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            continue  # who reads in it reports it
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.is_symlink():
                target = Path(os.path.realpath(entry.path))
                if _is_outside(target, trees):
                    yield f"{entry.path}: is a link to {target}, which is outside of the bench"
            elif not entry.is_file(follow_symlinks=False):
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISSOCK(mode) and entry.name == RUN_SOCKET:
                    continue
                kind = _special(mode)
                yield f"{entry.path}: is {kind or 'no file'}"


def _hub(folder: Path) -> Path | None:
    """Return the folder of a repository in the cache of a hub that `folder` is part of."""
    for each in (folder, *folder.parents):
        if each.parent.name == "snapshots" and (each.parent.parent / "blobs").is_dir():
            return each.parent.parent
    return None


def _special(mode: int) -> str | None:
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), None)


def _require_data(descriptor: int, found: os.stat_result, path: Path) -> None:
    """Raise OSError for a large file that is nearly all holes."""
    if found.st_size < _LARGE or found.st_blocks * 512 * _MOST_HOLES > found.st_size:
        return
    if os.lseek(descriptor, 0, os.SEEK_HOLE) < found.st_size:  # the size itself where a file system knows no holes
        on_disk = found.st_blocks * 512
        raise OSError(
            errno.EINVAL, f"{on_disk} of its {found.st_size} bytes are on disk, the rest are holes", str(path)
        )
    os.lseek(descriptor, 0, os.SEEK_SET)
