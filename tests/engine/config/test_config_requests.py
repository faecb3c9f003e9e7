"""What is really sent: every sampling field that a server takes, in its own words, and nothing that it refuses."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.providers import PROVIDERS, SAMPLING_FIELDS
from engine.config.requests import (
    Requests,
    choice_fields,
    constrained_requests,
    read_choice,
    soft_requests,
)
from engine.config.sampling import Sampling
from engine.judging.prompts import FORMS
from engine.judging.verdicts import NUMBERS

MESSAGES = [{"role": "user", "content": "Почему?"}]
VLLM = PROVIDERS["vllm"]


def test_what_the_config_leaves_open_is_sent_with_the_value_that_changes_nothing():
    """So that no generation_config.json of a model gets in."""
    assert Requests("/m/aya", Sampling(0.0, 5), VLLM).body(MESSAGES) == {
        "model": "/m/aya",
        "messages": MESSAGES,
        "temperature": 0.0,
        "max_tokens": 5,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }


def test_what_the_config_says_wins_and_further_fields_over_that():
    sampling = Sampling(
        0.5,
        5,
        top_p=0.9,
        seed=3,
        top_k=7,
        extra_body={"min_p": 0.1, "priority": 1},
        chat_template_kwargs={"enable_thinking": False},
    )
    body = Requests("aya", sampling, VLLM).body(MESSAGES)
    assert {name: body[name] for name in ("top_p", "seed", "top_k", "min_p", "priority")} == {
        "top_p": 0.9, "seed": 3, "top_k": 7, "min_p": 0.1, "priority": 1
    }  # fmt: skip
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


def test_bodies_do_not_share_what_is_changed_in_one():
    requests = Requests("aya", Sampling(0.5, 5, seed=1), VLLM)
    assert requests.body(MESSAGES, seed=2)["seed"] == 2
    assert requests.body(MESSAGES)["seed"] == 1
    assert "messages" not in requests.fixed


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_sent_no_sampling_field_that_it_does_not_take(name):
    provider = PROVIDERS[name]
    body = Requests("m", Sampling(0.5 if "temperature" in provider.takes else None, 9), provider).body(MESSAGES)
    assert set(body) - {"model", "messages", provider.max_tokens} <= {
        provider.renamed.get(field, field) for field in provider.takes
    }
    assert body[provider.max_tokens] == 9


def test_names_of_fields_are_the_providers_own():
    sampling = Sampling(0.5, 5, seed=3)
    assert Requests("m", sampling, PROVIDERS["mistral"]).body(MESSAGES, seed=4)["random_seed"] == 4
    assert Requests("m", sampling, PROVIDERS["llama.cpp"]).body(MESSAGES)["repeat_penalty"] == 1.0
    assert Requests("m", sampling, PROVIDERS["openai"]).body(MESSAGES)["max_completion_tokens"] == 5
    assert "max_tokens" not in Requests("m", sampling, PROVIDERS["azure"]).body(MESSAGES)


def test_a_field_that_one_model_refuses_is_not_sent_to_it():
    body = Requests("m", Sampling(None, 5), PROVIDERS["openai"], refuses=["temperature", "top_p"]).body(MESSAGES)
    assert {"temperature", "top_p"} & set(body) == set()
    assert body["presence_penalty"] == 0.0


def test_a_choice_is_asked_for_in_each_servers_way():
    assert choice_fields(PROVIDERS["vllm"], FORMS) == {"structured_outputs": {"choice": list(FORMS)}}
    pattern = choice_fields(PROVIDERS["sglang"], FORMS)["regex"]
    assert all(re.fullmatch(pattern, form) for form in FORMS)
    assert not re.fullmatch(pattern, "[[A>>>B]]")
    assert choice_fields(PROVIDERS["llama.cpp"], ["1", 'a"b'])["grammar"] == r'root ::= "1" | "a\"b"'
    schema = choice_fields(PROVIDERS["openai"], FORMS)["response_format"]["json_schema"]
    assert schema["strict"]
    assert schema["schema"]["properties"]["verdict"]["enum"] == list(FORMS)
    assert schema["schema"]["additionalProperties"] is False
    assert choice_fields(PROVIDERS["anthropic"], FORMS) == {}


@pytest.mark.parametrize("form", FORMS)
def test_a_choice_is_read_bare_or_in_its_json_object(form):
    assert read_choice(form) == read_choice(f" {form}\n") == read_choice(json.dumps({"verdict": form})) == form


@given(st.text())
def test_what_is_no_choice_is_read_as_the_text_that_it_is(text):
    assert isinstance(read_choice(text), str)
    assert read_choice("{" + text) in ("{" + text.rstrip(), *FORMS) or text.startswith('"')


def test_a_constrained_call_leaves_room_for_a_label_and_does_not_think():
    body = constrained_requests("m", Sampling(0.0, 5), VLLM, FORMS).body(MESSAGES)
    assert body["max_tokens"] >= 16
    assert body["chat_template_kwargs"]["enable_thinking"] is False
    roomy = constrained_requests("m", Sampling(0.0, 900), VLLM, FORMS).body(MESSAGES)
    assert roomy["max_tokens"] == 900, "the reply ends with the label; who cannot help thinking needs the room"


def test_the_config_has_the_last_word_on_thinking():
    sampling = Sampling(0.0, 5, chat_template_kwargs={"enable_thinking": True, "level": "low"})
    told = constrained_requests("m", sampling, VLLM, FORMS).body(MESSAGES)["chat_template_kwargs"]
    assert (told["enable_thinking"], told["level"]) == (True, "low")
    assert "chat_template_kwargs" not in constrained_requests("m", Sampling(0, 5), PROVIDERS["openai"], FORMS).fixed


def test_a_soft_call_asks_for_one_token_drawn_from_all():
    sampling = Sampling(0.0, 512, top_p=0.1, top_k=1, repetition_penalty=1.3, extra_body={"priority": 1})
    body = soft_requests("m", sampling, VLLM, NUMBERS).body(MESSAGES)
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"], body["priority"]) == (1, True, 5, 1)
    assert body["structured_outputs"] == {"choice": list(NUMBERS)}
    neutral = Requests("m", Sampling(1.0, 1), VLLM).body(MESSAGES)
    assert {name: body[name] for name in SAMPLING_FIELDS if name in body} == {
        name: neutral[name] for name in SAMPLING_FIELDS if name in neutral
    }


def test_llama_cpp_is_asked_for_the_probabilities_behind_its_grammar():
    body = soft_requests("m", Sampling(0.0, 512), PROVIDERS["llama.cpp"], NUMBERS).body(MESSAGES)
    assert body["post_sampling_probs"] is True
    assert "grammar" in body
    assert (body["top_p"], body["min_p"], body["temperature"]) == (1.0, 0.0, 1.0), "nothing cuts the five labels"
    assert "post_sampling_probs" not in soft_requests("m", Sampling(0.0, 512), VLLM, NUMBERS).fixed


def test_where_a_constraint_would_wrap_the_name_more_alternatives_are_asked_for():
    body = soft_requests("m", Sampling(0.0, 512), PROVIDERS["openai"], NUMBERS).body(MESSAGES)
    assert body["top_logprobs"] == 20
    assert "response_format" not in body
