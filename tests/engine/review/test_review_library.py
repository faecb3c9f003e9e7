"""Listing, filtering, searching and opening judgments, and drawing a sample of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from small_bench import QUESTIONS, answer_record, judgment_record, turns_of

from engine.bench import Bench
from engine.config.sampling import settings_digest
from engine.errors import BenchError
from engine.judging.prompts import judge_prompt
from engine.judging.verdicts import opening_prompt, wording_of
from engine.records import VerdictMode
from engine.review.library import Library
from engine.review.listing import JudgmentFilter, Listed, select
from engine.review.sampling import draw_sample
from engine.review.search import SearchTexts
from engine.review.store import ReviewStore


def library_of(bench: Bench) -> Library:
    library = Library(bench, "base")
    library.refresh()
    return library


def keys(entries: list[Listed]) -> list[tuple[str, str]]:
    return [(entry.row.model, entry.row.question_id) for entry in entries]


def test_every_judgment_is_listed_by_model_and_question(judged: Bench):
    library = library_of(judged)
    listed = select(library.entries, JudgmentFilter(), library.marks)
    assert keys(listed) == [
        ("bad", "q1"),
        ("bad", "q2"),
        ("good", "q1"),
        ("good", "q2"),
        ("good", "q3"),
        ("good", "q4"),
    ]
    assert [entry.outcome for entry in listed] == ["loss", None, "win", "tie", "tie", "tie"]
    by_question = select(library.entries, JudgmentFilter(), library.marks, order="question")
    assert keys(by_question)[:3] == [("bad", "q1"), ("good", "q1"), ("bad", "q2")]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (JudgmentFilter(models=frozenset({"bad"})), {"bad q1", "bad q2"}),
        (JudgmentFilter(categories=frozenset({"sea"})), {"bad q2", "good q2"}),
        (JudgmentFilter(labels=frozenset({"A=B"})), {"good q3", "good q4"}),
        (JudgmentFilter(outcomes=frozenset({"win", "loss"})), {"bad q1", "good q1"}),
        (JudgmentFilter(flags=frozenset({"flip"})), {"good q2"}),
        (JudgmentFilter(flags=frozenset({"unparsed"})), {"bad q2", "good q3"}),
        (JudgmentFilter(models=frozenset({"bad"}), flags=frozenset({"flip"})), set()),
        (JudgmentFilter(judges=frozenset({"nobody"})), set()),
    ],
)
def test_filters_let_through_what_they_name(judged: Bench, wanted: JudgmentFilter, expected: set[str]):
    library = library_of(judged)
    assert {" ".join(key) for key in keys(select(library.entries, wanted, library.marks))} == expected


def test_disagreement_with_people_is_found_once_they_have_labelled(judged: Bench):
    store = ReviewStore(judged.paths, "anna")
    store.label(("q1", "good"), "A>B", game=1, judge="judge", baseline="base")  # the judge says it wins
    store.label(("q1", "bad"), "A>B", game=1, judge="judge", baseline="base")  # both say it loses
    store.label(("q2", "bad"), "A>B", game=1, judge="judge", baseline="base")  # the judge says nothing
    library = library_of(judged)
    wanted = JudgmentFilter(flags=frozenset({"human"}))
    assert keys(select(library.entries, wanted, library.marks)) == [("good", "q1")]
    store.undo()
    assert library.refresh()


def test_answers_in_another_language_are_found(judged: Bench, append: Callable[..., None]):
    english = "The sea is wide, the wind is strong, and nobody is there to listen to what they say to each other."
    russian = "Море широко, ветер силён, и никто не слышит, о чём они говорят между собой до самого утра."
    append(judged.paths.answers("good"), answer_record("good", "q2", english))
    append(judged.paths.answers("bad"), answer_record("bad", "q2", russian))
    library = library_of(judged)
    progress: list[tuple[int, int]] = []
    library.find_other_languages(lambda done, of: not progress.append((done, of)))
    assert progress[-1] == (6, 6)
    wanted = JudgmentFilter(flags=frozenset({"language"}))
    assert keys(select(library.entries, wanted, library.marks)) == [("good", "q2")]


def test_looking_for_languages_can_be_ended(judged: Bench):
    library = library_of(judged)
    library.find_other_languages(lambda done, of: False)
    assert library.marks.other_language == frozenset()


def test_search_finds_words_in_questions_answers_and_what_the_judge_wrote(judged: Bench):
    library = library_of(judged)

    def found(text: str) -> set[str]:
        search = library.texts.search(text)
        matches = search.matches if search is not None else None
        chosen = select(library.entries, JudgmentFilter(), library.marks, matches_text=matches)
        return {" ".join(key) for key in keys(chosen)}

    assert found("МОРЕ") == {"bad q2", "good q2"}
    assert found("very good") == set()  # answers are not read yet
    library.texts.refresh()
    assert library.texts.is_loaded
    assert found("very good answer q4") == {"good q4"}
    assert found("judged bad on") == {"bad q1", "bad q2"}
    assert found("sky blue JUDGED good") == {"good q1"}
    assert found("zebra") == set()
    assert len(found("   ")) == 6


def test_search_finds_words_in_a_row_before_words_anywhere_and_no_ids(tmp_path: Path, append: Callable[..., None]):
    bench = Bench(tmp_path / "b")
    ids = [f"{number:04x}77f" for number in range(100)]
    for number, key in enumerate(ids):
        append(bench.paths.questions, {"question_id": key, "turns": [{"content": f"Question {number}: why 77?"}]})
        append(bench.paths.answers("base"), answer_record("base", key, "of the base"))
        append(bench.paths.answers("good"), answer_record("good", key, f"Answer\n{number} times 1077"))
        judged = judgment_record("good", "q4") | {"question_id": key, "inputs": None}
        append(bench.paths.judgments("judge", "good"), judged)
    library = library_of(bench)
    library.texts.refresh()

    def found(text: str) -> set[int]:
        search = library.texts.search(text)
        assert search is not None
        return {entry.number - 1 for entry in library.entries if search.matches(entry)}

    assert found("question 77") == {77}
    assert found("QUESTION  7") == {7}
    assert found("#78") == {77}
    assert found("answer 12") == {12}  # over a line break
    assert found("077f") == set()  # part of every id
    assert len(found("77 why")) == 100  # in this order nowhere: both words anywhere
    search = library.texts.search("answer 12")
    assert search is not None
    entry = next(entry for entry in library.entries if search.matches(entry))
    assert search.place(entry) == "answer"
    assert library.texts.excerpt(search, entry).startswith("answer 12 times")


def test_reading_the_texts_can_be_ended_and_resumed(judged: Bench, tmp_path: Path, append: Callable[..., None]):
    bench = Bench(tmp_path / "many")
    for number in range(1500):
        append(bench.paths.answers("good"), answer_record("good", f"q{number}", f"word{number}"))
    texts = SearchTexts(bench)
    seen: list[tuple[int, int]] = []
    assert not texts.refresh(lambda done, of: bool(seen.append((done, of))))
    assert seen == [(1000, 1500)]
    assert not texts.is_loaded
    assert texts.refresh(lambda done, of: True)
    assert texts.is_loaded
    assert texts.search("word1", is_wanted=lambda: False) is None


def test_search_and_list_follow_files_that_grow(judged: Bench, append: Callable[..., None]):
    library = library_of(judged)
    library.texts.refresh()
    record = judgment_record("good", "q4") | {"question_id": "q3", "model": "bad", "inputs": None}
    append(judged.paths.judgments("judge", "bad"), record)
    append(judged.paths.answers("bad"), answer_record("bad", "q4", "a zebra"))
    assert library.refresh()
    assert not library.refresh()
    library.texts.refresh()
    assert ("bad", "q3") in keys(list(library.entries))
    assert library.texts.search("zebra") is not None


def test_a_judgment_is_opened_with_everything_about_it(judged: Bench):
    library = library_of(judged)
    entry = next(entry for entry in library.entries if entry.pair == ("q3", "good"))
    whole = library.open(entry)
    assert whole.origin == "current"
    assert whole.question is not None
    assert whole.question.turns == tuple(QUESTIONS["q3"])
    assert whole.answer is not None
    assert whole.answer.turns == turns_of("good", "q3")
    assert whole.baseline_answer is not None
    assert whole.baseline_answer.turns == turns_of("base", "q3")
    assert whole.side("A", 1)[0] == whole.side("B", 2)[0] == "base"
    assert whole.side("B", 1)[0] == whole.side("A", 2)[0] == "good"


def test_a_changed_answer_is_reported_and_shown_as_the_judge_saw_it_if_known(
    judged: Bench, append: Callable[..., None]
):
    append(judged.paths.answers("good"), answer_record("good", "q1", "a new answer"))
    library = library_of(judged)
    entry = next(entry for entry in library.entries if entry.pair == ("q1", "good"))
    assert library.open(entry).origin == "changed"
    framed = (
        "<|User Prompt|>\nq\n\n<|The Start of Assistant A's Answer|>\nthe old base\n<|The End of Assistant A's Answer|>"
        "\n\n<|The Start of Assistant B's Answer|>\nthe old good\n<|The End of Assistant B's Answer|>"
    )
    record = judgment_record("good", "q1")
    record["games"][0]["user_prompt"] = framed
    append(judged.paths.judgments("judge", "good"), record)
    library.refresh()
    entry = next(entry for entry in library.entries if entry.pair == ("q1", "good"))
    whole = library.open(entry)
    assert whole.origin == "prompt"
    assert whole.answer is not None
    assert whole.answer.turns == ("the old good",)
    assert whole.baseline_answer is not None
    assert whole.baseline_answer.turns == ("the old base",)


def test_the_system_prompt_is_known_only_if_it_is_the_one_sent(judged: Bench):
    prompt = judge_prompt("simple")
    wording = settings_digest({"system": prompt.system, "template": prompt.template})
    soft = opening_prompt(prompt, VerdictMode("soft"))
    soft_wording = settings_digest(wording_of(soft, VerdictMode("soft")))
    judged.register_settings(
        {
            "s1": {"judge": "judge", "prompt": "simple", "prompt_digest": wording},
            "s2": {"judge": "judge", "prompt": "simple", "prompt_digest": "an earlier wording"},
            "s3": {"judge": "judge", "system": "Be fair.", "template": "{question_1}"},
            "s4": {"judge": "judge", "prompt": "simple", "prompt_digest": soft_wording, "verdict": "soft"},
            "s5": {"judge": "judge", "prompt": "simple", "prompt_digest": soft_wording, "verdict": "text"},
        }
    )
    library = library_of(judged)
    told = {}
    for settings in ("s1", "s2", "s3", "s4", "s5", "unknown"):
        record = judgment_record("good", "q1") | {"settings": settings}
        with judged.paths.judgments("judge", "good").open("ab") as stream:
            stream.write(json.dumps(record).encode() + b"\n")
        library.refresh()
        entry = next(entry for entry in library.entries if entry.pair == ("q1", "good"))
        told[settings] = library.open(entry).system
    assert told == {"s1": prompt.system, "s2": None, "s3": "Be fair.", "s4": soft.system, "s5": None, "unknown": None}


def test_a_record_that_went_away_is_a_bench_error(judged: Bench):
    library = library_of(judged)
    entry = library.entries[0]
    entry.row.file.write_bytes(b"")
    with pytest.raises(BenchError):
        library.open(entry)


def test_a_sample_of_judgments_knows_their_judge_and_keeps_what_is_labelled(judged: Bench):
    library = library_of(judged)
    sample = draw_sample(library, None, labelled=())
    assert sample.judge == "judge"
    assert sorted(sample.pairs) == sorted(entry.pair for entry in library.entries)
    assert sample.candidates == 6
    assert set(sample.entries) == set(sample.pairs)
    few = draw_sample(library, "judge", labelled=[("q4", "good")], size=3)
    assert len(few.pairs) == 3


def test_answers_can_be_reviewed_before_anybody_judged_them(answered: Bench):
    library = library_of(answered)
    sample = draw_sample(library, "judge", labelled=())
    assert sample.judge is None
    assert Counter(model for _, model in sample.pairs) == {"good": 4, "bad": 4}
    whole = library.open_answers(sample.pairs[0])
    assert whole.judgment is None
    assert whole.answer is not None
    assert whole.baseline == "base"


def test_without_a_baseline_and_judgments_there_is_nothing_to_review(answered: Bench):
    library = Library(answered, None)
    library.refresh()
    assert draw_sample(library, None, labelled=()).pairs == []
