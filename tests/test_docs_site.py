"""The documentation site: it can be built, its links lead somewhere, and its reference holds what the code has."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import engine
from arena_tui.cli import cli
from engine.config.model import ModelConfig

REPOSITORY = Path(__file__).resolve().parent.parent


class Page(HTMLParser):
    """The links, anchors and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.text = ""
        self.loads: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag in ("script", "img", "iframe") and "src" in found:
            self.loads.add(found["src"])
        if tag == "link" and found.get("rel") == "stylesheet":
            self.loads.add(found["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, REPOSITORY / "docs" / "make_site.py", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("index.html")}


def test_every_link_of_the_site_leads_somewhere(site: Path, pages: dict[Path, Page]):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(unquote(link))
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / parts.path).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchors = pages[target].anchors if target in pages else {parts.fragment}
            if not target.exists() or (parts.fragment and parts.fragment not in anchors):
                broken.append((path.relative_to(site), link))
    assert not broken


def test_no_page_loads_anything_from_another_site(pages: dict[Path, Page]):
    assert {load for page in pages.values() for load in page.loads if "//" in load} == set()


def test_every_page_of_the_folder_is_on_the_site(site: Path):
    missing = {
        page.stem for page in (REPOSITORY / "docs").glob("*.md") if not (site / page.stem / "index.html").exists()
    }
    assert missing == set()


def test_the_reference_is_that_of_the_code(site: Path, pages: dict[Path, Page]):
    text = {name: pages[site / "reference" / name / "index.html"].text for name in ("cli", "config", "json", "api")}
    assert {name for name in cli.commands if f"arena-tui {name}" not in text["cli"]} == set()
    assert {
        field.alias or name for name, field in ModelConfig.model_fields.items() if name not in text["config"]
    } == set()
    assert all(word in text["json"] for word in ("p_holm", "known_bad", "AnswerRecord", "min_p") if word != "min_p")
    callables = {name for name in engine.__all__ if callable(getattr(engine, name))}
    assert {name for name in callables if name not in text["api"]} == set()
