"""arena-hard-auto's YAML files become a config.toml that says the same, and notes on what it cannot say."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent

import pytest
import tomli
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import parse_config
from engine.config.model import Config, PromptTexts
from engine.errors import ConfigError
from engine.formats.original_config import import_yaml

API = r"""
    gpt-4-0314:
        model_name: gpt-4-0314
        endpoints: null
        api_type: openai
        parallel: 8
    base:
        model_name: /models/base
        endpoints:
            - api_base: http://localhost:8010/v1
              api_key: planted-key
        api_type: openai
        parallel: 16
    tuned:
        model_name: /models/tuned
        endpoints:
            api_base: http://localhost:8011/v1
            api_key: planted-key
        api_type: openai
        parallel: 16
        system_prompt: "Отвечай кратко: \"да\"."
        tokenizer: /models/tuned
    judge:
        model_name: /models/judge
        endpoints:
            - api_base: http://gpu-1.lab:8010/v1
              api_key: planted-other-key
            - api_base: http://gpu-2.lab:8010/v1
              api_key: "-"
        api_type: openai
    """
ANSWERS = """
    name: answers
    bench_name: my-bench
    temperature: 0.0
    max_tokens: 1520
    num_choices: 1
    model_list:
      - tuned
      - base
    """
JUDGE = r"""
    name: judgments
    bench_name: my-bench
    judge_model: judge
    reference: False
    ref_model: null
    baseline: True
    baseline_model: base
    pairwise: True
    temperature: 0
    max_tokens: 512
    regex_pattern: \[(\[?[AB<>=ab]+\]?)\] # as the fork has it
    number_of_judgment_attempts: 4
    system_prompt: "Compare \\ them.\n\nSay \"\"\"one\"\"\" of:\n1. [[A>>B]]\n\"Thanks\""
    prompt_template: ["Q: {question_1}\n\n<A>{answer_1}</A>\n<B>{answer_2}</B>"]
    model_list:
      - base
      - tuned
    """


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "original" / "config"
    folder.mkdir(parents=True)
    write(folder, api_config=API, gen_answer_config=ANSWERS, judge_config=JUDGE)
    return folder


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(dedent(text), encoding="utf-8")


def imported(source: Path) -> tuple[Config, str]:
    """The config that the text makes with every variable set to its own name, and the notes."""
    text, notes = import_yaml(source)
    environ = {name: f"the-{name}" for name in ("OPENAI_API_KEY", "VLLM_API_KEY", "GPU_1_LAB_API_KEY")}
    return parse_config(tomli.loads(text), environ=environ, keys=False), "\n".join(notes)


def test_the_three_files_become_one_config(folder):
    config, _ = imported(folder)

    assert config.bench == "my-bench"
    assert (config.answers.models, config.answers.max_tokens) == (["tuned", "base"], 1520)
    assert (config.judge.model, config.judge.baseline, config.judge.models) == (["judge"], "base", ["tuned"])
    assert (config.judge.labels, config.judge.max_tokens, config.judge.retries) == ("arena-hard-local", 512, 4)
    tuned = config.models["tuned"]
    assert (tuned.model, tuned.parallel, tuned.system_prompt) == ("/models/tuned", 16, 'Отвечай кратко: "да".')
    assert [endpoint.base_url for endpoint in config.models["judge"].endpoints] == [
        "http://gpu-1.lab:8010/v1",
        "http://gpu-2.lab:8010/v1",
    ]
    assert list(config.models) == ["gpt-4-0314", "base", "tuned", "judge"]


def test_the_prompt_is_carried_over_to_the_letter(folder):
    prompt = imported(folder)[0].judge.prompt

    assert prompt == PromptTexts(
        system='Compare \\ them.\n\nSay """one""" of:\n1. [[A>>B]]\n"Thanks"',
        template="Q: {question_1}\n\n<A>{answer_1}</A>\n<B>{answer_2}</B>",
    )


def test_no_key_is_copied_and_one_key_has_one_name(folder):
    text, notes = import_yaml(folder)
    config, _ = imported(folder)

    assert "planted" not in text + "".join(notes)
    keys = {
        name: [endpoint.api_key and endpoint.api_key.get_secret_value() for endpoint in model.endpoints]
        for name, model in config.models.items()
    }
    assert keys == {
        "gpt-4-0314": ["the-OPENAI_API_KEY"],
        "base": ["the-VLLM_API_KEY"],
        "tuned": ["the-VLLM_API_KEY"],
        "judge": ["the-GPU_1_LAB_API_KEY", None],
    }
    assert "set the environment variable VLLM_API_KEY to the key of base, tuned" in notes


def test_two_keys_at_one_place_have_two_names(folder):
    write(
        folder,
        api_config=API.replace(
            "localhost:8011/v1\n            api_key: planted-key", "localhost:8011/v1\n            api_key: planted-2"
        ),
    )
    text, _ = import_yaml(folder)

    assert '"${VLLM_API_KEY}"' in text
    assert '"${VLLM_API_KEY_2}"' in text


def test_the_baseline_in_the_list_of_judged_models_is_noted(folder):
    assert "the baseline was removed from the judge's model_list" in imported(folder)[1]


def test_what_has_no_place_here_is_noted_with_the_models_it_is_about(folder):
    write(
        folder,
        judge_config=JUDGE.replace("pairwise: True", "pairwise: False").replace("reference: False", "reference: True"),
    )
    notes = imported(folder)[1]

    assert "`tokenizer` was not carried over" in notes
    assert "(tuned)" in notes
    assert "`pairwise: False` was not carried over" in notes
    assert "`reference` and `ref_model` were not carried over" in notes


def test_a_model_that_is_named_without_an_entry_gets_an_empty_one(folder):
    write(folder, gen_answer_config=ANSWERS + "  - newcomer\n")
    config, notes = imported(folder)

    assert not config.models["newcomer"].can_be_called
    assert "not in api_config.yaml: add `endpoints` to its table (newcomer)" in notes


def test_the_folder_above_config_will_do(folder):
    assert import_yaml(folder.parent) == import_yaml(folder)


def test_one_file_brings_those_beside_it(folder):
    assert import_yaml(folder / "judge_config.yaml") == import_yaml(folder)


def test_without_who_answers_nobody_does(folder):
    (folder / "gen_answer_config.yaml").unlink()
    config, notes = imported(folder)

    assert config.answers.models == []
    assert "[answers] models is empty" in notes


@pytest.mark.parametrize(
    ("api_type", "address", "variable", "provider"),
    [
        ("anthropic_thinking", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "anthropic"),
        ("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY", "gemini"),
        ("deepseek_reasoner", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "deepseek"),
    ],
)
def test_a_provider_is_called_where_it_speaks_openais_api(folder, api_type, address, variable, provider):
    write(folder, api_config=f"{API}\n    other: {{model: m, api_type: {api_type}, endpoints: null}}\n")
    text, notes = import_yaml(folder)

    assert tomli.loads(text)["models"]["other"]["endpoints"] == [{"base_url": address, "api_key": f"${{{variable}}}"}]
    assert any(note.startswith("called through the OpenAI-compatible API") for note in notes)
    assert imported(folder)[0].provider_name("other") == provider


def test_a_key_that_is_a_placeholder_or_a_variable_already_keeps_its_meaning(folder):
    entries = """
        a: {api_type: deepseek, endpoints: [{api_key: <your key>}]}
        b: {api_type: openai, endpoints: [{api_base: "http://h/v1", api_key: "$MY_KEY"}]}
    """
    write(folder, api_config=entries)
    models = tomli.loads(import_yaml(folder)[0])["models"]

    assert models["a"]["endpoints"][0]["api_key"] == "${DEEPSEEK_API_KEY}"
    assert models["b"]["endpoints"][0]["api_key"] == "${H_API_KEY}"


def test_an_azure_address_gets_the_path_of_its_openai_api(folder):
    entry = "a: {api_type: azure, endpoints: [{api_base: 'https://x.openai.azure.com/', api_key: k, api_version: v}]}"
    write(folder, api_config=entry)
    endpoint = tomli.loads(import_yaml(folder)[0])["models"]["a"]["endpoints"][0]

    assert endpoint == {"base_url": "https://x.openai.azure.com/openai/v1", "api_key": "${X_OPENAI_AZURE_COM_API_KEY}"}
    assert imported(folder)[0].provider_name("a") == "azure"


def test_a_provider_behind_another_address_keeps_its_name_but_any_server_may_speak_openais_api(folder):
    entries = """
        a: {api_type: anthropic, endpoints: [{api_base: "http://gateway/v1"}]}
        b: {api_type: openai, endpoints: [{api_base: "http://localhost:8000/v1"}]}
    """
    write(folder, api_config=entries)
    config = imported(folder)[0]

    assert (config.provider_name("a"), config.provider_name("b")) == ("anthropic", "vllm")


def test_a_password_in_an_address_is_left_out(folder):
    write(folder, api_config="a: {endpoints: [{api_base: 'http://me:planted@h/v1?token=planted'}]}")
    text, notes = import_yaml(folder)

    assert "planted" not in text + "".join(notes)
    assert "a password or query in an address was left out (a)" in notes


class TestGeneration2:
    """One file of judge settings a bench, named after it, with sampling at the models."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        write(
            tmp_path,
            api_config=r"""
                thinker: {model: org/thinker, api_type: sglang, local_engine: True, endpoints: null, temperature: 0.6,
                          max_tokens: 32000, end_think_token: "</think>"}
                judge: {model: org/judge, api_type: openai, endpoints: null, max_tokens: 9, temperature: 0.9}
                high: {model: o3-mini, api_type: openai_thinking, endpoints: null, reasoning_effort: high}
                far: {model: m, api_type: vertex, endpoints: null, project_id: p}
            """,
            gen_answer_config="bench_name: arena-hard-v2.0\nmodel_list: [thinker]\n",
        )
        for name in ("arena-hard-v0.1", "arena-hard-v2.0"):
            (tmp_path / f"{name}.yaml").write_text(
                dedent(
                    rf"""
                    judge_model: judge
                    bench_name: {name}
                    temperature: 0.0
                    max_tokens: 16000
                    reference: null
                    regex_patterns:
                      - \[\[([AB<>=]+)\]\]
                      - \[([AB<>=]+)\]
                    prompt_template: "{{QUESTION}} {{ANSWER_A}} {{ANSWER_B}}"
                    model_list: [thinker]
                    """
                )
            )
        return tmp_path

    def test_the_newest_bench_is_taken_and_the_other_noted(self, folder):
        config, notes = imported(folder)

        assert config.bench == "arena-hard-v2.0"
        assert "arena-hard-v0.1.yaml: not used, arena-hard-v2.0.yaml was taken" in notes

    def test_the_other_can_be_named(self, folder):
        assert imported(folder / "arena-hard-v0.1.yaml")[0].bench == "arena-hard-v0.1"

    def test_the_baseline_and_prompt_that_stand_in_its_code_are_filled_in_and_noted(self, folder):
        config, notes = imported(folder)

        assert (config.judge.baseline, config.judge.prompt, config.judge.labels) == ("o3-mini-2025-01-31", "full", "v2")
        assert "no baseline_model: o3-mini-2025-01-31" in notes
        assert "no system_prompt" in notes

    def test_creative_writing_has_its_own_baseline_and_prompt(self, folder):
        config, notes = imported(folder)

        (entry,) = config.judge.by_category
        assert (entry.category, entry.baseline, entry.prompt) == (
            ["creative_writing"],
            "gemini-2.0-flash-001",
            "creative",
        )
        assert "creative_writing has the baseline gemini-2.0-flash-001" in notes
        assert not imported(folder / "arena-hard-v0.1.yaml")[0].judge.by_category

    def test_the_categories_are_those_of_the_questions(self, folder):
        questions = folder / "data" / "arena-hard-v2.0" / "question.jsonl"
        questions.parent.mkdir(parents=True)
        questions.write_text('{"uid": "a", "prompt": "?", "category": "creative_writing"}\n')
        config, _ = imported(folder)

        assert (config.judge.baseline, config.judge.by_category) == ("gemini-2.0-flash-001", [])

    def test_a_baseline_that_the_config_names_is_that_of_all_categories(self, folder):
        file = folder / "arena-hard-v2.0.yaml"
        file.write_text(file.read_text() + "baseline_model: mine\n")
        config, _ = imported(folder)

        assert (config.judge.baseline, config.judge.by_category) == ("mine", [])

    def test_a_judge_keeps_the_judge_settings(self, folder):
        config, _ = imported(folder)

        assert (config.judge.max_tokens, config.models["judge"].max_tokens) == (16000, None)
        assert (config.models["thinker"].max_tokens, config.models["thinker"].temperature) == (32000, 0.6)

    def test_a_local_engine_becomes_a_server_that_is_started(self, folder):
        config, notes = imported(folder)

        assert config.models["thinker"].serve is not None
        assert "started by vLLM (`serve`), no longer by sglang (thinker)" in notes

    def test_the_effort_of_reasoning_is_sent_as_it_is(self, folder):
        config = imported(folder)[0]
        assert config.models["high"].extra_body == {"reasoning_effort": "high"}
        assert config.provider_name("high") == "openai-reasoning"

    def test_a_model_without_an_address_is_noted(self, folder):
        assert "has no endpoint: api_type `vertex`" in imported(folder)[1]


