"""What a call is made with, and which settings shape a result."""

from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import parse_config
from engine.config.model import Config
from engine.config.sampling import (
    Sampling,
    answer_sampling,
    answer_settings,
    judge_sampling,
    judge_settings,
    settings_digest,
    unsent_fields,
)


def config_of(
    answers: dict[str, object] | None = None, judge: dict[str, object] | None = None, **aya: object
) -> Config:
    models = {"aya": aya, "judge": {}, "base": {}}
    tables = {"answers": answers or {}, "judge": {"model": "judge", "baseline": "base", **(judge or {})}}
    return parse_config({"bench": "b", "models": models, **tables}, environ={"OPENAI_API_KEY": "sk-planted"})


def test_a_models_temperature_wins_over_its_categorys_and_that_over_the_general_one():
    answers = {"temperature": 0.1, "category_temperatures": {"writing": 0.7}}

    assert answer_sampling(config_of(answers), "aya", "coding").temperature == 0.1
    assert answer_sampling(config_of(answers), "aya", "writing").temperature == 0.7
    assert answer_sampling(config_of(answers, temperature=0.0), "aya", "writing").temperature == 0.0


def test_every_setting_of_a_model_wins_over_the_general_one():
    answers = {"max_tokens": 10, "top_p": 0.5, "seed": 1, "system_prompt": "general", "num_choices": 3}
    own = {"max_tokens": 20, "top_p": 0.9, "seed": 2, "system_prompt": "own"}

    general = Sampling(0.0, 10, top_p=0.5, seed=1, system_prompt="general", num_choices=3)
    assert answer_sampling(config_of(answers), "aya", "") == general
    assert answer_sampling(config_of(answers, **own), "aya", "") == Sampling(0.0, 20, 0.9, 2, "own", 3)


def test_an_empty_system_prompt_of_a_model_takes_the_general_one_away():
    assert answer_sampling(config_of({"system_prompt": "general"}, system_prompt=""), "aya", "").system_prompt is None


def test_request_fields_are_merged_key_by_key():
    answers = {"extra_body": {"a": 1, "b": 1}, "chat_template_kwargs": {"x": 1}}
    config = config_of(answers, extra_body={"b": 2, "c": 2}, chat_template_kwargs={"y": 2})
    sampling = answer_sampling(config, "aya", "")

    assert sampling.extra_body == {"a": 1, "b": 2, "c": 2}
    assert sampling.chat_template_kwargs == {"x": 1, "y": 2}


def test_a_model_without_an_entry_answers_by_the_general_settings():
    assert answer_sampling(config_of({"max_tokens": 7}), "on disk", "").max_tokens == 7


def test_a_judge_has_the_judge_settings_but_for_its_own():
    config = config_of(None, {"model": ["judge", "aya"], "seed": 4}, max_tokens=9000, system_prompt="As a contestant.")

    assert judge_sampling(config, "judge") == Sampling(0.0, 512, seed=4)
    assert judge_sampling(config, "aya") == Sampling(0.0, 9000, seed=4), "its system prompt is for answering"


def test_the_settings_of_an_answer_are_what_shapes_it():
    endpoint = {"base_url": "http://planted/v1", "api_key": "sk-planted"}
    config = config_of({"seed": 1, "num_choices": 2}, None, model="/m/aya", endpoints=[endpoint], parallel=3)

    assert answer_settings(config, "aya", "") == {
        "model": "/m/aya",
        "temperature": 0.0,
        "max_tokens": 4096,
        "seed": 1,
        "num_choices": 1,
    }


def test_the_settings_of_a_judgment_are_what_shapes_it_but_not_how_often_it_may_be_asked_for():
    config = config_of(None, {"retries": 9})

    assert judge_settings(config, "judge", "1f") == {
        "judge": "judge",
        "prompt": "simple",
        "prompt_digest": "1f",
        "labels": "lenient",
        "verdict": "text",
        "temperature": 0.0,
        "max_tokens": 512,
    }
    own = {"system": "Judge.", "template": "{QUESTION}{ANSWER_A}{ANSWER_B}"}
    assert judge_settings(config_of(None, {"prompt": own}), "judge").items() >= own.items()


json_values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values), st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_keys(settings: dict[str, object], shuffler: random.Random):
    def reordered(value: object) -> object:
        if isinstance(value, list):
            return [reordered(item) for item in value]
        if isinstance(value, dict):
            items = [(key, reordered(item)) for key, item in value.items()]
            shuffler.shuffle(items)
            return dict(items)
        return value

    digest = settings_digest(settings)

    assert settings_digest(reordered(settings)) == digest
    assert len(digest) == 8
    assert int(digest, 16) >= 0


@given(st.dictionaries(st.text(), json_values), st.dictionaries(st.text(), json_values))
def test_other_settings_have_another_digest(one: dict[str, object], other: dict[str, object]):
    same_json = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (settings_digest(one) == settings_digest(other)) == same_json


def test_a_whole_number_and_its_decimal_are_one_temperature():
    digests = {settings_digest(answer_settings(config_of({"temperature": t}), "aya", "")) for t in (1, 1.0)}

    assert len(digests) == 1


def test_settings_made_before_more_fields_could_be_set_still_have_their_digest():
    """A field that is left open is sent with a value that changes nothing; it is no setting."""
    assert settings_digest(answer_settings(config_of(), "aya", "")) == "28ba6aba"
    assert settings_digest(judge_settings(config_of(), "judge", "1f")) == "0d9c2113"


def test_every_way_to_draw_is_a_setting():
    plain = settings_digest(answer_settings(config_of(), "aya", ""))
    drawings = {
        "top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": 0.5
    }  # fmt: skip
    digests = {settings_digest(answer_settings(config_of({name: drawings[name]}), "aya", "")) for name in drawings}
    assert len(digests | {plain}) == len(drawings) + 1
    assert answer_sampling(config_of({"top_k": 20}, top_k=5), "aya", "").top_k == 5
    assert judge_sampling(config_of(None, {"top_k": 0}), "judge").top_k == -1, "0 means all too, to some servers"


def test_modes_of_verdicts_are_never_mixed():
    modes = (
        {},
        {"reask": "constrained"},
        {"verdict": "constrained"},
        {"verdict": "constrained", "thinking": "first"},
        {"verdict": "soft"},
        {"verdict": "soft", "thinking": "first"},
    )
    assert len({settings_digest(judge_settings(config_of(None, mode), "judge")) for mode in modes}) == len(modes)


def test_how_tokens_are_drawn_is_no_setting_of_probabilities():
    """They are read before anything is drawn; where the judge thinks first, its thoughts are drawn."""

    def digest(**judge: object) -> str:
        return settings_digest(judge_settings(config_of(None, {"verdict": "soft", **judge}), "judge"))

    assert digest() == digest(temperature=0.7, max_tokens=9, top_k=3)
    assert digest(thinking="first") != digest(thinking="first", temperature=0.7)


def test_what_a_server_does_not_take_is_no_setting():
    config = config_of({"temperature": 0.5, "seed": 3}, None, provider="openai-reasoning", model="o9")
    assert answer_settings(config, "aya", "") == {"model": "o9", "max_tokens": 4096, "num_choices": 1, "seed": 3}
    assert unsent_fields(config, "aya", config.answers) == ["temperature"]
    assert unsent_fields(config, "judge", config.answers) == []
