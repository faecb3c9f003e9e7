"""Values that replace those of a file: how they are spelt, what they may not do, and how problems name their origin."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import load_config, parse_config
from engine.config.overrides import assigned, parse_assignment, parse_key, variable_assignments
from engine.config.wording import key_of
from engine.errors import ConfigError, UsageProblem

TEXT = """
bench = "b"
[judge]
model = "big"
baseline = "base"
max_tokens = 512
[[judge.by_category]]
category = "code"
prompt = "full"
[models.big]
endpoints = [{ base_url = "http://localhost:1/v1" }]
[models."gpt-4.1"]
rate = 5
[models."aya 23"]
[models.base]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(TEXT, "utf-8")
    return tmp_path / "config.toml"


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("judge.max_tokens=256", ("judge", "max_tokens"), 256),
        (" judge.max_tokens = 256 ", ("judge", "max_tokens"), 256),
        ("judge.prompt=full", ("judge", "prompt"), "full"),
        ('judge.prompt="full"', ("judge", "prompt"), "full"),
        ("judge.model=['a', \"b=c\"]", ("judge", "model"), ["a", "b=c"]),
        ("answers.system_prompt=", ("answers", "system_prompt"), ""),
        ("answers.system_prompt=a = b # c", ("answers", "system_prompt"), "a = b # c"),
        ("answers.extra_body={ a = 1 }", ("answers", "extra_body"), {"a": 1}),
        ('models."gpt-4.1".rate=2.5', ("models", "gpt-4.1", "rate"), 2.5),
        ("models.'x=y'.rate=1", ("models", "x=y", "rate"), 1),
        ("models.big.endpoints[0].base_url=http://h/v1", ("models", "big", "endpoints", 0, "base_url"), "http://h/v1"),
        ("ui.on_hangup=leave", ("ui", "on_hangup"), "leave"),
        ("models.x.stream=true", ("models", "x", "stream"), True),
    ],
)
def test_a_key_and_a_toml_value_where_words_need_no_quotes(text: str, path: tuple[str | int, ...], value: object):
    found = parse_assignment(text, "--set")
    assert (found.path, found.value) == (path, value)
    assert type(found.value) is type(value)


@pytest.mark.parametrize("text", ["", "judge", "=1", "judge.=1", "judge..model=1", "judge.max tokens=1", 'judge."a=1'])
def test_what_is_no_assignment_is_refused(text: str):
    with pytest.raises(UsageProblem, match="is no KEY=VALUE"):
        parse_assignment(text, "--set")


@pytest.mark.parametrize("value", ["[1, 2", '"open', "{ a = }", "1\nb = 2", "'''"])
def test_a_value_that_is_broken_toml_is_refused_by_its_key_and_never_shown(value: str):
    with pytest.raises(UsageProblem, match=r"--set judge\.api_key: the value is not TOML") as refused:
        parse_assignment(f"judge.api_key={value}-sk-secret-value", "--set")
    assert "secret" not in str(refused.value)
    assert refused.value.__context__ is None


def test_a_text_without_an_equals_sign_does_not_show_what_may_be_a_value():
    with pytest.raises(UsageProblem) as refused:
        parse_assignment("judge.max tokens=sk-secret-value", "--set")
    assert "secret" not in str(refused.value)


KEYS = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20), min_size=1)


@given(KEYS)
def test_the_key_that_a_problem_names_is_read_back(steps: list[str]):
    assert parse_key(key_of(tuple(steps))) == tuple(steps)


def test_values_replace_those_of_the_file_and_the_last_one_counts(file: Path):
    texts = [
        "judge.max_tokens=256",
        "judge.max_tokens=128",
        'models."gpt-4.1".rate=1',
        "judge.by_category[0].prompt=simple",
    ]
    config = load_config(file, {}, assignments=[parse_assignment(text, "--set") for text in texts])
    assert config.judge.max_tokens == 128
    assert config.models["gpt-4.1"].rate == 1
    assert config.judge.by_category[0].prompt == "simple"
    assert config.origins == {
        "judge.max_tokens": "--set",
        'models."gpt-4.1".rate': "--set",
        "judge.by_category[0].prompt": "--set",
    }
    assert file.read_text("utf-8") == TEXT