class TestWhatCannotBeRead:
    """Each is one clear error."""

    def test_a_folder_without_yaml(self, tmp_path):
        with pytest.raises(ConfigError, match="no config file of arena-hard-auto"):
            import_yaml(tmp_path)

    def test_a_yaml_file_of_something_else(self, tmp_path):
        write(tmp_path, compose="services: {web: {image: x}}")

        with pytest.raises(ConfigError, match="not a config file of arena-hard-auto"):
            import_yaml(tmp_path / "compose.yaml")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            import_yaml(tmp_path / "none.yaml")

    def test_models_without_a_judge(self, folder):
        (folder / "judge_config.yaml").unlink()

        with pytest.raises(ConfigError, match="no file names the judge"):
            import_yaml(folder)

    def test_a_judge_without_a_baseline(self, folder):
        write(folder, judge_config="judge_model: judge\nbench_name: other\n")

        with pytest.raises(ConfigError, match=r"judge\.baseline: is missing"):
            import_yaml(folder)

    def test_a_syntax_error_has_its_line_and_no_key(self, folder):
        write(folder, api_config="a:\n  endpoints: [{api_key: planted\n  b: c: d\n")

        with pytest.raises(ConfigError, match=r"line \d+") as raised:
            import_yaml(folder)
        assert "planted" not in str(raised.value)
        assert raised.value.__context__ is None


