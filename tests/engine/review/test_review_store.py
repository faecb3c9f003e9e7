"""Human labels on disk: the format that others read, skips, notes, and taking back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.bench.layout import BenchPaths
from engine.errors import StorageError
from engine.review.store import ReviewStore, default_reviewer, load_all_labels, load_labels

PAIR = ("q1", "good")
OTHER = ("q2", "good")


@pytest.fixture
def paths(tmp_path: Path) -> BenchPaths:
    return BenchPaths(tmp_path / "small")


def lines(paths: BenchPaths, reviewer: str = "anna") -> list[dict]:
    return [json.loads(line) for line in paths.review(reviewer).read_text().splitlines()]


def test_a_label_is_one_line_with_exactly_the_keys_that_others_read(paths: BenchPaths):
    store = ReviewStore(paths, "anna")
    store.label(PAIR, "A>B", game=2, judge="judge", baseline="base", note="short")
    (line,) = lines(paths)
    assert list(line) == ["question_id", "model", "judge", "baseline", "game", "label", "note", "tstamp", "reviewer"]
    assert (line["label"], line["game"], line["judge"], line["note"]) == ("A>B", 2, "judge", "short")
    assert isinstance(line["tstamp"], float)


def test_a_skip_has_no_label_and_says_so(paths: BenchPaths):
    store = ReviewStore(paths, "anna")
    store.label(PAIR, None, game=1, judge=None, baseline="base")
    (line,) = lines(paths)
    assert (line["label"], line["skipped"], line["judge"]) == (None, True, None)
    assert store.labels[PAIR].outcome is None


def test_the_last_word_on_a_pair_counts_and_is_there_again_when_reopened(paths: BenchPaths):
    store = ReviewStore(paths, "anna")
    store.label(PAIR, "A>B", game=1, judge="judge", baseline="base")
    store.label(OTHER, "A=B", game=1, judge="judge", baseline="base")
    store.label(PAIR, "B>>A", game=1, judge="judge", baseline="base")
    again = ReviewStore(paths, "anna")
    assert again.labels == store.labels
    assert again.labels[PAIR].label == "B>>A"
    assert again.labels[PAIR].outcome == "win"
    assert list(again.labels) == [OTHER, PAIR]


def test_undo_takes_back_the_last_word_also_of_an_earlier_session(paths: BenchPaths):
    store = ReviewStore(paths, "anna")
    store.label(PAIR, "A>B", game=1, judge="judge", baseline="base")
    store.label(OTHER, None, game=1, judge="judge", baseline="base")
    undone = store.undo()
    assert undone is not None
    assert undone.pair == OTHER
    assert lines(paths)[-1] == {
        "question_id": "q2",
        "model": "good",
        "tstamp": lines(paths)[-1]["tstamp"],
        "reviewer": "anna",
        "undone": True,
    }
    again = ReviewStore(paths, "anna")
    assert again.undo() is not None
    assert again.labels == {}
    assert again.undo() is None
    assert load_labels(paths.review("anna")).items == {}


def test_undo_takes_back_one_change_and_the_label_of_before_counts_again(paths: BenchPaths):
    store = ReviewStore(paths, "anna")
    store.label(PAIR, "A>B", game=1, judge="judge", baseline="base", note="why")
    store.label(OTHER, "A=B", game=1, judge="judge", baseline="base")
    store.label(PAIR, "B>>A", game=1, judge="judge", baseline="base")
    undone = store.undo()
    assert undone is not None
    assert (undone.pair, undone.label) == (PAIR, "B>>A")
    assert (store.labels[PAIR].label, store.labels[PAIR].note) == ("A>B", "why")
    assert ReviewStore(paths, "anna").labels == store.labels
    assert store.undo().pair == OTHER  # type: ignore[union-attr]
    assert store.undo().pair == PAIR  # type: ignore[union-attr]
    assert ReviewStore(paths, "anna").labels == store.labels == {}


def test_a_label_given_with_the_judgment_in_sight_is_marked(paths: BenchPaths):
    store = ReviewStore(paths, "anna")
    store.label(PAIR, "A>B", game=1, judge="judge", baseline="base", seen=True)
    assert lines(paths)[-1]["seen"] is True
    assert ReviewStore(paths, "anna").labels[PAIR].seen


def test_a_note_that_comes_later_keeps_the_label_and_one_undo_takes_back_both(paths: BenchPaths):
    store = ReviewStore(paths, "anna")
    store.label(PAIR, "A>B", game=1, judge="judge", baseline="base")
    noted = store.note(PAIR, "wrong language")
    assert (noted.label, noted.note) == ("A>B", "wrong language")
    store.undo()
    assert ReviewStore(paths, "anna").labels == {}
    assert sum("undone" in line for line in lines(paths)) == 2  # also for readers that go back line by line


def test_reviewers_do_not_touch_each_other_whatever_their_names(paths: BenchPaths):
    for reviewer in ("anna", "../../etc/passwd", "борис"):
        ReviewStore(paths, reviewer).label(PAIR, "A>B", game=1, judge=None, baseline="base")
    assert len(load_all_labels(paths)) == 3
    assert all(path.parent == paths.review_dir for path in paths.review_dir.iterdir())


def test_lines_of_other_hands_are_used_as_far_as_they_go(paths: BenchPaths):
    path = paths.review("anna")
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"question_id":"q1","model":"good","label":"A>B"}\n'
        "not json\n"
        '{"question_id":"q2","model":"good","label":"A>>>B"}\n'
        '{"question_id":"q3","model":"good","label":"A=B","game":3}\n'
        '{"question_id":"q4","model":"good","label":null,"skipped":true}\n'
        '{"question_id":"q5","model":"good","label":"B>A","ga'
    )
    loaded = load_labels(path)
    assert {pair[0] for pair in loaded.items} == {"q1", "q4"}
    assert len(loaded.problems) == 2
    store = ReviewStore(paths, "anna")
    store.label(OTHER, "B>A", game=1, judge=None, baseline="base")
    assert ReviewStore(paths, "anna").labels[OTHER].label == "B>A"  # the torn line did not swallow it


def test_a_file_that_cannot_be_written_is_an_error_and_counts_as_nothing(paths: BenchPaths):
    store = ReviewStore(paths, "anna")
    paths.root.mkdir(parents=True)
    paths.review_dir.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        store.label(PAIR, "A>B", game=1, judge=None, baseline="base")
    assert store.labels == {}


def test_the_default_reviewer_is_the_user_of_the_machine():
    assert default_reviewer()
