"""The scripts and manifests of docs/cluster.md: shells, parsers and the config take them as they are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tomli
import yaml
from click.testing import CliRunner

from arena_tui.cli import cli
from engine.config.load import parse_config

PAGE = (Path(__file__).parents[1] / "docs" / "cluster.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("script", blocks("bash"))
def test_a_shell_takes_the_scripts(script, tmp_path):
    file = tmp_path / "script.sh"
    file.write_text(script)
    done = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--shell=bash", str(file)], check=True)


@pytest.mark.parametrize("script", blocks("bash"))
def test_the_commands_in_the_scripts_exist_with_their_options(script):
    for line in re.findall(r"arena-tui ([^&#\n]*)", script):
        words = line.replace("--no-ui", "").split()
        command = next((word for word in words if not word.startswith("-")), None)
        if command not in cli.commands:
            continue
        shown = CliRunner().invoke(cli, [command, "--help"]).output
        for flag in (word for word in words if word.startswith("--")):
            assert flag in shown, (line, flag)


def test_the_manifests_are_yaml_whose_selectors_and_volumes_fit():
    documents = [document for block in blocks("yaml") for document in yaml.safe_load_all(block)]
    assert {document["kind"] for document in documents} >= {"Service", "Deployment", "Job"}
    labels = [d["spec"]["template"]["metadata"]["labels"] for d in documents if d["kind"] == "Deployment"]
    for document in documents:
        assert document["apiVersion"]
        assert document["metadata"]["name"]
        if document["kind"] == "Service":
            assert document["spec"]["selector"] in labels
            assert document["spec"]["clusterIP"] == "None"
        if document["kind"] in ("Deployment", "Job"):
            pod = document["spec"]["template"]["spec"]
            volumes = {volume["name"] for volume in pod["volumes"]}
            for container in pod["containers"]:
                assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


@pytest.mark.parametrize("text", blocks("toml"))
def test_the_config_takes_the_tables(text):
    document = {"bench": "b", "judge": {"model": "judge", "baseline": "base"}, "models": {"judge": {}}}
    document |= tomli.loads(text)
    parse_config(document, environ={"VLLM_API_KEY": "a-key"})