def test_a_value_that_is_refused_here_is_left_out_with_a_note(folder):
    write(
        folder, api_config=API.replace("parallel: 16", "parallel: many"), gen_answer_config=ANSWERS + "\n    top: 1\n"
    )
    config, notes = imported(folder)

    assert config.models["base"].parallel == 64
    assert "models.base.parallel: must be a whole number, not a text; left out" in notes
    assert "`top` (answers) was not carried over" in notes


def test_lists_that_hold_themselves_do_no_harm(folder):
    write(folder, api_config="a: {model_name: &x [*x], temperature: &y [*y], endpoints: [{api_base: &z [*z]}]}")

    assert imported(folder)[0].models["a"].temperature is None


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=2),
    max_leaves=5,
)


def tables(keys: list[str]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(keys), yaml_values, max_size=len(keys))


@settings(max_examples=100, deadline=None)
@given(
    entry=tables(["model_name", "endpoints", "api_type", "parallel", "system_prompt", "temperature", "local_engine"]),
    answers=tables(["bench_name", "temperature", "max_tokens", "num_choices", "model_list"]),
    judge=tables(
        ["bench_name", "max_tokens", "regex_pattern", "system_prompt", "prompt_template", "model_list", "pairwise"]
    ),
)
def test_whatever_the_yaml_holds_the_text_loads_or_one_error_says_why(tmp_path_factory, entry, answers, judge):
    folder = tmp_path_factory.mktemp("yaml")
    documents = {
        "api_config": {"a": {"api_type": "openai", **entry}, "b": entry},
        "gen_answer_config": {"model_list": [], **answers},
        "judge_config": {"judge_model": "a", "baseline_model": "b", "bench_name": "bench", **judge},
    }
    try:
        for name, document in documents.items():
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, allow_unicode=False), encoding="utf-8")
        text, told = import_yaml(folder)[0], ""
    except ConfigError as error:
        text, told = "", str(error)
    finally:
        shutil.rmtree(folder)

    if text:
        assert parse_config(tomli.loads(text), environ={}, keys=False).judge.model == ["a"]
    else:
        assert "bench: " in told, "all else can be done without"


