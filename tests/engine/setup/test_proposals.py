"""Who is proposed for which role, and the config that is written of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import parse_config
from engine.models.discover import ServedModel
from engine.pairing import Pairing
from engine.setup.benches import FoundBench
from engine.setup.proposal import Setup, Wishes, natural_order, propose, size_of
from engine.setup.servers import Address, FoundServer
from engine.setup.template import config_text

TEMPLATE = (Path(__file__).resolve().parents[3] / "config.toml").read_text("utf-8")


def server(port: int, *names: str, key: str = "") -> FoundServer:
    return FoundServer(Address(f"http://localhost:{port}/v1", key), tuple(ServedModel(name) for name in names))


def bench(
    answers: dict[str, int] | None = None, judged: dict[str, tuple[str, ...]] | None = None, **more
) -> FoundBench:
    return FoundBench("ah", Path("data/ah"), 500, answers or {}, judged or {}, **more)


def test_an_imported_bench_and_one_judge_are_enough():
    answers = {f"model-{number}": 500 for number in range(10)}
    setup = propose([bench(answers)], [server(8000, "big-judge")])
    assert (setup.judge, setup.answers, setup.baseline) == ("big-judge", (), "model-0")
    assert len(setup.compared) == 9
    assert setup.missing() == []


def test_checkpoints_answer_and_the_first_of_them_is_the_baseline():
    setup = propose([bench()], [server(8000, "ckpt-2000", "ckpt-900"), server(8001, "/models/Qwen-72B")])
    assert (setup.judge, setup.answers, setup.baseline) == ("Qwen-72B", ("ckpt-900", "ckpt-2000"), "ckpt-900")


@pytest.mark.parametrize(
    ("served", "judged", "judge"),
    [
        (("a-7B", "b-70B"), {}, "b-70B"),
        (("a-judge-7B", "b-70B"), {}, "a-judge-7B"),
        (("a-7B", "b-70B"), {"a-7B": ("x",)}, "a-7B"),
        (("Mixtral-8x7B", "b-40B"), {}, "Mixtral-8x7B"),
    ],
)
def test_who_judged_before_judges_then_the_name_then_the_size(served: tuple[str, ...], judged: dict, judge: str):
    assert propose([bench(judged=judged)], [server(8000, *served)]).judge == judge


@pytest.mark.parametrize(
    ("found", "baseline"),
    [
        (bench({"a": 500, "b": 500}, baselines=("b",)), "b"),
        (bench({"a": 500, "b": 500, "c": 500}, {"j": ("a", "c")}), "b"),  # nobody judged it
        (bench({"a": 500, "Phi-3-medium-128k-instruct": 500}), "Phi-3-medium-128k-instruct"),
        (bench({"a": 500, "my-base": 500}), "my-base"),
        (bench({"a": 20, "b": 500}), "b"),  # has all answers
    ],
)
def test_the_baseline_is_that_of_before_or_of_the_published_bench(found: FoundBench, baseline: str):
    assert propose([found], [server(8000, "judge")]).baseline == baseline


def test_a_model_is_named_as_its_answers_are_and_two_of_one_name_keep_their_paths():
    setup = propose([bench({"aya": 500})], [server(1, "/models/aya", "org/x", "judge"), server(2, "other/x")])
    names = {candidate.name: candidate.served_as for candidate in setup.candidates}
    assert names == {"aya": "/models/aya", "org/x": "org/x", "other/x": "other/x", "judge": "judge"}


def test_one_model_at_two_servers_has_two_endpoints_and_two_names_at_one_server_count_once():
    alias = FoundServer(Address("http://localhost:3/v1"), (ServedModel("m", "/m"), ServedModel("m-alias", "/m")))
    setup = propose([bench()], [server(1, "judge"), alias, server(2, "m")])
    assert [candidate.name for candidate in setup.candidates] == ["judge", "m"]
    assert [address.url[-5:-3] for address in setup.candidates[1].addresses] == [":2", ":3"]


def test_wishes_are_kept_while_they_are_possible():
    servers = [server(1, "a", "b", "c")]
    wishes = Wishes(judge="a", baseline="c", answers=("b", "c", "gone"))
    setup = propose([bench()], servers, wishes)
    assert (setup.judge, setup.answers, setup.baseline) == ("a", ("b", "c"), "c")
    setup = propose([bench()], [server(1, "b", "c")], wishes)
    assert setup.judge in ("b", "c")


@pytest.mark.parametrize(
    ("setup", "what"),
    [
        (propose([], []), "no bench"),
        (propose([bench()], []), "no server found"),
        (propose([bench()], [server(1, "only")]), "no model can be the baseline"),
        (propose([bench({"a": 500})], [server(1, "judge")]), "no model to compare"),
    ],
)
def test_what_is_absent_is_named_with_what_to_do(setup: Setup, what: str):
    assert any(what in title and hint for title, hint in setup.missing())


def test_names_are_ordered_and_measured_as_people_do():
    assert sorted(["ckpt-1000", "ckpt-900", "b"], key=natural_order) == ["b", "ckpt-900", "ckpt-1000"]
    assert [size_of(name) for name in ("x-7B", "Mixtral-8x7B", "q-0.5b", "web", "x-7Bit")] == [7, 56, 0.5, 0, 0]


def test_the_config_keeps_the_comments_and_holds_the_setup():
    found = bench({f"model-{number}": 500 for number in range(10)})
    setup = propose([found], [server(8000, "/m/judge"), server(8001, "org/new", key="NEW_KEY")])
    text = config_text(TEMPLATE, setup, "elsewhere")
    config = parse_config(tomllib.loads(text), Path("config.toml"), {"NEW_KEY": "x"})
    assert (config.bench, str(config.data)) == ("ah", "elsewhere")
    assert (config.judge.model, config.judge.baseline, config.answer_models()) == (["judge"], "model-0", ["new"])
    assert list(config.models) == ["judge", "new"]
    assert config.served_name("new") == "org/new"
    assert 'api_key = "${NEW_KEY}"' in text
    kept = [line for line in TEMPLATE.splitlines() if line.startswith("#")]
    assert [line for line in kept if line not in text] == []
    assert "localhost:8010" not in text


def test_a_category_with_a_published_baseline_of_its_own_gets_it():
    answers = dict.fromkeys(("o3-mini-2025-01-31", "gemini-2.0-flash-001", "mine"), 500)
    found = bench(answers, categories=("creative_writing", "hard_prompt"))
    setup = propose([found], [server(8000, "judge")])
    config = parse_config(tomllib.loads(config_text(TEMPLATE, setup)), Path("config.toml"), {})
    assert config.judge.pairing == Pairing(("o3-mini-2025-01-31",), (("creative_writing", "gemini-2.0-flash-001"),))
    assert propose([found], [server(8000, "judge")], Wishes(baseline="mine")).by_category == []
    del answers["gemini-2.0-flash-001"]
    assert propose([bench(answers, categories=found.categories)], [server(8000, "judge")]).by_category == []


def test_without_servers_the_example_names_the_bench():
    text = config_text(TEMPLATE, propose([bench()], []))
    assert tomllib.loads(text) == {**tomllib.loads(TEMPLATE), "bench": "ah"}


names = st.text(st.characters(exclude_categories=("C",), exclude_characters="/"), min_size=1, max_size=30).filter(
    lambda name: name == name.strip()
)


@given(st.lists(names, min_size=2, max_size=30, unique=True), names)
def test_any_names_come_back_from_the_config(models: list[str], folder: str):
    found = FoundBench(folder, Path(folder), 3)
    setup = propose([found], [server(1, *models)])
    document = tomllib.loads(config_text(TEMPLATE, setup))
    assert document["bench"] == folder
    assert document["judge"]["model"] == setup.judge
    assert document["judge"]["baseline"] == setup.baseline
    assert document["answers"]["models"] == list(setup.answers)
    assert set(document["models"]) == {setup.judge, *setup.answers}
