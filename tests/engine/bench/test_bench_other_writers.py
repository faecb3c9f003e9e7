"""Another program edits a file of the bench while a run writes to it: its edit is kept and reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.bench.stored import load_answers
from engine.bench.writer import BenchWriter
from engine.records import AnswerRecord, Choice, Turn


def answer(number: int) -> AnswerRecord:
    return AnswerRecord(f"q{number}", "a", "m", (Choice(0, (Turn("text", 1),)),))


THEIRS = b'{"question_id": "theirs", "choices": [{"turns": [{"content": "by hand"}]}]}\n'


def append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(THEIRS)


def append_without_an_end(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(THEIRS.rstrip())


def save_anew(path: Path) -> None:
    """As most editors do: another file under the old name."""
    fresh = path.with_name("fresh")
    fresh.write_bytes(THEIRS)
    fresh.replace(path)


def save_in_place(path: Path) -> None:
    path.write_bytes(THEIRS)


def change_a_byte(path: Path) -> None:
    data = path.read_bytes().replace(b'"text"', b'"TEXT"')
    left = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(left.st_atime_ns, left.st_mtime_ns + 1_000_000))


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("edit", "reported", "kept"),
    [
        (append, "appended", {"q0", "theirs", "q1"}),
        (append_without_an_end, "appended", {"q0", "theirs", "q1"}),
        (save_anew, "rewritten", {"theirs", "q1"}),
        (save_in_place, "rewritten", {"theirs", "q1"}),
        (change_a_byte, "rewritten", {"q0", "q1"}),
        (remove, "removed", {"q1"}),
    ],
)
async def test_an_edit_is_kept_noticed_and_what_is_saved_afterwards_is_in_the_file_of_that_name(
    bench, edit, reported, kept
):
    path, changes, saved = bench.answers("m"), [], []
    async with BenchWriter(bench, saved.extend, changes.append) as writer:
        writer.append(path, answer(0), "first")
        await writer.flush()
        edit(path)
        writer.append(path, answer(1), "second")
        await writer.flush()
        assert saved == ["first", "second"]
    assert [(change.path, change.how) for change in changes] == [(path, reported)]
    assert f"{path}: another program has {reported}" in str(changes[0])
    assert set(load_answers(path).items) == kept
    assert path.read_bytes().endswith(b"\n")


async def test_an_edit_after_the_last_write_is_reported_when_the_run_ends(bench):
    path, changes = bench.answers("m"), []
    async with BenchWriter(bench, on_change=changes.append) as writer:
        writer.append(path, answer(0))
        await writer.flush()
        save_anew(path)
    assert [change.how for change in changes] == ["rewritten"]
    assert path.read_bytes() == THEIRS


async def test_our_own_writes_are_no_changes_by_others(bench):
    changes = []
    async with BenchWriter(bench, on_change=changes.append) as writer:
        for number in range(200):
            writer.append(bench.answers(f"m{number % 50}"), answer(number))
            if number % 20 == 0:
                await writer.flush()
    assert changes == []
