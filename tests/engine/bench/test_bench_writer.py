"""The one writer: order, announcement after the disk, and what happens when the disk does not take it."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.bench.appender import Appender, Disk
from engine.bench.layout import BenchPaths
from engine.bench.stored import load_answers
from engine.bench.writer import BenchWriter
from engine.errors import StorageError
from engine.records import AnswerRecord, Choice, Turn

REPOSITORY = Path(__file__).resolve().parents[3]


def answer(number: int | str, size: int = 10) -> AnswerRecord:
    return AnswerRecord(str(number), "a", "m", (Choice(0, (Turn("x" * size, 1),)),))


async def let_a_batch_leave() -> None:
    """Give the writer its turns: what is more than a batch goes to the thread without waiting."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_records_of_many_files_are_announced_in_the_order_of_their_appends(bench: BenchPaths):
    announced: list[object] = []
    async with BenchWriter(bench, announced.extend) as writer:
        for number in range(500):
            writer.append(bench.answers(f"m{number % 40}"), answer(number), number)
            if number % 50 == 0:
                await asyncio.sleep(0)
    assert announced == list(range(500))
    stored = {key for model in bench.models_with_answers() for key in load_answers(bench.answers(model)).items}
    assert stored == {str(number) for number in range(500)}


async def test_what_is_announced_is_on_disk_already(bench):
    seen = []

    def look(tokens):
        stored = load_answers(bench.answers("m")).items
        seen.extend(str(token) in stored for token in tokens)

    async with BenchWriter(bench, look) as writer:
        for number in range(50):
            writer.append(bench.answers("m"), answer(number), number)
            if number % 10 == 0:
                await writer.flush()
    assert seen == [True] * 50


async def test_a_flush_returns_when_all_before_it_is_announced(bench):
    announced: list[object] = []
    async with BenchWriter(bench, announced.extend) as writer:
        await writer.flush()
        writer.append(bench.answers("m"), answer(1), "first")
        await writer.flush()
        assert announced == ["first"]
        writer.append(bench.answers("m"), answer(2), "second")
        writer.append(bench.journal, answer(3))  # nothing to announce
        await writer.flush()
        assert announced == ["first", "second"]


async def test_records_go_to_disk_by_themselves(bench):
    saved = asyncio.Event()
    async with BenchWriter(bench, lambda tokens: saved.set()) as writer:
        writer.append(bench.answers("m"), answer(1), "token")
        await asyncio.wait_for(saved.wait(), 5)


