"""Servers that register themselves in a folder, for runs on other machines: one small file for each server.

A file holds host, port, model and expiry, never a key. A server renews its file while it serves and removes it at its
end; the file of one that was killed expires. Clocks of machines may differ by less than the time between two expiries.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec

from engine.bench.atomic import write_file
from engine.bench.names import file_stem
from engine.errors import StorageError

LIFETIME = timedelta(seconds=90)  # of a file that is not renewed
RENEWED_EVERY = 20.0  # seconds
LARGEST_FILE = 1 << 16  # bytes
_SUFFIX = ".server.json"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})")


class Registration(msgspec.Struct, frozen=True):
    """A server that serves `model`, under the name that requests use, until `expires`."""

    host: str
    port: int
    model: str
    expires: datetime

    @property
    def base_url(self) -> str:
        return base_url(self.host, self.port)

    def file(self, folder: Path) -> Path:
        """Return the file of this server in a folder."""
        return folder / f"{file_stem(f'{self.host} {self.port}')}{_SUFFIX}"


def base_url(host: str, port: int) -> str:
    """Return the address above the API's paths of a vLLM server."""
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def registered(folder: Path, model: str) -> list[Registration]:
    """Return the servers of a model that are registered now, by host and port. Blocks on the disk.

    Files that hold something else are skipped. Raises StorageError for a folder that cannot be read.
    """
    now, found = datetime.now(UTC), []
    try:
        files = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror}", "check its permissions") from error
    for file in files:
        each = _read(file) if file.name.endswith(_SUFFIX) else None
        if each is not None and each.model == model and each.expires > now:
            found.append(each)
    return sorted(found, key=lambda each: (each.host, each.port))


def _read(file: Path) -> Registration | None:
    try:
        with file.open("rb") as stream:
            each = msgspec.json.decode(stream.read(LARGEST_FILE), type=Registration)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # it was removed meanwhile, or is no such file
        return None
    is_valid = 0 < each.port < 1 << 16 and _is_host(each.host) and each.expires.tzinfo is not None
    return each if is_valid else None


def _is_host(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return _HOST.fullmatch(host) is not None


class Registrar:
    """Keeps the files of the servers that are ready now in a folder, and no other of this process.

    `ready` returns their hosts and ports. `changed` must be called when they change, `run` until cancelled; then the
    files are removed. `on_problem` is called when files cannot be written, once for each series of failures.
    """

    def __init__(
        self,
        folder: Path,
        model: str,
        ready: Callable[[], Iterable[tuple[str, int]]],
        on_problem: Callable[[StorageError], None],
    ) -> None:
        self._folder = folder
        self._model = model
        self._ready = ready
        self._on_problem = on_problem
        self._written: set[Path] = set()
        self._change = asyncio.Event()
        self._has_failed = False

    def changed(self) -> None:
        """Note that servers became ready or went down."""
        self._change.set()

    async def run(self) -> None:
        """Write and renew the files until cancelled, and remove them."""
        try:
            while True:
                self._change.clear()
                await self._renew()
                try:
                    async with asyncio.timeout(RENEWED_EVERY):
                        await self._change.wait()
                except TimeoutError:
                    pass
        finally:
            for file in self._written:
                file.unlink(missing_ok=True)

    async def _renew(self) -> None:
        expires = (datetime.now(UTC) + LIFETIME).replace(microsecond=0)
        current = [Registration(host, port, self._model, expires) for host, port in self._ready()]
        files = {each.file(self._folder): msgspec.json.encode(each) for each in current}
        gone, self._written = self._written - set(files), self._written | set(files)
        try:
            await asyncio.to_thread(_replace, files, gone)
        except StorageError as error:
            if not self._has_failed:
                self._on_problem(error)
            self._has_failed = True
            return
        self._has_failed = False
        self._written -= gone


def _replace(files: dict[Path, bytes], gone: Iterable[Path]) -> None:
    for file in gone:
        file.unlink(missing_ok=True)
    for file, content in files.items():
        write_file(file, content)


def own_address() -> str:
    """Return the address of this machine under which others reach it: that of its default route, else of its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # no packet is sent
            return str(probe.getsockname()[0])
        except OSError:
            pass
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"
