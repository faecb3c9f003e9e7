"""The GitHub action, the workflow and the container files: linted as their hosts would, and the action's steps run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from engine.simulator import demo_cast, running_simulator

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "docs" / "examples"
ACTION = REPOSITORY / ".github" / "actions" / "gate" / "action.yml"
PROGRAMS = Path(sys.executable).parent
QUESTIONS = 32


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-actions", ACTION),
        ("vendor.github-workflows", EXAMPLES / "gate.yml"),
        ("vendor.compose-spec", EXAMPLES / "compose.yaml"),
    ],
)
def test_files_of_hosts_fit_their_schema(schema: str, file: Path):
    done = run(PROGRAMS / "check-jsonschema", "--builtin-schema", schema, file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_and_the_action_leak_and_inject_nothing(tmp_path: Path):
    config = tmp_path / "zizmor.yml"
    config.write_text('rules: {unpinned-uses: {config: {policies: {"*": ref-pin}}}}\n', "utf-8")
    done = run(PROGRAMS / "zizmor", "--offline", "--no-progress", "--config", config, EXAMPLES / "gate.yml", ACTION)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_has_no_finding():
    done = run(PROGRAMS / "hadolint", EXAMPLES / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def steps() -> list[tuple[str, dict[str, str]]]:
    """The scripts of the action after its installation, and the variables that they read."""
    action = yaml.safe_load(ACTION.read_text("utf-8"))
    given = {name: str(entry.get("default", "")) for name, entry in action["inputs"].items()}
    given |= {"model": "sim-strong", "not-worse-than": "sim-weak", "margin": "5"}
    names = {f"${{{{ inputs.{name} }}}}": value for name, value in given.items()}
    return [
        (step["run"], {key: names.get(value, value) for key, value in step["env"].items()})
        for step in action["runs"]["steps"][1:]
    ]


@pytest.mark.parametrize(("model", "reference", "code"), [("sim-strong", "sim-weak", 0), ("sim-weak", "sim-strong", 1)])
async def test_the_steps_of_the_action_judge_and_gate(
    model: str, reference: str, code: int, tmp_path: Path, starter: Path
):
    cast = demo_cast()
    questions = (starter / "starter-en" / "question.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "data" / "bench").mkdir(parents=True)
    (tmp_path / "data" / "bench" / "question.jsonl").write_text("".join(questions[:QUESTIONS]), "utf-8")
    binaries = tmp_path / "temp" / "arena-tui" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "arena-tui").symlink_to(PROGRAMS / "arena-tui")
    summary = tmp_path / "summary.md"
    async with running_simulator(cast) as url:
        names = ("sim-baseline", "sim-strong", "sim-weak", "sim-judge")
        entries = "".join(f'[models.{name}]\nendpoints = [{{ base_url = "{url}/v1" }}]\n' for name in names)
        judging = 'bench = "bench"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n'
        (tmp_path / "config.toml").write_text(judging + entries, "utf-8")
        codes = []
        for script, environment in steps():
            given = {**environment, "MODEL": model, "REFERENCE": reference, "CONFIG": str(tmp_path / "config.toml")}
            hosts = {"RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_STEP_SUMMARY": str(summary)}
            done = await asyncio.to_thread(run, "bash", "-eo", "pipefail", "-c", script, **given, **hosts)
            codes.append(done.returncode)
    assert codes == [0, code], done.stdout + done.stderr
    assert model in summary.read_text("utf-8")
    assert "ate " in summary.read_text("utf-8")