def test_a_name_with_dots_needs_no_quotes(file: Path):
    config = load_config(file, {}, assignments=[parse_assignment("models.gpt-4.1.rate=9", "--set")])
    assert config.models["gpt-4.1"].rate == 9


def test_variables_spell_keys_in_capitals_and_what_they_cannot_hold_as_underlines(file: Path):
    environ = {
        "X_JUDGE__MAX_TOKENS": "7",
        "X_MODELS__GPT_4_1__RATE": "3",
        "X_MODELS__AYA_23__PARALLEL": "2",
        "X_JUDGE__BY_CATEGORY__0__CATEGORY": "math",
        "X_BENCH": "other",
        "X_RUN_LIMIT": "5",
        "Y_JUDGE__MAX_TOKENS": "8",
    }
    config = load_config(file, environ, assignments=variable_assignments(environ, "X_"))
    assert (config.bench, config.judge.max_tokens, config.models["gpt-4.1"].rate) == ("other", 7, 3)
    assert (config.models["aya 23"].parallel, config.judge.by_category[0].category) == (2, ["math"])
    assert config.origins["judge.max_tokens"] == "X_JUDGE__MAX_TOKENS"


def test_problems_of_values_name_their_origin_beside_those_of_the_file(file: Path):
    file.write_text(TEXT.replace("max_tokens = 512", "retries = 0"), "utf-8")
    environ = {"X_JUDGE__PROMT": "full", "X_MODELS__BIG__RATE": "-1"}
    given = [*variable_assignments(environ, "X_"), parse_assignment("judge.max_tokens=0", "--set")]
    with pytest.raises(ConfigError) as refused:
        load_config(file, {}, assignments=given)
    assert [f"{each.key}: {each.message} {each.hint}".strip() for each in refused.value.problems] == [
        "judge.max_tokens (--set): must be at least 1, not 0",
        "judge.retries: must be at least 1, not 0",
        'judge.promt (X_JUDGE__PROMT): unknown key did you mean "prompt"?',
        "models.big.rate (X_MODELS__BIG__RATE): must be more than 0, not -1",
    ]


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("models.bigg.rate=1", "models.bigg (--set)", "no such model in the config"),
        ("judge.by_category[3].prompt=full", "judge.by_category[3] (--set)", "cannot be set: judge.by_category has 1"),
        ("judge.model.x=1", "judge.model.x (--set)", "cannot be set: judge.model is no table"),
        ("judge.model[0]=x", "judge.model[0] (--set)", "cannot be set: judge.model is no list"),
    ],
)
def test_what_would_change_the_shape_of_the_config_is_refused(file: Path, text: str, key: str, message: str):
    with pytest.raises(ConfigError) as refused:
        load_config(file, {}, assignments=[parse_assignment(text, "--set")])
    assert [each.key for each in refused.value.problems] == [key]
    assert refused.value.problems[0].message.startswith(message)


def test_a_misspelt_model_is_no_further_model_but_a_whole_entry_is(file: Path):
    config = load_config(file, {}, assignments=[parse_assignment("models.new={ rate = 1 }", "--set")])
    assert config.models["new"].rate == 1


def test_a_variable_that_two_models_share_is_ambiguous():
    document = {"bench": "b", "judge": {"model": "a-b", "baseline": "a-b"}, "models": {"a-b": {}, "a.b": {}}}
    given = variable_assignments({"X_MODELS__A_B__RATE": "1"}, "X_")
    with pytest.raises(ConfigError, match=r'the variable may mean "a-b" or "a\.b"'):
        parse_config(document, None, {}, assignments=given)


def test_variables_of_the_environment_are_filled_into_values_that_are_set(file: Path):
    set_key = parse_assignment("models.big.endpoints[0].api_key=${KEY}", "--set")
    config = load_config(file, {"KEY": "sk-0123456789abcdef"}, assignments=[set_key])
    (endpoint,) = config.models["big"].addresses
    assert endpoint.api_key is not None
    assert endpoint.api_key.get_secret_value() == "sk-0123456789abcdef"


def test_the_document_that_was_read_is_left_as_it_is():
    document = {"judge": {"a": [{"b": 1}]}}
    changed = assigned(document, [parse_assignment("judge.a[0].b=2", "--set")])
    assert (document, changed.document) == ({"judge": {"a": [{"b": 1}]}}, {"judge": {"a": [{"b": 2}]}})