async def test_leaving_by_an_error_still_writes_everything(bench):
    async def work():
        async with BenchWriter(bench) as writer:
            writer.append(bench.answers("m"), answer(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert set(load_answers(bench.answers("m")).items) == {"1"}


async def test_being_cancelled_again_and_again_while_leaving_still_writes_everything(bench):
    announced: list[object] = []
    appended = asyncio.Event()

    async def work():
        async with BenchWriter(bench, announced.extend) as writer:
            for number in range(300):
                writer.append(bench.answers("m"), answer(number, size=20_000), number)
            appended.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await appended.wait()
    while not task.done():
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stored = load_answers(bench.answers("m"))
    assert stored.problems == ()
    assert len(stored.items) == 300
    assert announced == list(range(300))


def test_a_loop_torn_down_by_a_second_ctrl_c_still_writes_everything(bench):
    announced: list[object] = []

    def interrupt():
        raise KeyboardInterrupt

    async def work():
        async with BenchWriter(bench, announced.extend) as writer:
            for number in range(300):
                writer.append(bench.answers("m"), answer(number, size=20_000), number)
                if number == 200:
                    await let_a_batch_leave()
            asyncio.get_running_loop().call_soon(interrupt)
            await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(work())
    assert len(load_answers(bench.answers("m")).items) == 300
    assert announced == list(range(300))


async def test_a_flush_in_the_middle_waits_for_the_batch_on_its_way(bench):
    announced: list[object] = []
    async with BenchWriter(bench, announced.extend) as writer:
        writer.append(bench.answers("m"), answer(1, size=2 << 20), "large")
        await let_a_batch_leave()
        await writer.flush()
        assert announced == ["large"]


async def test_nothing_can_be_appended_after_the_end(bench):
    async with BenchWriter(bench) as writer:
        pass
    with pytest.raises(RuntimeError):
        writer.append(bench.answers("m"), answer(1))


class FullDisk(Disk):
    """A disk that is full after the first file."""

    def __init__(self) -> None:
        self.first: int | None = None

    def write(self, descriptor: int, data: bytes) -> int:  # type: ignore[override]
        self.first = descriptor if self.first is None else self.first
        if descriptor != self.first:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(descriptor, data)


async def test_a_full_disk_ends_the_run_with_a_hint_and_announces_nothing(bench):
    announced: list[object] = []

    async def work():
        async with BenchWriter(bench, announced.extend, disk=FullDisk()) as writer:
            writer.append(bench.answers("good"), answer(1), "good")
            writer.append(bench.answers("full"), answer(2), "lost")
            with pytest.raises(StorageError):
                await writer.flush()
            with pytest.raises(StorageError):
                writer.append(bench.answers("good"), answer(3), "too late")

    with pytest.raises(StorageError) as failed:
        await work()
    assert os.strerror(errno.ENOSPC) in failed.value.title
    assert str(bench.answers("full")) in failed.value.title
    assert "free some disk space" in failed.value.hint
    assert announced == ["good"]


async def test_a_folder_that_cannot_be_made_ends_the_run(bench):
    bench.answers_dir.write_text("a file stands where the folder should be")
    writer = BenchWriter(bench)
    await writer.__aenter__()
    writer.append(bench.answers("m"), answer(1))
    with pytest.raises(StorageError):
        await writer.__aexit__(None, None, None)


async def test_an_exception_of_a_listener_is_raised_but_loses_nothing(bench):
    def stumble(tokens):
        raise LookupError("a listener's mistake")

    writer = BenchWriter(bench, stumble)
    await writer.__aenter__()
    writer.append(bench.answers("m"), answer(1), "token")
    writer.append(bench.answers("m"), answer(2), "token")
    with pytest.raises(LookupError):
        await writer.__aexit__(None, None, None)
    assert set(load_answers(bench.answers("m")).items) == {"1", "2"}


def test_a_write_that_falls_short_leaves_whole_lines_only(bench, tmp_path):
    """A process whose files may not grow beyond 10,000 bytes: the system cuts its write short inside a line."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from engine.bench.appender import Appender, Disk

        path = Path(sys.argv[1])
        appender = Appender()
        first = appender.write({path: [b"a" * 2999 + b"\\n"]})
        second = appender.write({path: [b"b" * 2999 + b"\\n"] * 4})
        print(first.lines[path], first.error is None, second.lines[path], second.error.title.split(": ")[-1], sep="|")
    """)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    path = tmp_path / "file.jsonl"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(path)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(REPOSITORY)},
    )
    assert done.stdout.strip() == f"1|True|2|{os.strerror(errno.EFBIG)}"
    assert path.read_bytes() == b"a" * 2999 + b"\n" + (b"b" * 2999 + b"\n") * 2


@pytest.fixture
def appender():
    appender = Appender()
    yield appender
    appender.close()


def test_a_line_that_someone_left_without_its_end_does_not_swallow_ours(appender, tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'{"torn')
    appender.write({path: [b"1\n"]})
    with path.open("ab") as hand:
        hand.write(b"by hand")
    appender.write({path: [b"2\n", b"3\n"]})
    assert path.read_bytes() == b'{"torn\n1\nby hand\n2\n3\n'


def test_a_file_that_an_editor_replaced_is_written_on(appender, tmp_path):
    path = tmp_path / "file.jsonl"
    appender.write({path: [b"1\n"]})
    edited = tmp_path / "file.jsonl~"
    edited.write_bytes(b"edited\n")
    edited.replace(path)
    appender.write({path: [b"2\n"]})
    path.unlink()
    appender.write({path: [b"3\n"]})
    assert path.read_bytes() == b"3\n"


def test_more_files_than_are_kept_open_are_written_all_the_same(appender, tmp_path):
    paths = [tmp_path / f"{number}.jsonl" for number in range(100)]
    for line in (b"1\n", b"2\n"):
        assert appender.write({path: [line] for path in paths}).error is None
    assert {path.read_bytes() for path in paths} == {b"1\n2\n"}


def test_files_of_a_bench_are_not_world_writable(appender, tmp_path):
    path = tmp_path / "new" / "file.jsonl"
    appender.write({path: [b"1\n"]})
    assert path.stat().st_mode & 0o022 == 0