@pytest.mark.parametrize(
    ("address", "variable"),
    [
        ("https://evil.example/v1", "EVIL_EXAMPLE_API_KEY"),
        ("http://openai/v1", "HOST_OPENAI_API_KEY"),
        ("http://203.0.113.5x/v1", "HOST_203_0_113_5X_API_KEY"),
        ("http://8.8.8.8/v1", "HOST_8_8_8_8_API_KEY"),
        ("http://пример/v1", "HOST_API_KEY"),
        ("http://10.0.0.7:8000/v1", "VLLM_API_KEY"),
        ("http://localhost:8000/v1", "VLLM_API_KEY"),
        ("http://[::1]:8000/v1", "VLLM_API_KEY"),
    ],
)
def test_a_file_cannot_send_a_secret_of_the_environment_to_a_host_of_its_choice(tmp_path, address, variable):
    endpoint = {"api_base": address, "api_key": "${AWS_SECRET_ACCESS_KEY}"}
    (tmp_path / "api_config.yaml").write_text(yaml.safe_dump({"m": {"api_type": "openai", "endpoints": [endpoint]}}))
    (tmp_path / "judge_config.yaml").write_text("bench_name: x\njudge_model: m\nbaseline_model: b\n")
    text, notes = import_yaml(tmp_path)
    assert tomli.loads(text)["models"]["m"]["endpoints"][0]["api_key"] == f"${{{variable}}}"
    assert "AWS_SECRET_ACCESS_KEY" not in text
    assert any("names the variable AWS_SECRET_ACCESS_KEY" in note for note in notes)
