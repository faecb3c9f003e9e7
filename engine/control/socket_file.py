"""The socket of a run: a file that only its user can open, in the folder of the bench, like the lock.

A path of a socket has room for about 100 bytes, so the folder is named by a descriptor where the system allows it. A
file system without sockets gets one in the user's runtime folder, under a name derived from the path of the bench.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.bench.layout import BenchPaths
from engine.opening import RUN_SOCKET
from engine.places import runtime_folder

_LONGEST_PATH = 100  # bytes; systems allow 104 to 108 with the final zero
_DESCRIPTORS = Path("/proc/self/fd")
_WAITING = 16  # connections not accepted yet
CONNECT_SECONDS = 5.0


def listen(paths: BenchPaths) -> tuple[socket.socket, Path]:
    """Return a listening socket and its file. The caller holds the lock, so an older file belongs to a dead process.

    Raises OSError if neither the folder of the bench nor that of the user takes one.
    """
    try:
        return _bind(paths.root, RUN_SOCKET)
    except OSError as error:
        if error.errno == errno.EEXIST:  # a file or a link, which is not ours to remove
            raise
        return _bind(_runtime_folder(), _name(paths))


def connect(paths: BenchPaths) -> socket.socket:
    """Return a connection to the run of a bench.

    Raises OSError: FileNotFoundError or ConnectionRefusedError where none listens, PermissionError if it is of another
    user.
    """
    try:
        return _connect(paths.root, RUN_SOCKET)
    except (FileNotFoundError, ConnectionRefusedError):
        folder = _runtime_folder(make=False)
        if not (folder / _name(paths)).exists():
            raise
        return _connect(folder, _name(paths))


def is_trusted(connection: socket.socket) -> bool:
    """Return whether the other end belongs to the same user, or to root; True where the system does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", found)
    return _is_own(user)


def remove(file: Path, listening: socket.socket) -> None:
    """Close a socket and delete its file. The caller still holds the lock, so it is no other run's."""
    listening.close()
    with contextlib.suppress(OSError):
        _clear(file)


def _bind(folder: Path, name: str) -> tuple[socket.socket, Path]:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        os.fchmod(listening.fileno(), 0o600)  # on Linux the file gets these permissions at once
        _clear(folder / name)
        with _address(folder, name) as address:
            listening.bind(address)
            Path(address).chmod(0o600)
        listening.listen(_WAITING)
    except BaseException:
        listening.close()
        raise
    return listening, folder / name


def _connect(folder: Path, name: str) -> socket.socket:
    found = (folder / name).lstat()
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.ENOTSOCK, "it is not a socket", str(folder / name))
    if not _is_own(found.st_uid):
        raise PermissionError(errno.EACCES, "it belongs to another user", str(folder / name))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_SECONDS)
        with _address(folder, name) as address:
            connection.connect(address)
        if not is_trusted(connection):
            raise PermissionError(errno.EACCES, "another user listens there", str(folder / name))
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _address(folder: Path, name: str) -> Iterator[str]:
    """Yield a path of the file that is short enough for a socket."""
    path = str(folder / name)
    if len(os.fsencode(path)) <= _LONGEST_PATH or not _DESCRIPTORS.is_dir():
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"{_DESCRIPTORS}/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def _clear(file: Path) -> None:
    """Delete the socket of a dead process. Raises FileExistsError for anything else, which is left alone."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "it is not a socket", str(file))
    file.unlink()


def _runtime_folder(*, make: bool = True) -> Path:
    """Return a folder that only this user can enter. Raises OSError if there is none."""
    folder = runtime_folder() or Path(tempfile.gettempdir()) / f"arena-tui-{os.getuid()}"
    if make:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(errno.EACCES, "it can be entered by others", str(folder))
    return folder


def _name(paths: BenchPaths) -> str:
    return hashlib.sha256(os.fsencode(paths.root.resolve())).hexdigest()[:24] + ".sock"


def _is_own(user: int) -> bool:
    return user in (os.getuid(), 0)
