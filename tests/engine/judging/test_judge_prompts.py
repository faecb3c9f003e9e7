"""What a judge is shown: our prompts, users' own, and where the texts go."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.judging.prompts import FULL, SIMPLE, custom_prompt, judge_prompt, render
from engine.judging.spelling import normalise_label
from engine.labels import LABELS

V01 = "{question_1}\n--\n{answer_1}\n--\n{answer_2}"
V2 = "{QUESTION}\n--\n{ANSWER_A}\n--\n{ANSWER_B}"
TWO_TURNS = "{question_1}|{answer_1}|{answer_3}|{question_2}|{answer_2}|{answer_4}"


def filled(template, question, one, other):
    return render(custom_prompt("", template), question, one, other)[1]


@pytest.mark.parametrize("prompt", [SIMPLE, FULL])
def test_our_prompts_frame_the_texts_as_all_forks_do(prompt):
    _, user = render(prompt, ["Why?"], ["Because."], ["No idea."])
    framed = (
        "<|User Prompt|>\nWhy?\n\n"
        "<|The Start of Assistant A's Answer|>\nBecause.\n<|The End of Assistant A's Answer|>\n\n"
        "<|The Start of Assistant B's Answer|>\nNo idea.\n<|The End of Assistant B's Answer|>"
    )
    assert user.startswith(framed)


@pytest.mark.parametrize("prompt", [SIMPLE, FULL])
def test_our_prompts_offer_each_label_once_and_say_what_it_means(prompt):
    offered = [line.split()[0] for line in prompt.system.splitlines() if line.startswith("[[")]
    assert [normalise_label(label) for label in offered] == list(LABELS)
    assert all(prompt.system.count(label) == 1 for label in offered)


@pytest.mark.parametrize("prompt", [SIMPLE, FULL])
def test_our_prompts_treat_both_places_alike(prompt):
    assert render(prompt, ["Why?"], ["same"], ["same"])[1].count("same") == 2
    for words in ("A is much better", "A is a little better"):
        assert words in prompt.system
        assert words.replace("A", "B") in prompt.system


def test_the_simple_prompt_lets_the_users_language_decide():
    assert "language" in SIMPLE.system
    assert "wins" in SIMPLE.system


def test_what_games_share_comes_first_so_that_a_server_can_cache_it():
    one = render(SIMPLE, ["Why?"], ["The baseline's answer."], ["One model."])[1]
    other = render(SIMPLE, ["Why?"], ["The baseline's answer."], ["Another model."])[1]
    shared = one[: next(place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])]
    assert "Why?" in shared
    assert "The baseline's answer." in shared


@pytest.mark.parametrize("template", [V01, V2])
def test_both_generations_of_placeholders_are_filled(template):
    assert filled(template, ["Q"], ["a"], ["b"]) == "Q\n--\na\n--\nb"


def test_a_template_may_show_a_text_twice():
    assert filled(f"{V2} Again: {{QUESTION}}", ["Q"], ["a"], ["b"]).endswith("Again: Q")


@settings(deadline=None)
@given(st.text(alphabet="{}QUESTIONanswer_12 %$\\", max_size=60), st.sampled_from([V01, V2]))
def test_braces_in_texts_are_data(text, template):
    assert filled(template, [text], [text], [text]) == f"{text}\n--\n{text}\n--\n{text}"


def test_placeholders_in_an_answer_stay_text():
    hostile = "{QUESTION} {ANSWER_B} {question_1} {answer_2} {{x}}"
    assert filled(V2, ["Q"], [hostile], ["b"]) == f"Q\n--\n{hostile}\n--\nb"


def test_doubled_braces_are_single_ones_as_for_str_format():
    assert filled(f"{V2} {{{{x}}}}", ["Q"], ["a"], ["b"]).endswith(" {x}")
    assert filled(f"{V2} {{{{QUESTION}}}}", ["Q"], ["a"], ["b"]).endswith(" {QUESTION}")


def test_json_in_a_template_keeps_its_braces():
    json = '{"verdict": {"label": "[[A>B]]"}}'
    assert filled(f"{V2} {json}", ["Q"], ["a"], ["b"]).endswith(json)


def test_several_turns_are_numbered_where_a_template_shows_them_whole():
    shown = filled(V2, ["Hi", "And?"], ["a1", "a2"], ["b1", "b2"])
    assert shown.startswith("[Turn 1]\nHi\n\n[Turn 2]\nAnd?\n--\n[Turn 1]\na1\n\n[Turn 2]\na2\n--\n")


def test_several_turns_never_mix_the_two_answers_in_a_template_for_one():
    assert filled(V01, ["q1", "q2"], ["a1", "a2"], ["b1", "b2"]) == filled(V2, ["q1", "q2"], ["a1", "a2"], ["b1", "b2"])


def test_numbered_answers_count_through_the_turns_of_a_and_then_of_b():
    assert filled(TWO_TURNS, ["q1", "q2"], ["a1", "a2"], ["b1", "b2"]) == "q1|a1|b1|q2|a2|b2"


def test_a_single_turn_leaves_the_second_places_empty():
    assert filled(TWO_TURNS, ["q1"], ["a1"], ["b1"]) == "q1|a1|b1|||"


def test_turns_beyond_the_last_place_go_on_there():
    shown = filled(TWO_TURNS, ["q1", "q2", "q3"], ["a1", "a2", "a3"], ["b1", "b2", "b3"])
    assert shown.startswith("q1|a1|b1|[Turn 2]\nq2\n\n[Turn 3]\nq3|[Turn 2]\na2\n\n[Turn 3]\na3|")


@pytest.mark.parametrize(
    ("template", "complaints"),
    [
        ("{question_1} {answer_1}", ["{answer_2} missing"]),
        ("{QUESTION}", ["{ANSWER_A}, {ANSWER_B} missing"]),
        ("no placeholder at all", ["{answer_1}, {answer_2}, {question_1} missing"]),
        ("{question_1} {question_2} {answer_1} {answer_2}", ["{answer_3}, {answer_4} missing"]),
        (f"{V2} {{answer_1}}", ["{answer_1} is a placeholder of the other generation"]),
        (f"{V01} {{ref_answer_1}} {{name}}", ["{name} is not a placeholder", "{ref_answer_1}: reference answers"]),
        ("{{question_1}} {answer_1} {answer_2}", ["{question_1} missing"]),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_all_its_problems(template, complaints):
    with pytest.raises(ConfigError) as refused:
        custom_prompt("You are a judge.", template)
    assert len(refused.value.problems) == len(complaints)
    for problem, complaint in zip(refused.value.problems, complaints, strict=True):
        assert problem.message.startswith(complaint)
        assert problem.hint


def test_a_named_prompt_that_is_none_names_those_that_are():
    with pytest.raises(ConfigError, match='"simple" or "full"'):
        judge_prompt("simpel")
    assert judge_prompt("simple") is SIMPLE
    assert judge_prompt("full") is FULL


def test_a_users_system_prompt_is_not_a_template():
    system = 'Write {"label": ...}, {QUESTION} or whatever'
    assert render(custom_prompt(system, V2), ["Q"], ["a"], ["b"])[0] == system
