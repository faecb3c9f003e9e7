"""A config file becomes a Config, or one error that tells everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from engine.config.load import load_config, parse_config, require_keys
from engine.config.model import PromptTexts
from engine.errors import Advice, AdviceKind, ConfigError

SMALL = {
    "bench": "starter-ru",
    "judge": {"model": "judge", "baseline": "base"},
    "models": {"base": {}, "judge": {}, "aya": {}},
}


def with_changes(**tables: object) -> dict[str, object]:
    return {**SMALL, **tables}


def problems_of(document: dict[str, object], environ: dict[str, str] | None = None) -> dict[str, str]:
    """Each problem's key, and what is said of it."""
    with pytest.raises(ConfigError) as raised:
        parse_config(document, environ=environ or {})
    return {found.key: f"{found.message} {found.hint}" for found in raised.value.problems}


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str | bytes) -> Path:
        path = tmp_path / "config.toml"
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return path

    return written


def test_a_small_config_has_the_documented_defaults():
    config = parse_config(SMALL, environ={})

    assert (config.answers.temperature, config.answers.max_tokens, config.answers.num_choices) == (0.0, 4096, 1)
    assert (config.judge.prompt, config.judge.labels, config.judge.verdict) == ("simple", "lenient", "text")
    assert (config.judge.temperature, config.judge.max_tokens, config.judge.retries) == (0.0, 512, 3)
    assert config.vllm.command == ["vllm"]
    aya = config.models["aya"]
    assert (aya.parallel, aya.rate, aya.timeout, aya.attempts) == (64, None, 1200.0, 5)
    assert config.file is None


def test_everything_that_the_contract_names_is_read(write):
    config = load_config(
        write("""
        bench = "arena-hard-ru"
        data = "benches"
        [answers]
        models = ["aya"]
        temperature = 0.7
        max_tokens = 100
        num_choices = 2
        top_p = 0.9
        seed = 1
        system_prompt = "Be brief."
        category_temperatures = { writing = 0.7 }
        extra_body = { repetition_penalty = 1.05, nested = { list = [1, "two", true] } }
        chat_template_kwargs = { enable_thinking = false }
        [judge]
        model = ["one", "two"]
        baseline = "on disk only"
        models = ["also on disk only"]
        prompt = { system = "Judge.", template = "{QUESTION} {ANSWER_A} {ANSWER_B}" }
        labels = '\\[\\[(.*?)\\]\\]'
        verdict = "soft"
        retries = 5
        [vllm]
        command = ["docker", "run", "vllm"]
        [models.one]
        [models.two]
        [models.aya]
        model = "/models/aya"
        endpoints = [{ base_url = "http://localhost:8010/v1/", api_key = "${KEY}" }, { base_url = "https://other" }]
        parallel = 8
        rate = 50
        timeout = 60
        attempts = 2
        family = "command"
        temperature = 0.1
        [models.aya.serve]
        args = ["--max-model-len", "8192"]
        env = { CUDA_VISIBLE_DEVICES = "0" }
        """),
        {"KEY": "sk-1"},
    )

    assert config.judge.model == ["one", "two"]
    assert config.judge.prompt == PromptTexts(system="Judge.", template="{QUESTION} {ANSWER_A} {ANSWER_B}")
    assert config.judge.verdict == "soft"
    assert config.answers.extra_body["nested"] == {"list": [1, "two", True]}
    aya = config.models["aya"]
    assert [endpoint.base_url for endpoint in aya.endpoints] == ["http://localhost:8010/v1", "https://other"]
    assert aya.endpoints[0].api_key is not None
    assert aya.endpoints[0].api_key.get_secret_value() == "sk-1"
    assert aya.endpoints[1].api_key is None
    assert aya.rate == 50.0
    assert aya.serve is not None
    assert aya.serve.args == ["--max-model-len", "8192"]
    assert aya.serve.env["CUDA_VISIBLE_DEVICES"].get_secret_value() == "0"


def test_relative_data_counts_from_the_folder_of_the_file(write, tmp_path):
    text = 'bench = "b"\n{data}[judge]\nmodel = "j"\nbaseline = "x"\n[models.j]\n'

    assert load_config(write(text.format(data=""))).data == tmp_path / "data"
    assert load_config(write(text.format(data='data = "../d"\n'))).data == tmp_path / "../d"
    assert load_config(write(text.format(data='data = "/abs"\n'))).data == Path("/abs")
    assert load_config(write(text.format(data='data = "~/d"\n'))).data == Path.home() / "d"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(write):
    path = write(b'\xef\xbb\xbfbench = "b"\r\n[judge]\r\nmodel = "j"\r\nbaseline = "x"\r\n[models.j]\r\n')

    assert load_config(path).bench == "b"
    assert load_config(path).file == path


