"""Judgments of both generations, and which of them are still about today's texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench.current import is_current
from engine.bench.digest import inputs_digest, text_digest
from engine.bench.lines import encode_line
from engine.bench.stored import StoredJudgment, load_judgments
from engine.judging.probabilities import most_probable, normalised
from engine.labels import LABELS
from engine.records import Game, JudgmentRecord

TEMPLATE = (
    "<|User Prompt|>\n{}\n\n<|The Start of Assistant A's Answer|>\n{}\n<|The End of Assistant A's Answer|>\n\n"
    "<|The Start of Assistant B's Answer|>\n{}\n<|The End of Assistant B's Answer|>"
)


def generation_1(question_id, *scores, prompts=("p1", "p2"), **more):
    games = [
        {"user_prompt": prompt, "judgment": "says", "score": score}
        for prompt, score in zip(prompts, scores, strict=True)
    ]
    return {"question_id": question_id, "model": "m", "judge": "j", "games": games} | more


def generation_2(uid, *scores, baseline="base", prompts=("p1", "p2")):
    games = [
        score
        and {
            "score": score,
            "judgment": {"answer": "says"},
            "prompt": [{"role": "system", "content": "rules"}, {"role": "user", "content": prompt}],
        }
        for prompt, score in zip(prompts, scores, strict=True)
    ]
    return {"uid": uid, "category": "hard_prompt", "judge": "j", "model": "m", "baseline": baseline, "games": games}


def test_labels_of_both_generations_are_normalised(bench, write_lines):
    path = write_lines(
        bench.judgments("j", "m"),
        generation_1("kept bracket", "[A=B]", "[[A>>B]]"),
        generation_1("plain", "A>B", None),
        generation_2("turned", "A<<B", "B=A"),
    )
    loaded = load_judgments(path)
    assert {key: judgment.labels for key, judgment in loaded.items.items()} == {
        "kept bracket": ("A=B", "A>>B"),
        "plain": ("A>B", None),
        "turned": ("B>>A", "A=B"),
    }
    assert loaded.problems == ()


def test_a_game_without_a_verdict_was_played_and_a_null_game_was_not(bench, write_lines):
    path = write_lines(bench.judgments("j", "m"), generation_1("q", None, "A=B"), generation_2("u", None, "A>B"))
    found = load_judgments(path).items
    assert (found["q"].played, found["q"].labels) == ((True, True), (None, "A=B"))
    assert (found["u"].played, found["u"].labels) == ((False, True), (None, "A>B"))
    assert found["u"].baseline == "base"


def test_scores_that_are_null_for_long_do_not_hide_later_labels(bench, write_lines):
    early = [generation_1(f"q{number}", None, None) for number in range(300)]
    path = write_lines(bench.judgments("j", "m"), *early, generation_1("late", "A>B", "B>A"))
    assert load_judgments(path).items["late"].labels == ("A>B", "B>A")


def test_the_last_judgment_of_a_question_counts(bench, write_lines):
    path = write_lines(bench.judgments("j", "m"), generation_2("q", "A>B", "A>B"), generation_1("q", "B>A", "B>A"))
    assert load_judgments(path).items["q"].labels == ("B>A", "B>A")


def test_judgments_of_an_earlier_baseline_are_found_again_when_it_is_asked_for(bench, write_lines):
    path = write_lines(
        bench.judgments("j", "m"),
        generation_2("q", "A>B", "A>B", baseline="earlier"),
        generation_1("unnamed", "A=B", "A=B"),
        generation_2("q", "B>A", "B>A", baseline="later"),
    )
    assert load_judgments(path).items["q"].baseline == "later"
    assert load_judgments(path, baseline="earlier").items["q"].labels == ("A>B", "A>B")
    assert set(load_judgments(path, baseline="another").items) == {"unnamed"}


def test_what_is_no_judgment_and_what_is_no_label_is_told(bench, write_lines):
    path = write_lines(
        bench.judgments("j", "m"),
        generation_1("odd", "certainly A", "A=B"),
        {"question_id": "empty", "model": "m", "judge": "j", "games": []},
        {"model": "m", "judge": "j", "games": [None]},
        generation_1("fine", "A=B", "A=B"),
    )
    loaded = load_judgments(path)
    assert {key: judgment.labels for key, judgment in loaded.items.items()} == {
        "odd": (None, "A=B"),
        "fine": ("A=B", "A=B"),
    }
    assert [problem.line for problem in loaded.problems] == [1, 2, 3]


@settings(deadline=None)  # files
@given(st.lists(st.none() | st.sampled_from(LABELS), min_size=1, max_size=2), st.text(), st.none() | st.text())
def test_what_the_program_writes_reads_back(tmp_path_factory, labels, words, settings):
    games = tuple(Game(words, words, label) for label in labels)
    record = JudgmentRecord("q", "m", "j", games, baseline="base", settings=settings, inputs="digest")
    path = tmp_path_factory.mktemp("judgments") / "m.jsonl"
    path.write_bytes(encode_line(record))
    assert load_judgments(path).items["q"] == StoredJudgment(
        "q", "m", "j", tuple(labels), (True,) * len(labels), "base", settings, "digest"
    )


def current(judgment: StoredJudgment, question="Why?", base_answer="Because.", answer="It depends.", baseline="base"):
    return is_current(
        judgment,
        baseline=baseline,
        inputs=inputs_digest((question,), (base_answer,), (answer,)),
        question_turns=(question,),
        baseline_turns=(base_answer,),
        model_turns=(answer,),
    )


def judgment_by_digest() -> StoredJudgment:
    inputs = inputs_digest(("Why?",), ("Because.",), ("It depends.",))
    return StoredJudgment("q", "m", "j", ("A>B", "B>A"), (True, True), "base", "s", inputs)


@pytest.fixture(params=["digest", "generation 1", "generation 2"])
def judgment(request, bench, write_lines) -> StoredJudgment:
    """The same comparison, told by a digest or by the prompts of either generation."""
    if request.param == "digest":
        return judgment_by_digest()
    prompts = (
        TEMPLATE.format("Why?", "Because.", "It depends."),
        TEMPLATE.format("Why?", "It depends.", "Because."),
    )
    make = generation_1 if request.param == "generation 1" else generation_2
    path = write_lines(bench.judgments("j", "m"), make("q", "A>B", "B>A", prompts=prompts))
    return load_judgments(path).items["q"]


def test_a_judgment_of_todays_texts_is_current(judgment):
    assert current(judgment)


@pytest.mark.parametrize(
    "changed",
    [
        {"question": "Why not?"},
        {"base_answer": "Because it is."},
        {"answer": "No."},
        {"answer": "It depends"},
        {"answer": "Because.", "base_answer": "It depends."},
    ],
    ids=["question", "baseline's answer", "model's answer", "cut answer", "sides swapped"],
)
def test_a_judgment_of_other_texts_is_not_current(judgment, changed):
    assert not current(judgment, **changed)


def test_a_judgment_against_another_named_baseline_is_not_current():
    assert not current(judgment_by_digest(), baseline="another")


def test_a_judgment_that_tells_nothing_of_its_texts_is_not_current(bench, write_lines):
    path = write_lines(bench.judgments("j", "m"), generation_1("q", "A=B", "A=B", prompts=(None, None)))
    assert not current(load_judgments(path).items["q"])


def test_texts_in_another_template_are_found_anywhere_in_the_prompt(bench, write_lines):
    prompts = ("Q: Why? 1: Because. 2: It depends.", "Q: Why? 1: It depends. 2: Because.")
    path = write_lines(bench.judgments("j", "m"), generation_1("q", "A=B", "A=B", prompts=prompts))
    judgment = load_judgments(path).items["q"]
    assert current(judgment)
    assert not current(judgment, answer="It does not depend.")


def test_prompts_are_kept_only_where_nothing_else_tells(bench, write_lines):
    path = write_lines(
        bench.judgments("j", "m"),
        generation_1("foreign", "A=B", "A=B"),
        generation_1("own", "A=B", "A=B", inputs="digest"),
    )
    found = load_judgments(path).items
    assert (tuple(found["foreign"].prompts), tuple(found["own"].prompts)) == (("p1", "p2"), ())


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_texts_that_differ_in_any_way_have_other_digests(one, other):
    assert (text_digest(one) == text_digest(other)) == (one == other)


def test_a_digest_tells_the_three_texts_apart():
    assert inputs_digest(("a",), ("b",), ("c",)) != inputs_digest(("a",), ("c",), ("b",))
    assert inputs_digest(("a", "b"), ("c",), ()) != inputs_digest(("a",), ("b", "c"), ())
    assert inputs_digest(("ab",), (), ()) != inputs_digest(("a", "b"), (), ())


def test_judgments_against_an_earlier_baseline_are_found_again_when_it_is_asked_for(tmp_path):
    path = tmp_path / "m.jsonl"
    line = '{{"question_id": "q", "model": "m", "judge": "j", "baseline": "{}", "games": [{{"score": "{}"}}, null]}}\n'
    path.write_text(line.format("old", "A>B") + line.format("new", "B>A"), "utf-8")
    assert load_judgments(path, baseline="old").items["q"].labels == ("A>B", None)
    assert load_judgments(path, baseline="new").items["q"].labels == ("B>A", None)
    assert load_judgments(path).items["q"].baseline == "new"


distributions = (
    st.lists(st.floats(0, 1), min_size=5, max_size=5)
    .map(lambda weights: normalised(dict(zip(LABELS, weights, strict=True))))
    .filter(bool)
)


@given(st.lists(st.tuples(st.none() | distributions, st.none() | distributions), min_size=1, max_size=8))
@settings(deadline=None)
def test_probabilities_come_back_as_they_were_written(tmp_path_factory, pairs):
    """Also where the first records of a file hold none."""
    path = tmp_path_factory.mktemp("soft") / "m.jsonl"
    records = [
        JudgmentRecord(
            f"q{number}",
            "m",
            "j",
            tuple(
                Game("p", "A", most_probable(told) if told else "A=B", probabilities=told, label_mass=told and 0.5)
                for told in pair
            ),
            baseline="base",
            settings="s",
            inputs="i",
        )
        for number, pair in enumerate(pairs)
    ]
    path.write_bytes(b"".join(map(encode_line, records)))
    loaded = load_judgments(path)
    assert loaded.problems == ()
    for number, pair in enumerate(pairs):
        found = loaded.items[f"q{number}"].probabilities
        assert bool(found) == any(pair)
        for game, told in zip(found, pair, strict=False):
            assert game == (told and pytest.approx(told, abs=1e-15))


def test_a_game_without_probabilities_has_no_word_of_them(bench):
    assert b"prob" not in encode_line(JudgmentRecord("q", "m", "j", (Game("p", "A", "A=B"), None)))


def test_probabilities_that_do_not_sum_to_1_are_told_and_left_out(bench, write_lines):
    good = {"A>>B": 0, "A>B": 1, "A=B": 0, "B>A": 0, "B>>A": 0}
    games = [{"score": "A>B", "probabilities": good}, {"score": "A>B", "probabilities": good | {"A=B": 1}}]
    path = write_lines(
        bench.judgments("j", "m"),
        generation_1("text", "A=B", "A=B"),
        {"question_id": "soft", "model": "m", "judge": "j", "games": games, "settings": "s", "inputs": "i"},
    )
    loaded = load_judgments(path)
    assert loaded.items["text"].probabilities == ()
    assert loaded.items["soft"].probabilities == (good, None)
    assert [(problem.line, "sum to 1" in problem.message) for problem in loaded.problems] == [(2, True)]
