"""The config.toml at the root of the repository is one that works as it is."""

from __future__ import annotations

import re
from pathlib import Path

from engine.config.load import load_config

FILE = Path(__file__).parents[3] / "config.toml"


def test_it_loads_without_a_single_environment_variable():
    config = load_config(FILE, {})

    assert config.bench == "starter-ru"
    assert config.data == FILE.parent / "data"
    assert config.judge.baseline == "Phi-3-medium-128k-instruct"
    assert config.judge.model == ["Llama-3-70B-Instruct-AH-AWQ"]


def test_it_names_contestants_at_servers_on_this_machine():
    config = load_config(FILE, {})
    contestants = [name for name in config.answer_models() if name != config.judge.baseline]

    assert len(contestants) >= 2
    for name in (*config.answer_models(), *config.judge.model):
        assert all(endpoint.base_url.startswith("http://localhost:") for endpoint in config.models[name].endpoints)
        assert config.models[name].can_be_called


def test_every_setting_that_is_commented_out_works_when_it_is_not(tmp_path):
    text = FILE.read_text(encoding="utf-8").replace('\nbench = "starter-ru"', "")
    opened, count = re.subn(r"^( *)# (?=\w+ = |{ \w+ = |\[\w)", r"\1", text, flags=re.MULTILINE)
    file = tmp_path / "config.toml"
    file.write_text(opened, encoding="utf-8")

    config = load_config(file, {"VLLM_API_KEY": "key"})

    assert count >= 15
    assert config.bench == "arena-hard-ru"
    assert config.models["aya-23-8B"].serve is not None
    assert len(config.models["Llama-3-70B-Instruct-AH-AWQ"].endpoints) == 2
