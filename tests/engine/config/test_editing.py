"""One value changed in the text of a config: all else stays as it is, byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from engine.config.editing import with_value
from engine.config.overrides import Assignment, parse_assignment
from engine.errors import UsageProblem

EXAMPLE = (Path(__file__).resolve().parents[3] / "config.toml").read_text("utf-8")


def changed(text: str, assignment: str) -> str:
    return with_value(text, parse_assignment(assignment, "key"))[0]


@pytest.mark.parametrize(
    "assignment",
    ["judge.max_tokens=256", "judge.prompt=full", "bench=other", "vllm.command=['/opt/vllm']", "ui.on_hangup=leave"],
)
def test_a_value_is_replaced_in_its_line_whose_comment_stays(assignment: str):
    before, after = EXAMPLE.splitlines(), changed(EXAMPLE, assignment).splitlines()
    assert len(before) == len(after)
    (differing,) = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    key, _ = assignment.rpartition(".")[2].split("=")
    assert differing[1].startswith(f"{key} = ")
    assert differing[0].partition("#")[2] == differing[1].partition("#")[2]


@pytest.mark.parametrize(
    "assignment",
    [
        "answers.top_p=0.9",
        "models.aya-23-8B.rate=5",
        "models.aya-23-8B.serve.tensor_parallel=2",
        "cluster.engine=ray",
        "models.new-one={ rate = 1 }",
        "models.aya-23-8B.endpoints[0].api_key='${KEY}'",
    ],
)
def test_a_key_is_added_and_no_line_is_lost(assignment: str):
    after = changed(EXAMPLE, assignment)
    lost = [line for line in EXAMPLE.splitlines() if line not in after.splitlines()]
    assert lost == ([line for line in lost if line.startswith("endpoints = ")] if "endpoints" in assignment else [])
    path, value = parse_assignment(assignment, "key")[:2]
    found = tomli.loads(after)
    for step in path:
        found = found[step]
    assert found == value


def test_line_ends_stay():
    text = 'bench = "b"  # c\r\n\r\n[judge]\r\nmodel = "m"\r\n'
    assert changed(text, "judge.model=n") == text.replace('"m"', '"n"')
    assert changed(text, "judge.retries=1") == text + "retries = 1\r\n"


def test_dotted_keys_and_inline_tables_are_changed_in_place():
    assert changed("judge.model = 'm' # c\n", "judge.model=n") == 'judge.model = "n" # c\n'
    assert changed("judge = { model = 'm' } # c\n", "judge.model=n") == 'judge = { model = "n" } # c\n'
    assert tomli.loads(changed("judge = { model = 'm' }\n", "judge.retries=1"))["judge"] == {"model": "m", "retries": 1}


def test_what_cannot_be_assigned_is_refused():
    with pytest.raises(UsageProblem, match="no such model in the config"):
        with_value(EXAMPLE, Assignment(("models", "aya", "rate"), 1, "key"))
