"""Whatever stands in a config, it is told in words, and no secret is among them."""

from __future__ import annotations

from pathlib import Path

import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import examine, expand, parse_config
from engine.config.model import AnswersConfig, Config, JudgeConfig, ModelConfig
from engine.config.wording import key_of, quoted
from engine.formats.original_config import toml_text

SECRET = "planted-secret"
known_keys = sorted(
    {*Config.model_fields, *AnswersConfig.model_fields, *JudgeConfig.model_fields} | {"base_url", "endpoints"}
)
keys = st.sampled_from(known_keys + sorted(ModelConfig.model_fields)) | st.text(max_size=5)
toml_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.booleans()
    | st.integers()
    | st.floats()
    | toml_texts
    | st.dates()
    | st.sampled_from(
        [SECRET, f"http://u:{SECRET}@h/v1", f"http://h/?{SECRET}", f"{SECRET}\x1b", f"({SECRET}", "${PLANTED}"]
    )
)
documents = st.dictionaries(
    keys,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


@settings(max_examples=300)
@given(documents)
def test_any_document_is_a_config_or_has_problems_that_can_be_told(document: dict[str, object]):
    environ = {"PLANTED": SECRET}
    config, problems = examine(document, Path("config.toml"), environ)

    assert (config is None) <= bool(problems)
    for wrong in problems:
        assert wrong.problem.message
        assert wrong.problem.key.isprintable()
        assert "\x1b" not in wrong.problem.message
        names = {"answers.models", "judge.model"}
        if not any(wrong.problem.key.startswith(name) for name in names):
            assert SECRET not in wrong.problem.message + wrong.problem.hint


@given(st.sampled_from(["answers", "judge", "models"]), documents)
def test_any_table_may_be_wrong_while_the_rest_is_right(table: str, content: dict[str, object]):
    document = {"bench": "b", "judge": {"model": "j", "baseline": "x"}, "models": {"j": {}}, table: content}
    config, problems = examine(document, None, {"PLANTED": "x"})

    assert (config is None) <= bool(problems)


@given(st.text())
def test_a_quoted_text_is_printable_and_reads_back_but_for_halves_of_characters(text: str):
    whole = "".join("\ufffd" if 0xD800 <= ord(character) <= 0xDFFF else character for character in text)

    assert quoted(text).isprintable()
    assert tomli.loads(f"x = {quoted(text)}")["x"] == whole


@given(st.lists(st.text(max_size=100) | st.integers(0, 99), min_size=1))
def test_a_place_is_told_in_one_printable_line(place: list[str | int]):
    assert key_of(tuple(place)).isprintable()


toml_values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n'), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(toml_texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(toml_texts, toml_values))
def test_a_document_that_is_written_reads_back(document: dict[str, object]):
    assert tomli.loads(toml_text(document)) == document


class TestVariables:
    """`${NAME}` within a document."""

    def test_stands_anywhere_in_a_text_and_several_times(self):
        document = {"models": {"a": {"endpoints": [{"base_url": "http://${HOST}:${PORT}/v1"}]}}}
        filled, unset = expand(document, {"HOST": "h", "PORT": "1"})

        assert filled["models"]["a"]["endpoints"][0]["base_url"] == "http://h:1/v1"
        assert unset == []

    def test_is_itself_after_two_dollars(self):
        assert expand({"data": "$${HOME}/${X}"}, {"X": "x"})[0] == {"data": "${HOME}/x"}

    def test_is_not_read_twice(self):
        assert expand({"data": "${A}"}, {"A": "${B}", "B": "b"})[0] == {"data": "${B}"}

    def test_is_left_alone_where_texts_go_to_a_model_or_into_a_record(self):
        document = {
            "answers": {"system_prompt": "${S}", "extra_body": {"x": "${S}"}, "chat_template_kwargs": {"x": "${S}"}},
            "judge": {"prompt": {"system": "${S}"}, "labels": "${S}"},
        }

        assert expand(document, {"S": "planted"})[0] == document

    def test_counts_in_a_model_that_is_named_like_such_a_text(self):
        assert expand({"models": {"prompt": {"model": "${M}"}}}, {"M": "m"})[0]["models"]["prompt"] == {"model": "m"}

    @given(st.dictionaries(st.text(max_size=3), scalars.filter(lambda value: "${" not in str(value))))
    def test_without_one_a_document_stays_as_it_is(self, document: dict[str, object]):
        filled, unset = expand(document, {})

        assert repr(filled) == repr(document)
        assert unset == []


def test_fields_that_the_program_sets_cannot_be_set_by_the_file():
    document = {"bench": "b", "judge": {"model": "j", "baseline": "x"}, "models": {"j": {}}}

    for name in ("file", "unset_variables", "_file", "_unset"):
        assert examine({**document, name: "x"}, None, {})[1]
    assert parse_config(document, Path("here/c.toml"), {}).file == Path("here/c.toml")
