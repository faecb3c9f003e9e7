"""What judges wrote is read again from the files of both generations."""

from __future__ import annotations

from engine.bench.layout import BenchPaths
from engine.bench.stored import StoredReply, load_replies


def test_replies_of_both_generations_are_read(bench: BenchPaths, write_lines) -> None:
    path = write_lines(
        bench.judgments("judge", "m"),
        {
            "question_id": "q1",
            "games": [{"judgment": "first [[A>B]]", "score": "[A>B]"}, {"judgment": "none", "score": None}],
        },
        {"uid": "q2", "baseline": "base", "games": [{"judgment": {"answer": "[[A<B]]"}, "score": "A<B"}, None]},
    )
    loaded = load_replies(path)
    assert loaded.items == {
        "q1": (StoredReply("first [[A>B]]", "A>B"), StoredReply("none", None)),
        "q2": (StoredReply("[[A<B]]", "B>A"), None),
    }


def test_thinking_is_not_part_of_a_reply_and_asks_are_kept(bench: BenchPaths, write_lines) -> None:
    text = "<think>[[A>B]] perhaps?</think>\n\n[[B>A]]"
    path = write_lines(
        bench.judgments("judge", "m"), {"question_id": 7, "games": [{"judgment": text, "score": "B>A", "asks": 2}]}
    )
    assert load_replies(path).items == {"7": (StoredReply("[[B>A]]", "B>A", 2),)}


def test_the_last_record_of_the_baseline_counts(bench: BenchPaths, write_lines) -> None:
    path = write_lines(
        bench.judgments("judge", "m"),
        {"question_id": "q", "baseline": "base", "games": [{"judgment": "old", "score": None}]},
        {"question_id": "q", "baseline": "base", "games": [{"judgment": "new", "score": None}]},
        {"question_id": "q", "baseline": "another", "games": [{"judgment": "theirs", "score": None}]},
    )
    assert load_replies(path, "base").items == {"q": (StoredReply("new", None),)}


def test_bad_lines_are_told_and_a_missing_file_has_none(bench: BenchPaths, write_lines) -> None:
    path = write_lines(bench.judgments("judge", "m"), b"{broken", {"question_id": "q", "games": "none"})
    loaded = load_replies(path)
    assert loaded.items == {}
    assert [problem.line for problem in loaded.problems] == [1, 2]
    assert load_replies(bench.judgments("judge", "nobody")).items == {}
