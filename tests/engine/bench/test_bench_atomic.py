"""Files and folders appear whole or not at all, and what they replace stays until then."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import engine
from engine.bench.atomic import atomic_file, atomic_folder, partial_name, write_file
from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock
from engine.errors import StorageError
from engine.serving.process import record_server


def test_a_file_appears_when_it_is_whole_with_the_folders_around_it(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    with atomic_file(path) as stream:
        stream.write(b"half")
        assert not path.exists()
        stream.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_file(path, b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as stream:
        stream.writelines(b"new" if number else bytes(1 // number) for number in (1, 0))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_replaced_passes_its_permissions_on(tmp_path):
    path = tmp_path / "file.txt"
    write_file(path, b"old")
    path.chmod(0o600)
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written: Not a directory"):
        write_file(tmp_path / "file" / "inner.txt", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        write_file(tmp_path / "folder", b"")
    with pytest.raises(StorageError), atomic_file(tmp_path / "absent" / "file.txt", make_folders=False):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_appears_when_it_is_whole(tmp_path):
    folder = tmp_path / "out"
    with atomic_folder(folder) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "a.txt").write_bytes(b"a")
        assert partial == partial_name(folder)
        assert not folder.exists()
    assert (folder / "inner" / "a.txt").read_bytes() == b"a"
    assert list(tmp_path.iterdir()) == [folder]


def test_into_an_existing_folder_files_are_replaced_one_by_one_and_others_stay(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"old")
    (folder / "other.txt").write_bytes(b"other")
    with atomic_folder(folder) as partial:
        (partial / "a.txt").write_bytes(b"new")
        (partial / "inner").mkdir()
        (partial / "inner" / "b.txt").write_bytes(b"b")
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.txt")}
    assert contents == {"a.txt": b"new", "other.txt": b"other", "inner/b.txt": b"b"}


def test_an_error_while_filling_a_folder_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "out") as partial:
        (partial / "a.txt").write_bytes(bytes(1 // 0))
    assert not list(tmp_path.iterdir())


def test_small_files_are_replaced_by_the_one_function_that_syncs_them():
    """A file that is written in its place is empty after a crash of the machine."""
    root = Path(engine.__file__).parents[1]
    allowed = {"engine/bench/atomic.py", "engine/batch/ray_job.py"}  # the job runs without the rest, and syncs itself
    found = [
        path.relative_to(root).as_posix()
        for package in ("engine", "arena_tui")
        for path in (root / package).rglob("*.py")
        if re.search(r"\.write_(bytes|text)\(|O_TRUNC|open\([^)]*[\"']w[\"']", path.read_text("utf-8"))
    ]
    assert set(found) <= allowed


def test_the_owner_of_a_lock_is_replaced_and_never_truncated(tmp_path):
    paths = BenchPaths(tmp_path)
    owner = tmp_path / f"{paths.lock.name}.owner"
    owner.write_bytes(b"of a crash")
    with owner.open("rb") as old, BenchLock(paths):
        assert old.read() == b"of a crash"
        assert f'"pid": {os.getpid()}' in owner.read_text()
    assert not owner.exists()


def test_the_ledger_of_a_server_is_replaced_and_never_truncated(tmp_path):
    file = tmp_path / f"server-{os.getpid()}.json"
    file.write_bytes(b"of a crash")
    with file.open("rb") as old:
        assert record_server(tmp_path, "m", os.getpid(), os.getpid(), "mark") == file
        assert old.read() == b"of a crash"
    assert file.read_bytes().startswith(b"{")
    (tmp_path / "file").touch()
    assert record_server(tmp_path / "file", "m", os.getpid(), os.getpid(), "mark") is None
