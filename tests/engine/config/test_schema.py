"""The JSON Schema of the config: that of the models, kept in the repository, and true to what a config may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli

from engine.config.load import examine
from engine.config.schema import config_schema, schema_text

REPOSITORY = Path(__file__).resolve().parents[3]
SHIPPED = REPOSITORY / "arena_tui" / "config.schema.json"
WRITE = "python -c \"from engine.config.schema import schema_text; print(schema_text(), end='')\""


def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with the [test] extra")
    jsonschema.Draft202012Validator.check_schema(config_schema())
    return jsonschema.Draft202012Validator(config_schema())


def test_the_file_in_the_repository_is_that_of_the_models():
    assert SHIPPED.read_text("utf-8") == schema_text(), f"write it anew: {WRITE} > arena_tui/config.schema.json"


def test_the_example_names_the_schema_in_its_first_line_and_keeps_to_it():
    text = (REPOSITORY / "config.toml").read_text("utf-8")
    assert text.splitlines()[0] == "#:schema ./arena_tui/config.schema.json"
    assert [error.message for error in validator().iter_errors(tomli.loads(text))] == []


MINIMAL = 'bench = "b"\n[judge]\nmodel = "a"\nbaseline = "a"\n[models.a]\n'


@pytest.mark.parametrize(
    "more",
    [
        "",
        "[judge]\nmodel = ['a']\nbaseline = ['a']\n[[judge.by_category]]\ncategory = 'code'\nprompt = 'full'\n",
        "[judge]\nmodel = 'a'\nbaseline = 'a'\nprompt = { template = '{QUESTION} {ANSWER_A} {ANSWER_B}' }\n",
        "[models.b]\nendpoints = { folder = 'servers' }\nstream = false\n[models.b.serve]\nreplicas = 'max'\n",
        "[models.b]\nserve = {}\n[models.l]\nadapters = 'runs/checkpoint-*'\nbase = 'b'\n",
        "[answers]\ncategory_temperatures = { writing = 0.7 }\nextra_body = { deep = [{ x = 1 }] }\n",
    ],
)
def test_what_a_config_may_hold_keeps_to_the_schema(more: str):
    text = MINIMAL.replace('[judge]\nmodel = "a"\nbaseline = "a"\n', "") if "[judge]" in more else MINIMAL
    document = tomli.loads(text + more)
    problems = [each.problem for each in examine(document, None, {})[1] if "adapters" not in each.path]
    assert problems == []
    assert [error.message for error in validator().iter_errors(document)] == []


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("[answers]\nmax_token = 1\n", "max_token"),
        ("[answers]\nmax_tokens = 0\n", "0 is less than the minimum"),
        ("[answers]\nmodels = 'a'\n", "not of type 'array'"),
        ("[ui]\non_hangup = 'go'\n", "'go' is not one of"),
        ("[models.b]\nserve = { replicas = 0 }\n", "0"),
        ("[models.b]\nstream = 'never'\n", "'never' is not one of"),
    ],
)
def test_what_is_wrong_is_wrong_by_the_schema_too(more: str, key: str):
    document = tomli.loads(MINIMAL + more)
    assert examine(document, None, {})[1]
    assert [error for error in validator().iter_errors(document) if key in error.message]


def test_keys_are_explained_by_the_texts_under_the_fields():
    schema = config_schema()
    judge = schema["$defs"]["JudgeConfig"]["properties"]
    assert judge["retries"]["description"] == "Asks per game until there is a label."
    assert schema["properties"]["data"]["default"] == "data"
    assert "null" not in schema_text()
    assert "None" not in schema_text()