def test_all_problems_are_told_at_once_each_with_its_place():
    found = problems_of(
        {
            "bensh": "x",
            "answers": {"models": ["ayaa"], "max_tokens": "12", "temperature": 5, "num_choices": 0},
            "judge": {"model": "jugde", "verdict": "txt", "labels": "lenent", "promt": "simple", "prompt": 3},
            "models": {"aya": {"rate": 0, "endpoints": [{"api_base": "http://x/v1"}]}, "judge": {"parallel": True}},
        }
    )

    assert 'did you mean "bench"?' in found["bensh"]
    assert "is missing" in found["bench"]
    assert 'did you mean "aya"?' in found["answers.models[0]"]
    assert "a whole number, not a text" in found["answers.max_tokens"]
    assert "at most 2, not 5" in found["answers.temperature"]
    assert "at least 1, not 0" in found["answers.num_choices"]
    assert 'did you mean "judge"?' in found["judge.model"]
    assert 'did you mean "text"?' in found["judge.verdict"]
    assert '"lenient"' in found["judge.labels"]
    assert 'did you mean "prompt"?' in found["judge.promt"]
    assert '"simple", "full", "creative", or {' in found["judge.prompt"]
    assert "is missing" in found["judge.baseline"]
    assert "more than 0" in found["models.aya.rate"]
    assert 'did you mean "base_url"?' in found["models.aya.endpoints[0].api_base"]
    assert "not true or false" in found["models.judge.parallel"]


def test_a_key_in_the_wrong_table_is_told_where_it_belongs():
    found = problems_of(with_changes(temperature=0.5, models={**SMALL["models"], "aya": {"api_key": "k"}}))

    assert "[answers]" in found["temperature"]
    assert "endpoints" in found["models.aya.api_key"]


@pytest.mark.parametrize(
    ("key", "meant"), [("model_list", "models"), ("baseline_model", "baseline"), ("regex_pattern", "labels")]
)
def test_the_names_of_the_original_are_understood_as_what_they_are_called_here(key, meant):
    found = problems_of(with_changes(judge={"model": "judge", "baseline": "base", key: "x"}))

    assert f'did you mean "{meant}"?' in found[f"judge.{key}"]


def test_the_baseline_and_the_judged_may_be_on_disk_only():
    judge = {"model": "judge", "baseline": "nowhere", "models": ["nowhere either"]}

    assert parse_config(with_changes(judge=judge), environ={}).judge.baseline == "nowhere"


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://host:99999/v1",
        "http://host/v1/chat/completions",
        "http://host/v1?key=x",
        "http://user:hunter2@host/v1",
        "http://ho st/v1",
        "http://[::1/v1",
    ],
)
def test_an_address_that_cannot_work_is_refused_without_repeating_it(address):
    models = {**SMALL["models"], "aya": {"endpoints": [{"base_url": address}]}}

    with pytest.raises(ConfigError) as raised:
        parse_config(with_changes(models=models), environ={})

    assert [found.key for found in raised.value.problems] == ["models.aya.endpoints[0].base_url"]
    assert "hunter2" not in str(raised.value)


def test_one_address_twice_is_refused():
    models = {**SMALL["models"], "aya": {"endpoints": [{"base_url": "http://x/v1"}, {"base_url": "http://x/v1/"}]}}

    assert "parallel" in problems_of(with_changes(models=models))["models.aya.endpoints"]


@pytest.mark.parametrize("bench", ["", "..", "a/b", "a\\b", "../../etc", " x", "a\x1b[31m"])
def test_a_bench_is_the_name_of_one_folder(bench):
    assert "bench" in problems_of(with_changes(bench=bench))


def test_request_fields_that_have_a_name_of_their_own_are_refused_in_extra_body():
    found = problems_of(with_changes(answers={"extra_body": {"max_tokens": 5}}))

    assert "say `max_tokens` beside" in found["answers.extra_body"]


@pytest.mark.parametrize("setting", [True, False, "auto"])
def test_whether_replies_are_streamed_is_set_for_a_model(setting):
    config = parse_config(with_changes(models={**SMALL["models"], "aya": {"stream": setting}}))

    assert config.models["aya"].stream == setting


