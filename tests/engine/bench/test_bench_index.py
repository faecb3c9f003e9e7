"""The index is a cache and nothing else: whatever happens to files and index, it says what the files say now."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench import Bench
from engine.bench.index import BenchIndex, Table
from engine.bench.layout import BenchPaths
from engine.bench.stored import load_answers, load_judgments, load_questions
from engine.labels import LABELS, labels_of

OLD = time.time_ns() - 60_000_000_000  # a file of that time is not looked at byte by byte


def answer(key: Any, text: Any, **more: Any) -> dict[str, Any]:
    return {"question_id": key, "choices": [{"index": 0, "turns": [{"content": text, "token_len": 3}]}], **more}


def answer_2(key: Any, text: str) -> dict[str, Any]:
    return {
        "uid": key,
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": {"answer": text}}],
    }


def judgment(key: Any, *scores: str | None, **more: Any) -> dict[str, Any]:
    return {"question_id": key, "games": [{"user_prompt": "p", "judgment": "x", "score": s} for s in scores], **more}


def judgment_2(key: Any, *scores: str | None) -> dict[str, Any]:
    games = [score and {"score": score, "judgment": {"answer": "x"}, "prompt": []} for score in scores]
    return {"uid": key, "baseline": "base", "games": games}


def question(key: Any, text: str) -> dict[str, Any]:
    return {"question_id": key, "category": "c", "turns": [{"content": text}]}


def lines(*records: dict[str, Any] | bytes, ascii_only: bool = False) -> bytes:
    rows = (
        each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        for each in records
    )
    return b"".join(row + b"\n" for row in rows)


def put(path: Path, data: bytes, *, settled: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if settled:
        os.utime(path, ns=(OLD, OLD))
    return path


def seen(table: Table) -> Any:
    return table.frame.rows(), [str(problem) for problem in table.problems]


def fresh(paths: BenchPaths, kind: str) -> Any:
    """What a reader without any cache sees."""
    with_cache = paths.index
    hidden = with_cache.with_name(".hidden")
    if with_cache.exists():
        with_cache.rename(hidden)
    try:
        return look(BenchIndex(paths), kind)
    finally:
        shutil.rmtree(with_cache, ignore_errors=True)
        if hidden.exists():
            hidden.rename(with_cache)


def look(index: BenchIndex, kind: str) -> Any:
    tables: dict[str, Callable[[], Table]] = {
        "questions": index.questions,
        "answers": lambda: index.answers("m"),
        "judgments": lambda: index.judgments("j", "m"),
    }
    return seen(tables[kind]())


def file_of(paths: BenchPaths, kind: str) -> Path:
    return {"questions": paths.questions, "answers": paths.answers("m"), "judgments": paths.judgments("j", "m")}[kind]


WEIRD = "a\u2028b\u2029c\x85d \U0001f600 \ud83d"  # separators inside a line, and half a surrogate pair
SCORE = st.none() | st.sampled_from(LABELS) | st.sampled_from(["[[A>B]]", "nonsense", "A<<B"])
KEY = st.sampled_from(["q1", "q2", 3, "q\u2028", ""])
SOME = st.none() | st.just("some")
RECORDS = {
    "questions": st.builds(question, KEY, st.sampled_from(["Why?", " ", WEIRD])),
    "answers": st.builds(
        answer, KEY, st.sampled_from(["Yes", "$ERROR$", None, WEIRD]), settings=st.none() | st.just("s")
    )
    | st.builds(answer_2, KEY, st.just("No")),
    "judgments": st.builds(
        judgment, KEY, SCORE, SCORE, inputs=st.none() | st.just("i"), baseline=st.none() | st.just("b")
    )
    | st.builds(judgment_2, KEY, SCORE, SCORE),
}
DAMAGE = st.sampled_from([b"", b"  \t", b"{", b"[1]", b"\xff", b"\0\0", b'{"question_id": "cut', b'{"games": 3}'])
KINDS = st.sampled_from(["questions", "answers", "judgments"])


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, list[tuple[str, bytes]]]:
    """A kind of file, and what happens to it: (how, bytes), one after the other."""
    kind = draw(KINDS)
    content = st.lists(RECORDS[kind] | DAMAGE, max_size=4)
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        how = draw(st.sampled_from(["write", "append", "replace", "cut", "touch", "same size", "drop index"]))
        data = lines(*draw(content), ascii_only=draw(st.booleans()))
        if draw(st.integers(0, 4)) == 0:
            data = data[: draw(st.integers(0, len(data)))]
        if draw(st.integers(0, 6)) == 0:
            data = b"\xef\xbb\xbf" + data
        steps.append((how, data))
    return kind, steps


def change(path: Path, how: str, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    now = path.read_bytes() if path.exists() else b""
    if how == "write":
        path.write_bytes(data)
    elif how == "append":
        with path.open("ab") as stream:
            stream.write(data)
    elif how == "replace":
        other = path.with_name("other")
        other.write_bytes(data)
        other.rename(path)
    elif how == "cut":
        path.write_bytes(now[: len(now) // 2])
    elif how == "same size":
        path.write_bytes(now.replace(b"q1", b"q2").replace(b"A>B", b"B>A"))
    elif how == "touch" and path.exists():
        path.touch()


@settings(deadline=None, max_examples=150)
@given(changes())
def test_the_index_says_what_the_file_says_after_any_changes(tmp_path_factory, history):
    kind, steps = history
    paths = BenchPaths(tmp_path_factory.mktemp("bench"))
    path = file_of(paths, kind)
    kept = BenchIndex(paths)  # of a program that stays, such as the terminal UI
    for how, data in steps:
        if how == "drop index":
            shutil.rmtree(paths.index, ignore_errors=True)
        else:
            change(path, how, data)
        expected = fresh(paths, kind)
        assert look(kept, kind) == expected
        assert look(BenchIndex(paths), kind) == expected
        assert look(BenchIndex(paths), kind) == expected


@settings(deadline=None)
@given(changes())
def test_the_index_says_what_reading_the_file_says(tmp_path_factory, history):
    kind, steps = history
    paths = BenchPaths(tmp_path_factory.mktemp("bench"))
    path = file_of(paths, kind)
    for how, data in steps:
        change(path, how, data)
        rows, problems = look(BenchIndex(paths), kind)
        if kind == "questions":
            read: Any = load_questions(path)
            assert [row[0] for row in rows] == [each.id for each in read.items]
        elif kind == "answers":
            read = load_answers(path)
            assert {row[0]: (row[4], row[6], row[8]) for row in rows} == {
                key: (each.token_len, each.settings, each.inputs) for key, each in read.items.items()
            }
        else:
            read = load_judgments(path)
            last = {row[0]: (row[4], row[6], *labels_of(row[7])) for row in rows}
            assert last == {
                key: (each.baseline, each.inputs, each.labels, each.played) for key, each in read.items.items()
            }
        assert problems == [str(problem) for problem in read.problems]


def test_an_edit_of_the_same_size_and_time_in_the_middle_of_a_new_file_is_seen(bench: BenchPaths):
    path = put(bench.judgments("j", "m"), lines(*(judgment(f"q{n}", "A>B", "A>B") for n in range(2000))), settled=False)
    now = path.stat()
    assert look(BenchIndex(bench), "judgments")[0][1000][0] == "q1000"
    data = path.read_bytes().replace(b"q1000", b"Q1000")
    path.write_bytes(data)
    os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns))
    assert look(BenchIndex(bench), "judgments")[0][1000][0] == "Q1000"


def test_only_what_was_appended_is_decoded(bench: BenchPaths):
    path = put(bench.answers("m"), lines(answer("q1", "one"), answer("q2", "two")))
    first = BenchIndex(bench).answers("m")
    with path.open("ab") as stream:
        stream.write(lines(answer("q3", "three"), b"{torn"))
    table = BenchIndex(bench).answers("m")
    assert first.header is not None
    assert table.header is not None
    assert table.header.at > first.header.at
    assert table.frame["key"].to_list() == ["q1", "q2", "q3"]
    assert [problem.line for problem in table.problems] == [4]


def test_a_torn_last_line_is_reported_and_counts_once_it_is_whole(bench: BenchPaths):
    path = put(bench.answers("m"), lines(answer("q1", "one")) + b'{"question_id": "q2"')
    index = BenchIndex(bench)
    assert index.answers("m").problems[0].message.startswith("the last line is cut off after 20 bytes")
    with path.open("ab") as stream:
        stream.write(b', "choices": [{"turns": [{"content": "two"}]}]}\n')
    assert index.answers("m").frame["key"].to_list() == ["q1", "q2"]
    assert index.answers("m").problems == ()


def cache_file(paths: BenchPaths, kind: str) -> Path:
    return BenchIndex(paths).cache_file(file_of(paths, kind), ".arrow")


def other_version(data: bytes) -> bytes:
    return data[:16] + b"\xff" + data[17:]


@pytest.mark.parametrize("kind", ["questions", "answers", "judgments"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[:-9] + b"x" + data[-8:],
        lambda data: b"foreign\n" * 100,
        other_version,
    ],
    ids=["empty", "torn", "cut", "flipped", "foreign", "version"],
)
def test_an_index_that_cannot_be_used_is_made_anew(bench: BenchPaths, kind: str, damage: Callable[[bytes], bytes]):
    records = {
        "questions": question("q", "Why?"),
        "answers": answer("q", "Yes"),
        "judgments": judgment("q", "A>B", "B>A"),
    }
    put(file_of(bench, kind), lines(records[kind]))
    expected = look(BenchIndex(bench), kind)
    cached = cache_file(bench, kind)
    whole = cached.read_bytes()
    cached.write_bytes(damage(whole))
    assert look(BenchIndex(bench), kind) == expected
    assert cached.read_bytes() == whole


def test_the_index_of_another_file_in_its_place_is_not_used(bench: BenchPaths):
    put(bench.answers("m"), lines(answer("q", "Yes")))
    put(bench.answers("other"), lines(answer("Q", "No")))
    index = BenchIndex(bench)
    index.answers("m"), index.answers("other")
    shutil.copy(index.cache_file(bench.answers("other"), ".arrow"), index.cache_file(bench.answers("m"), ".arrow"))
    assert BenchIndex(bench).answers("m").frame["key"].to_list() == ["q"]
    (bench.index / "notes.txt").write_text("not ours")
    assert BenchIndex(bench).answers("m").frame["key"].to_list() == ["q"]


@pytest.mark.parametrize("hindrance", ["a file", "read-only"])
def test_where_no_index_can_be_written_it_stays_in_memory(bench: BenchPaths, hindrance: str):
    put(bench.answers("m"), lines(answer("q", "Yes")))
    if hindrance == "a file":
        bench.index.write_bytes(b"")
    else:
        bench.index.mkdir()
        bench.index.chmod(0o500)
        if os.access(bench.index, os.W_OK):
            pytest.skip("this user may write anywhere")
    index = BenchIndex(bench)
    assert index.answers("m").frame["key"].to_list() == ["q"]
    assert index.answers("m") is index.answers("m")


READER = """
import sys, time
from pathlib import Path
from engine.bench.index import BenchIndex
from engine.bench.layout import BenchPaths
paths = BenchPaths(Path(sys.argv[1]))
count = 0
while count < int(sys.argv[2]):
    keys = BenchIndex(paths).answers("m").frame["key"].to_list()
    assert keys == [f"q{n}" for n in range(len(keys))], keys
    assert len(keys) >= count, (len(keys), count)
    count = len(keys)
