"""Who takes part in a run: every problem is named before anything starts."""

from __future__ import annotations

import pytest

from engine.config.load import parse_config
from engine.work.participants import choose_participants, family

HERE = [{"base_url": "http://127.0.0.1:1/v1"}]


def config(models, judge="judge", baseline="base", **tables):
    document = {
        "bench": "b",
        "judge": {"model": judge, "baseline": baseline, **tables.pop("judge", {})},
        "models": models,
        **tables,
    }
    return parse_config(document, None, {})


ALL = {"base": {"endpoints": HERE}, "small": {"endpoints": HERE}, "judge": {"endpoints": HERE}}


def test_by_default_every_model_but_the_judge_answers_and_every_one_but_the_baseline_is_judged():
    participants = choose_participants(config(ALL), (), {})
    assert list(participants.answering) == ["base", "small"]
    assert list(participants.judged) == ["small"]
    assert not participants.problems


def test_a_model_with_answers_on_disk_needs_no_entry_to_be_judged():
    participants = choose_participants(config({"judge": {"endpoints": HERE}}), (), {"base": 5, "old": 5})
    assert list(participants.judged) == ["old"]
    assert not participants.problems


def test_only_some_models_still_brings_the_baseline_when_it_has_no_answers():
    models = ALL | {"large": {"endpoints": HERE}}
    participants = choose_participants(config(models, answers={"models": ["small", "large"]}), ("small",), {})
    assert list(participants.answering) == ["base", "small"]
    assert list(participants.judged) == ["small"]


def test_an_unknown_name_is_reported_with_a_suggestion():
    (problem,) = choose_participants(config(ALL), ("smal",), {}).problems
    assert "smal" in problem.message
    assert "'small'" in problem.hint


def test_a_model_with_neither_answers_nor_endpoint_is_a_problem():
    participants = choose_participants(config(ALL | {"lost": {}}), (), {})
    assert [problem.key for problem in participants.problems] == ["models.lost"]


def test_a_baseline_without_answers_is_a_problem():
    participants = choose_participants(config({"judge": {"endpoints": HERE}, "small": {"endpoints": HERE}}), (), {})
    assert "judge.baseline" in [problem.key for problem in participants.problems]


def test_a_judge_that_judges_itself_or_a_relative_gives_a_warning():
    models = {name: {"endpoints": HERE} for name in ("Phi-3", "Llama-3-8B", "Llama-3-70B")}
    participants = choose_participants(config(models, judge="Llama-3-70B", baseline="Phi-3"), (), {"Llama-3-70B": 5})
    assert any("its own answers" in warning for warning in participants.warnings)
    assert any("own family (Llama-3-8B)" in warning for warning in participants.warnings)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Llama-3-Instruct-8B-SimPO", "llama"),
        ("suzume-llama-3-8B-multilingual", "llama"),
        ("TinyLlama-1.1B", "llama"),
        ("Qwen2-7B-Instruct", "qwen"),
        ("Phi-3-medium-128k-instruct", "phi"),
        ("dolphin-2.9", "dolphin-2.9"),
        ("o3-mini", "o3"),
        ("my-checkpoint", "my-checkpoint"),
    ],
)
def test_families_are_recognized_by_name(name, expected):
    assert family(config(ALL), name) == expected


def test_the_config_knows_a_family_better_than_the_name():
    assert family(config(ALL | {"Llama-like": {"endpoints": HERE, "family": "Own"}}), "Llama-like") == "own"


def test_a_model_that_a_server_is_started_for_needs_no_endpoint():
    participants = choose_participants(config(ALL | {"served": {"serve": {}}, "nowhere": {}}), (), {})
    assert [problem.key for problem in participants.problems] == ["models.nowhere"]