@pytest.mark.parametrize("setting", [1, 0, "yes", "true", []])
def test_another_setting_of_streams_is_refused(setting):
    found = problems_of(with_changes(models={**SMALL["models"], "aya": {"stream": setting}}))

    assert found["models.aya.stream"].strip() == 'must be true, false or "auto"'


def test_request_fields_must_be_json(write):
    path = write("""
        bench = "b"
        answers.extra_body = { when = 2024-01-01 }
        judge = { model = "j", baseline = "x", chat_template_kwargs = { n = nan } }
        models.j = {}
        """)

    with pytest.raises(ConfigError) as raised:
        load_config(path)

    assert [found.key for found in raised.value.problems] == ["answers.extra_body", "judge.chat_template_kwargs"]


@pytest.mark.parametrize("template", ["", "{question_1} {answer_1}", "{QUESTION} {ANSWER_A}", "{answer_1} {ANSWER_B}"])
def test_a_prompt_of_ones_own_must_hold_the_question_and_both_answers(template):
    judge = {"model": "judge", "baseline": "base", "prompt": {"template": template}}

    assert "{question_1}" in problems_of(with_changes(judge=judge))["judge.prompt.template"]


@pytest.mark.parametrize("labels", ["lenient", "v0.1", "v2", "arena-hard-local", r"\[(A|B)\]"])
def test_labels_are_a_named_parser_or_a_pattern(labels):
    judge = {"model": "judge", "baseline": "base", "labels": labels}

    assert parse_config(with_changes(judge=judge), environ={}).judge.labels == labels


def test_a_pattern_that_is_none_is_told():
    judge = {"model": "judge", "baseline": "base", "labels": "[[("}

    assert "is not a regular expression" in problems_of(with_changes(judge=judge))["judge.labels"]


@pytest.mark.parametrize("flag", ["--port", "--api-key=secret", "--served-model-name"])
def test_what_arena_tui_says_to_vllm_itself_is_refused_in_serve(flag):
    models = {**SMALL["models"], "aya": {"serve": {"args": [flag, "x"]}}}
    found = problems_of(with_changes(models=models))

    assert "must not hold" in found["models.aya.serve.args"]
    assert "secret" not in found["models.aya.serve.args"]


def test_keys_are_in_no_text_that_a_config_makes():
    endpoint = {"base_url": "http://localhost/v1", "api_key": "${KEY}"}
    models = {**SMALL["models"], "aya": {"endpoints": [endpoint], "serve": {"env": {"HF_TOKEN": "${KEY}"}}}}
    config = parse_config(with_changes(models=models), environ={"KEY": "sk-planted"})

    assert "sk-planted" not in f"{config!r} {config} {config.model_dump_json()} {config.models['aya']!r}"


@pytest.mark.parametrize("key", ["sk\nX-Evil: 1", "ключ"])
def test_a_key_that_cannot_be_a_header_is_refused_without_repeating_it(key):
    models = {**SMALL["models"], "aya": {"endpoints": [{"base_url": "http://localhost/v1", "api_key": key}]}}
    found = problems_of(with_changes(models=models))

    assert "HTTP header" in found["models.aya.endpoints[0].api_key"]
    assert key not in str(found)


def test_an_empty_key_is_no_key():
    models = {**SMALL["models"], "aya": {"endpoints": [{"base_url": "http://localhost/v1", "api_key": "${KEY}"}]}}

    assert parse_config(with_changes(models=models), environ={"KEY": " \n"}).models["aya"].endpoints[0].api_key is None


class TestVariables:
    """`${NAME}` where the environment has no NAME."""

    def config_with_key(self, **answers: object) -> dict[str, object]:
        endpoint = {"base_url": "http://localhost/v1", "api_key": "${ABSENT}"}
        return with_changes(answers=answers, models={**SMALL["models"], "aya": {"endpoints": [endpoint]}})

    def test_is_a_problem_that_names_it(self):
        found = problems_of(self.config_with_key())

        assert found.keys() == {"models.aya.endpoints[0].api_key"}
        assert "ABSENT is not set export ABSENT=..." in found["models.aya.endpoints[0].api_key"]

    def test_is_none_for_the_key_of_a_model_that_is_not_called(self):
        config = parse_config(self.config_with_key(models=["base"]), environ={})

        assert config.models["aya"].endpoints[0].api_key is None
        assert config.unset_variables == {"aya": ["ABSENT"]}

    def test_is_none_for_a_command_that_calls_nobody(self):
        assert parse_config(self.config_with_key(), environ={}, keys=False).unset_variables == {"aya": ["ABSENT"]}

    def test_is_a_problem_once_a_command_calls_the_model_after_all(self):
        config = parse_config(self.config_with_key(models=["base"]), environ={})

        require_keys(config, ["base"])
        with pytest.raises(ConfigError, match="ABSENT is not set"):
            require_keys(config, ["aya"])

    def test_is_always_a_problem_where_it_is_no_key(self):
        found = problems_of(with_changes(bench="${ABSENT}", data="${ALSO_ABSENT}/x"))

        assert found.keys() == {"bench", "data"}