print(count)
"""


def test_readers_and_a_writer_in_other_processes_meet(bench: BenchPaths):
    path = put(bench.answers("m"), b"")
    total = 300
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, str(bench.root), str(total)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    with path.open("ab", buffering=0) as stream:
        for number in range(total):
            line = lines(answer(f"q{number}", "x" * 500))
            stream.write(line[:100])
            stream.write(line[100:])
            time.sleep(0.002)
    for reader in readers:
        out, _ = reader.communicate(timeout=60)
        assert (reader.returncode, out.strip()) == (0, str(total))
    assert not list(bench.index.rglob("*.tmp"))


def test_the_index_is_no_part_of_the_bench(bench: BenchPaths):
    put(bench.questions, lines(question("q", "Why?")))
    put(bench.answers("m"), lines(answer("q", "Yes")))
    put(bench.judgments("j", "m"), lines(judgment("q", "A>B", "B>A")))
    opened = Bench(bench.root)
    before = opened.models_with_answers(), opened.judges(), opened.judged_models("j"), bench.appended_files()
    look(BenchIndex(bench), "answers"), look(BenchIndex(bench), "judgments")
    assert bench.index.is_dir()
    assert (opened.models_with_answers(), opened.judges(), opened.judged_models("j"), bench.appended_files()) == before
