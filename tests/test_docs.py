"""The documentation names everything that a user can set or call, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from arena_tui.cli import cli
from engine.config.model import AnswersConfig, CategoryConfig, Config, JudgeConfig, ModelConfig, UiConfig
from engine.config.providers import PROVIDERS
from engine.config.reporting import MlflowConfig, NotifyConfig, TensorboardConfig, TrackConfig, WandbConfig
from engine.config.servers import ClusterConfig, EndpointConfig, EndpointFolder, PriceConfig, ServeConfig, VllmConfig

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "table",
    [
        AnswersConfig,
        CategoryConfig,
        JudgeConfig,
        ModelConfig,
        ServeConfig,
        UiConfig,
        VllmConfig,
        ClusterConfig,
        EndpointConfig,
        EndpointFolder,
        PriceConfig,
        NotifyConfig,
        TrackConfig,
        MlflowConfig,
        WandbConfig,
        TensorboardConfig,
        Config,
    ],
)
def test_every_key_of_the_config_is_documented(table):
    text = (DOCS / "configuration.md").read_text("utf-8")
    keys = {field.alias or name for name, field in table.model_fields.items()} - {"vllm"}
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()


def test_every_command_is_documented():
    text = (DOCS / "commands.md").read_text("utf-8")
    assert {name for name in cli.commands if f"| `{name}" not in text} == set()


def test_every_provider_is_documented():
    text = (DOCS / "servers.md").read_text("utf-8")
    assert {name for name in PROVIDERS if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not anchor or anchor in headings(linked), target


def test_the_readme_stays_short():
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) <= 220
