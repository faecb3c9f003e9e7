"""`[[judge.by_category]]`: what it may hold, what is wrong with it, and which baseline and prompt a question has."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config.load import parse_config
from engine.config.model import Config, PromptTexts
from engine.config.sampling import judge_settings, settings_digest
from engine.errors import ConfigError
from engine.pairing import Pairing

OWN = {"system": "Judge.", "template": "{QUESTION} {ANSWER_A} {ANSWER_B}"}


def config_of(*entries: dict[str, Any], **judge: Any) -> Config:
    table = {"model": "judge", "baseline": "base", "by_category": list(entries)} | judge
    return parse_config({"bench": "b", "judge": table, "models": {"judge": {}, "base": {}}}, environ={})


def problems_of(*entries: dict[str, Any], **judge: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as raised:
        config_of(*entries, **judge)
    return {found.key: f"{found.message} {found.hint}" for found in raised.value.problems}


def test_a_category_has_its_own_baseline_and_prompt_and_the_rest_those_of_the_judge() -> None:
    judge = config_of(
        {"category": "writing", "baseline": "poet", "prompt": "creative"},
        {"category": ["maths", "code"], "prompt": OWN},
        prompt="full",
    ).judge
    assert judge.pairing == Pairing(("base",), (("writing", "poet"), ("maths", "base"), ("code", "base")))
    assert [judge.pairing.of(each) for each in ("writing", "maths", "")] == [("poet",), ("base",), ("base",)]
    assert judge.prompt_for("writing") == "creative"
    assert judge.prompt_for("code") == PromptTexts(**OWN)
    assert judge.prompt_for("other") == "full"


def test_the_prompt_of_a_category_shapes_the_settings_of_its_judgments_alone() -> None:
    plain, own = config_of(), config_of({"category": "writing", "prompt": "creative"})
    digests = {
        (name, category): settings_digest(judge_settings(config, "judge", "", category))
        for name, config in (("plain", plain), ("own", own))
        for category in ("writing", "maths")
    }
    assert digests["own", "maths"] == digests["plain", "maths"] == digests["plain", "writing"]
    assert digests["own", "writing"] != digests["plain", "writing"]


def test_named_baselines_replace_those_of_all_categories_and_leave_the_prompts() -> None:
    config = config_of({"category": "writing", "baseline": "poet", "prompt": "creative"}).with_baselines(["other"])
    assert config.judge.pairing.names == ("other",)
    assert not config.judge.pairing.is_split
    assert config.judge.prompt_for("writing") == "creative"


def test_a_baseline_of_some_categories_is_judged_on_the_others_only_where_it_is_named() -> None:
    entry = {"category": "writing", "baseline": "poet"}
    names = ["base", "poet", "model"]
    assert config_of(entry).judged_models(names) == ["model"]
    assert config_of(entry, models=names).judged_models(names) == names
    assert config_of(entry | {"baseline": "base"}, models=names).judged_models(names) == ["poet", "model"]


@pytest.mark.parametrize(
    ("entries", "judge", "key", "words"),
    [
        ([{"category": "a"}], {}, "judge.by_category[0]", "has neither `baseline` nor `prompt`"),
        ([{"baseline": "m"}], {}, "judge.by_category[0].category", "is missing"),
        ([{"category": [], "baseline": "m"}], {}, "judge.by_category[0].category", "must not be empty"),
        ([{"category": ["a", "a"], "baseline": "m"}], {}, "judge.by_category[0].category", '"a" is listed twice'),
        ([{"category": "a", "basline": "m"}], {}, "judge.by_category[0].basline", 'did you mean "baseline"?'),
        ([{"category": "a", "prompt": "creativ"}], {}, "judge.by_category[0].prompt", 'did you mean "creative"?'),
        (
            [{"category": ["a", "b"], "baseline": "m"}, {"category": ["c", "b"], "prompt": "full"}],
            {},
            "judge.by_category[1].category",
            '"b" is in judge.by_category[0] already',
        ),
        (
            [{"category": "a", "baseline": "m"}],
            {"baseline": ["base", "second"]},
            "judge.by_category[0].baseline",
            "several baselines",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    entries: list[dict[str, Any]], judge: dict[str, Any], key: str, words: str
) -> None:
    assert words in problems_of(*entries, **judge)[key]


def test_a_pairing_is_that_of_the_questions_there_are() -> None:
    pairing = Pairing(("base",), (("writing", "poet"), ("code", "base")))
    assert pairing.is_split
    assert pairing.anchor == "base + poet"
    assert pairing.on({"maths", "writing"}).anchor == "base + poet"
    assert pairing.on({"writing"}) == Pairing(("poet",), (("writing", "poet"),))
    assert not pairing.on({"maths", "code"}).is_split
    assert pairing.on(set()) == Pairing(("base",))
    several = config_of({"category": "writing", "prompt": "creative"}, baseline=["base", "second"]).judge.pairing
    assert several.on({"writing"}).names == several.on({"maths"}).names == ("base", "second")
