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
    request_body,
    settings_digest,
)

MESSAGES = [{"role": "user", "content": "Почему?"}]


def config_of(
    answers: dict[str, object] | None = None, judge: dict[str, object] | None = None, **aya: object
) -> Config:
    models = {"aya": aya, "judge": {}, "base": {}}
    tables = {"answers": answers or {}, "judge": {"model": "judge", "baseline": "base", **(judge or {})}}
    return parse_config({"bench": "b", "models": models, **tables}, environ={})


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


def test_a_request_holds_what_is_set_and_nothing_else():
    assert request_body("/m/aya", MESSAGES, Sampling(0.0, 5)) == {
        "model": "/m/aya",
        "messages": MESSAGES,
        "temperature": 0.0,
        "max_tokens": 5,
    }


def test_a_request_holds_further_fields_beside_its_own():
    sampling = Sampling(
        0.0, 5, top_p=0.9, seed=3, extra_body={"min_p": 0.1}, chat_template_kwargs={"enable_thinking": False}
    )
    body = request_body("aya", MESSAGES, sampling)

    assert (body["top_p"], body["seed"], body["min_p"]) == (0.9, 3, 0.1)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


def test_a_sampling_with_another_seed_differs_in_the_seed_alone():
    assert Sampling(0.5, 5, seed=1, top_p=0.1).with_seed(2) == Sampling(0.5, 5, seed=2, top_p=0.1)


def test_the_settings_of_an_answer_are_what_shapes_it():
    endpoint = {"base_url": "http://planted/v1", "api_key": "sk-planted"}
    config = config_of({"seed": 1, "num_choices": 2}, None, model="/m/aya", endpoints=[endpoint], parallel=3)

    assert answer_settings(config, "aya", "") == {
        "model": "/m/aya",
        "temperature": 0.0,
        "max_tokens": 4096,
        "seed": 1,
        "num_choices": 2,
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