class TestUnreadable:
    """Files that are no config at all."""

    def problem_of(self, path: Path) -> str:
        with pytest.raises(ConfigError) as raised:
            load_config(path, {})
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None, "the parser's error holds the text of the file"
        return str(raised.value)

    def test_a_missing_file_says_how_to_get_one(self, tmp_path):
        with pytest.raises(ConfigError) as raised:
            load_config(tmp_path / "none.toml", {})
        hint = raised.value.problems[0].hint
        assert isinstance(hint, Advice)
        assert AdviceKind.IMPORT in hint.kinds

    def test_a_folder(self, tmp_path):
        assert "cannot be read" in self.problem_of(tmp_path)

    def test_a_syntax_error_has_its_line_and_no_key(self, write):
        told = self.problem_of(write('bench = "b"\napi_key = "sk-planted\n'))

        assert "line 2" in told
        assert "sk-planted" not in told

    def test_another_encoding(self, write):
        assert "UTF-8" in self.problem_of(write('bench = "тест"'.encode("cp1251")))

    @pytest.mark.parametrize("depth", [60, 100_000])
    def test_endless_nesting(self, write, depth):
        assert "nested too deeply" in self.problem_of(write(f"a = {'[' * depth}{']' * depth}"))

    def test_a_number_of_ten_thousand_digits(self, write):
        assert "too many digits" in self.problem_of(write(f"a = {'9' * 10_000}"))
        assert "so large a number" in self.problem_of(write(f"bench = 'b'\n[answers]\nmax_tokens = 0x{'f' * 9000}"))


def with_judge_at(endpoints: object) -> dict[str, object]:
    return with_changes(models={"base": {}, "aya": {}, "judge": {"endpoints": endpoints}})


def test_endpoints_may_be_the_folder_where_servers_register(tmp_path):
    document = with_judge_at({"folder": "servers", "api_key": "${KEY}"})
    entry = parse_config(document, tmp_path / "config.toml", {"KEY": "a-key"}).models["judge"]
    assert entry.registry is not None
    assert entry.registry.api_key is not None
    assert entry.registry.api_key.get_secret_value() == "a-key"
    assert entry.addresses == []
    assert entry.can_be_called
    assert problems_of(document) == {
        "models.judge.endpoints.api_key": "the environment variable KEY is not set "
        "export KEY=..., or remove the key if the server needs none"
    }


@pytest.mark.parametrize(
    ("endpoints", "key", "said"),
    [
        ({"base_url": "http://a/v1"}, "", 'must be [{ base_url = "..." }, ...] or { folder = "..." }'),
        ("servers", "", 'must be [{ base_url = "..." }, ...] or { folder = "..." }'),
        ({"api_key": "k"}, ".folder", "is missing"),
        ({"folder": "servers", "key": "k"}, ".key", 'unknown key did you mean "api_key"?'),
        ([{"base_url": "http://a/v1", "folder": "x"}], "[0].folder", "unknown key"),
    ],
)
def test_endpoints_of_another_form_are_refused(endpoints, key, said):
    problems = problems_of(with_judge_at(endpoints))
    assert list(problems) == [f"models.judge.endpoints{key}"]
    assert said in problems[f"models.judge.endpoints{key}"]


def test_replicas_are_a_number_or_as_many_as_fit_and_a_cluster_has_an_engine():
    document = with_changes(
        models={"base": {}, "aya": {}, "judge": {"serve": {"replicas": "max"}}}, cluster={"engine": "ray"}
    )
    loaded = parse_config(document, environ={})
    assert loaded.models["judge"].serve is not None
    assert loaded.models["judge"].serve.replicas == "max"
    assert loaded.cluster.address == "auto"
    for replicas in ("all", 0, True, 1.5):
        document = with_changes(models={"base": {}, "aya": {}, "judge": {"serve": {"replicas": replicas}}})
        assert problems_of(document) == {"models.judge.serve.replicas": 'must be a number from 1 to 1024, or "max" '}
    assert problems_of(with_changes(cluster={"engine": "spark"})) == {"cluster.engine": 'must be "none" or "ray" '}
