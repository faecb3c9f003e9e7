"""Who answers, who judges and who is judged, as a config says or leaves unsaid."""

from __future__ import annotations

from engine.config.load import parse_config
from engine.config.model import Config


def config_of(answers: dict[str, object] | None = None, **judge: object) -> Config:
    endpoint = {"base_url": "http://localhost/v1"}
    models = {
        "judge": {"endpoints": [endpoint]},
        "base": {"serve": {}},
        "aya": {"model": "/models/aya"},
    }
    tables = {"answers": answers or {}, "judge": {"model": "judge", "baseline": "base", **judge}, "models": models}
    return parse_config({"bench": "b", **tables}, environ={})


def test_everybody_answers_but_the_judges():
    assert config_of().answer_models() == ["base", "aya"]
    assert config_of(model=["judge", "aya"]).answer_models() == ["base"]


def test_a_list_of_who_answers_is_followed_in_its_order():
    assert config_of({"models": ["aya", "judge"]}).answer_models() == ["aya", "judge"]
    assert config_of({"models": []}).answer_models() == []


def test_everybody_with_answers_is_judged_but_the_baseline():
    assert config_of().judged_models(["aya", "base", "on disk"]) == ["aya", "on disk"]


def test_a_list_of_who_is_judged_is_followed_but_for_the_baseline():
    assert config_of(models=["on disk", "base"]).judged_models(["aya", "base"]) == ["on disk"]


def test_a_model_is_served_under_its_own_name_or_another():
    config = config_of()

    assert [config.served_name(entry) for entry in ("aya", "base", "on disk")] == ["/models/aya", "base", "on disk"]


def test_a_model_can_be_called_at_an_endpoint_or_a_server_that_is_started_for_it():
    assert {name: model.can_be_called for name, model in config_of().models.items()} == {
        "judge": True,
        "base": True,
        "aya": False,
    }


def test_a_config_with_another_data_folder_is_the_same_otherwise(tmp_path):
    config = parse_config(
        {"bench": "b", "judge": {"model": "j", "baseline": "x"}, "models": {"j": {}}}, tmp_path / "c.toml"
    )
    moved = config.model_copy(update={"data": tmp_path})

    assert (moved.data, moved.file, moved.judge) == (tmp_path, config.file, config.judge)
