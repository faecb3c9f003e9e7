"""Import of existing arena-hard data: byte for byte, reported in full, never over other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from arena_tui.advice import phrase
from engine.bench import Bench
from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock
from engine.errors import AdviceKind, BenchError, BenchLocked, StorageError
from engine.formats.importing import ImportReport, import_bench

QUESTIONS = [{"question_id": name, "turns": [{"content": f"{name}?"}]} for name in ("q1", "q2")]


def answer(question_id, model="m"):
    turns = [{"content": "text", "token_len": 1}]
    return {"question_id": question_id, "answer_id": "a", "model_id": model, "choices": [{"index": 0, "turns": turns}]}


def judgment(question_id, score="[A=B]"):
    games = [{"user_prompt": "p", "judgment": "says", "score": score}] * 2
    return {"question_id": question_id, "model": "m", "judge": "j", "games": games}


@pytest.fixture
def source(tmp_path, write_lines):
    """A bench folder to import."""
    folder = tmp_path / "theirs" / "data" / "arena-hard-xx"
    write_lines(folder / "question.jsonl", *QUESTIONS)
    write_lines(folder / "question_en.jsonl", *QUESTIONS)
    write_lines(folder / "model_answer" / "m.jsonl", answer("q1"), answer("q2"))
    write_lines(folder / "model_judgment" / "j" / "m.jsonl", judgment("q1"), judgment("q2"))
    write_lines(folder / "model_judgment" / ".ipynb_checkpoints" / "m.jsonl", judgment("q1"))
    return folder


@pytest.fixture
def data(tmp_path) -> Path:
    return tmp_path / "data"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.jsonl")}


def test_a_bench_folder_comes_in_byte_for_byte_and_opens(source, data):
    report = import_bench(source, data)
    brought = contents(data / "arena-hard-xx")
    assert set(brought) == {"question.jsonl", "model_answer/m.jsonl", "model_judgment/j/m.jsonl"}
    assert all(contents(source)[name] == content for name, content in brought.items())
    assert report.problems == ()
    assert list(report.lines()) == [
        str(data / "arena-hard-xx"),
        "  question.jsonl: 2 questions",
        "  model_answer/m.jsonl: 2 answers",
        "  model_judgment/j/m.jsonl: 2 judgments",
        f"  left out, as it has no place in a bench: {source / 'model_judgment' / '.ipynb_checkpoints' / 'm.jsonl'}",
        f"  left out, as it has no place in a bench: {source / 'question_en.jsonl'}",
    ]
    assert Bench.open(data, "arena-hard-xx").models_with_answers() == ["m"]


@pytest.mark.parametrize("up", [0, 1, 2], ids=["bench", "data folder", "folder around data"])
def test_the_folders_around_benches_do_as_well(source, data, write_lines, up):
    write_lines(source.parent / "another" / "question.jsonl", *QUESTIONS)
    src = (source, source.parent, source.parent.parent)[up]
    expected = ["arena-hard-xx"] if up == 0 else ["another", "arena-hard-xx"]
    assert [bench.root.name for bench in import_bench(src, data).benches] == expected


def test_the_bench_may_get_another_name(source, data):
    import_bench(source.parent, data, "mine")
    assert Bench.open(data, "mine").questions().items


def test_importing_again_changes_nothing(source, data):
    import_bench(source, data)
    before = contents(data)
    report = import_bench(source, data)
    assert contents(data) == before
    assert [file.copied for file in report.benches[0].files] == [False] * 3
    assert "  model_answer/m.jsonl: 2 answers, there already" in report.lines()


def test_other_content_is_never_overwritten_and_nothing_else_is_copied(source, data, write_lines):
    import_bench(source, data)
    write_lines(source / "model_answer" / "m.jsonl", answer("q1"))
    write_lines(source / "question.jsonl", *QUESTIONS[:1])
    write_lines(source / "model_answer" / "new.jsonl", answer("q1", "new"))
    before = contents(data)
    with pytest.raises(BenchError) as refused:
        import_bench(source, data)
    assert contents(data) == before
    assert "question.jsonl, model_answer/m.jsonl: exists with other content" in refused.value.title
    assert AdviceKind.BENCH_NAME in refused.value.hint.kinds


def test_what_is_wrong_with_the_files_is_reported_with_file_and_line(source, data, write_lines):
    path = write_lines(source / "model_answer" / "m.jsonl", answer("q1"), b"{torn", answer("stranger"))
    reported = [str(problem) for problem in import_bench(source, data).problems]
    assert reported[0].startswith(f"{path}:2: not JSON")
    target = data / "arena-hard-xx" / "model_answer" / "m.jsonl"
    assert reported[1:] == [
        f"{target}: 1 answers are to questions that are not in the set",
        f"{target}: 1 of 2 questions have no answer",
    ]


def test_single_files_find_their_place_by_what_they_hold(source, data, write_lines, tmp_path):
    questions = write_lines(tmp_path / "a.jsonl", *QUESTIONS)
    answers = write_lines(tmp_path / "b.jsonl", answer("q1", "org/model"))
    judgments = write_lines(tmp_path / "c.jsonl", judgment("q1"))
    for file in (questions, answers, judgments):
        import_bench(file, data, "mine")
    bench = Bench.open(data, "mine")
    assert bench.models_with_answers() == ["org/model"]
    assert bench.judged_models("j") == ["m"]
    assert len(bench.questions().items) == 2


def test_a_single_file_inside_a_bench_goes_to_the_bench_of_that_name(source, data):
    import_bench(source / "question.jsonl", data)
    import_bench(source / "model_answer" / "m.jsonl", data)
    import_bench(source / "model_judgment" / "j" / "m.jsonl", data)
    assert len(contents(data / "arena-hard-xx")) == 3


def test_answers_without_a_question_set_are_brought_in_and_it_is_reported(data, write_lines, tmp_path):
    report = import_bench(write_lines(tmp_path / "b.jsonl", answer("q1")), data, "mine")
    assert "there is no question set yet" in str(report.problems[0])


@pytest.mark.parametrize(
    ("lines", "reported"),
    [
        ([{"question_id": "q", "model_a": "a", "model_b": "b", "winner": "tie"}], "arena-tui leaderboard --battles"),
        ([{"something": "else"}], "first line"),
        ([], "one JSON object per line"),
        ([answer("q1")], "name the bench (--name)"),
    ],
    ids=["battles", "unknown", "empty", "no bench named"],
)
def test_a_file_that_cannot_be_placed_is_refused_with_a_way_out(data, write_lines, tmp_path, lines, reported):
    file = write_lines(tmp_path / "file.jsonl", *lines)
    with pytest.raises(BenchError) as refused:
        import_bench(file, data)
    assert reported in phrase(refused.value.hint)
    assert not data.exists()


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden", "", "/etc", "a%2Fb"])
def test_a_name_cannot_lead_out_of_the_data_folder(source, data, name):
    with pytest.raises(BenchError):
        import_bench(source, data, name)
    assert not data.exists()


def test_a_folder_without_a_bench_and_one_name_for_two_benches_are_refused(source, data, write_lines, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(BenchError):
        import_bench(tmp_path / "nothing", data)
    write_lines(source.parent / "another" / "question.jsonl", *QUESTIONS)
    with pytest.raises(BenchError) as refused:
        import_bench(source.parent, data, "mine")
    assert "another, arena-hard-xx" in refused.value.hint


def test_nothing_is_brought_into_a_bench_that_a_run_writes_to(source, data):
    import_bench(source, data)
    with BenchLock(BenchPaths(data / "arena-hard-xx")), pytest.raises(BenchLocked):
        import_bench(source, data)


def test_a_place_that_cannot_be_written_is_reported_and_leaves_nothing_half_done(source, data):
    (data / "arena-hard-xx").mkdir(parents=True)
    (data / "arena-hard-xx" / "model_answer").write_text("a file stands where the folder should be")
    with pytest.raises(StorageError):
        import_bench(source, data)
    assert not list(data.rglob("*.partial"))
    (data / "blocked").write_text("a file")
    with pytest.raises(StorageError):
        import_bench(source, data, "blocked")


@pytest.mark.realdata
def test_the_published_folders_come_in_whole(shared_data, data):
    names = ["arena-hard-ru", "arena-hard-v0.1", "arena-hard-v2.0"]
    benches = [bench for name in names for bench in import_bench(shared_data / name, data).benches]
    assert [bench.root.name for bench in benches] == names
    problems = [problem for bench in benches for problem in ImportReport((bench,)).problems]
    assert [str(problem).rpartition(": ")[2] for problem in problems] == ["2 of 750 questions have no answer"]
    assert sum(len(file.question_ids) for bench in benches for file in bench.files) == 9860


def test_what_settings_digests_stand_for_comes_along_and_is_added_to_what_is_known(source, data, write_lines):
    write_lines(source / "settings.jsonl", {"settings": "aa", "max_tokens": 1}, {"settings": "bb", "max_tokens": 2})
    here = BenchPaths(data / "arena-hard-xx").settings
    write_lines(here, {"settings": "bb", "max_tokens": 2}, {"settings": "cc", "max_tokens": 3})
    report = import_bench(source, data)
    import_bench(source, data)
    assert [line.partition(b'"max_tokens"')[0] for line in here.read_bytes().split(b"\n")[:-1]] == [
        b'{"settings": "bb", ',
        b'{"settings": "cc", ',
        b'{"settings":"aa",',
    ]
    assert source / "settings.jsonl" not in report.benches[0].left_out


SHAPES = {
    "question.jsonl": [{"id": 1, "prompt": ["Why?"]}],
    "model_answer/m.jsonl": [{"id": 1, "messages": [{"role": "assistant", "content": "So."}]}],
}


def test_a_folder_in_other_shapes_comes_in_byte_for_byte_and_is_read(tmp_path, data, write_lines):
    for name, lines in SHAPES.items():
        write_lines(tmp_path / "theirs" / name, *lines)
    report = import_bench(tmp_path / "theirs", data)
    assert report.problems == ()
    assert contents(data / "theirs") == contents(tmp_path / "theirs")
    answer = Bench.open(data, "theirs").answer("m", "1")
    assert answer is not None
    assert answer.turns == ("So.",)


UNUSABLE = {"uid": "q1", "messages": [{"role": "assistant", "content": [{"type": "image_url"}]}]}


def test_a_file_without_one_usable_record_is_left_out_and_named(source, data, write_lines):
    bad = write_lines(source / "model_answer" / "bad.jsonl", UNUSABLE)
    reported = [str(problem) for problem in import_bench(source, data).problems]
    assert reported[0] == f"{bad}: no usable answers in it; the file was not imported"
    assert "image_url" in reported[1]
    assert Bench.open(data, "arena-hard-xx").models_with_answers() == ["m"]


@pytest.mark.parametrize("name", ["question.jsonl", "model_answer/m.jsonl"])
def test_an_import_without_a_usable_record_is_refused_with_the_reasons(tmp_path, data, write_lines, name):
    write_lines(tmp_path / "theirs" / name, UNUSABLE if "answer" in name else {"id": 1, "prompt": {"img": 1}})
    with pytest.raises(BenchError) as refused:
        import_bench(tmp_path / "theirs", data)
    assert "no usable" in refused.value.title
    assert ":1: " in refused.value.title
    assert not data.exists()


def test_a_folder_of_mt_bench_comes_in_and_its_judgments_are_named(tmp_path, data, write_lines):
    folder = tmp_path / "mt_bench"
    write_lines(folder / "question.jsonl", {"question_id": 81, "category": "writing", "turns": ["First?", "Second?"]})
    choices = [{"index": 0, "turns": ["one", "two"]}]
    write_lines(folder / "model_answer" / "m.jsonl", {"question_id": 81, "model_id": "m", "choices": choices})
    pair = {"question_id": 81, "model_1": "m", "model_2": "n", "g1_winner": "model_1", "g2_winner": "tie"}
    grade = {
        "question_id": 81,
        "model": "m",
        "judge": ["gpt-4", "single-v1"],
        "judgment": "Rating: [[9]]",
        "score": 9.0,
    }
    pairs = write_lines(folder / "model_judgment" / "gpt-4_pair.jsonl", pair)
    grades = write_lines(folder / "model_judgment" / "gpt-4_single.jsonl", grade)
    lines = list(import_bench(folder, data).lines())
    assert sum("import this file on its own" in line for line in lines) == 1
    assert sum("grades compare nothing" in line for line in lines) == 1
    assert Bench.open(data, "mt_bench").questions().items[0].turns == ("First?", "Second?")
    import_bench(pairs, data, "mt_bench")
    assert Bench.open(data, "mt_bench").judged_models("judge") == ["m"]
    with pytest.raises(BenchError, match="a grade as MT-bench gives them"):
        import_bench(grades, data, "other")


def test_packed_files_are_named_with_what_to_do(source, data):
    (source / "model_answer" / "other.jsonl.zst").write_bytes(b"(\xb5/\xfd")
    assert any("other.jsonl.zst" in line and "unpack it" in line for line in import_bench(source, data).lines())
    questions = source / "question.jsonl"
    questions.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(BenchError) as refused:
        import_bench(questions, data, "other")
    assert "Parquet" in refused.value.hint


def test_a_bench_that_is_a_link_out_of_the_imported_folder_is_refused(source, data, tmp_path):
    (tmp_path / "private").mkdir()
    source.rename(tmp_path / "private" / "bench")
    source.symlink_to(tmp_path / "private" / "bench")
    with pytest.raises(BenchError, match="is a link to"):
        import_bench(source.parent, data)
    assert not data.exists()
    assert import_bench(source, data, "mine").benches


def test_the_cache_of_a_hub_is_one_tree(tmp_path, data, source):
    blobs = tmp_path / "datasets--org--set" / "blobs"
    snapshot = tmp_path / "datasets--org--set" / "snapshots" / "0123" / "bench"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (source / "question.jsonl").rename(blobs / "abc")
    (snapshot / "question.jsonl").symlink_to("../../../blobs/abc")
    assert import_bench(snapshot, data).benches[0].files
