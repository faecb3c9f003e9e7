"""Build the documentation site: the pages of this folder, and a reference generated from the code.

    python docs/make_site.py [OUT]        # default: site/ beside README.md

The home page is README.md. Zensical renders the site and refuses a link that leads nowhere. Nothing is fetched.
"""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

import engine
from arena_tui.cli import cli
from engine.auditing.report import AuditReport
from engine.config.schema import config_schema
from engine.ratings.compare import Comparison
from engine.ratings.leaderboard import Leaderboard
from engine.ratings.power import StudyPlan
from engine.records import AnswerRecord, JudgmentRecord

DOCS = Path(__file__).resolve().parent
REPOSITORY = DOCS.parent
OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md")  # pages beside README.md
LINK = re.compile(r"\]\(([^)\s]+)\)")
RESULTS = (Leaderboard, Comparison, StudyPlan, AuditReport)  # what `--format json` and the Python API return
RECORDS = (AnswerRecord, JudgmentRecord)

NAVIGATION = """\
nav = [
  { "Start" = [%(start)s] },
  { "How to" = [%(how_to)s] },
  { "Reference" = [%(reference)s] },
  { "Explanation" = [%(explanation)s] },
  { "Project" = [%(project)s] },
]
"""
START = ("index", "tutorial", "installing")
HOW_TO = ("how-to", "recipes", "benches", "watching", "curves", "batches", "cluster", "tracking", "migration")
REFERENCE = ("commands", "configuration", "terminal-ui", "files", "formats", "events", "servers", "troubleshooting")
GENERATED = ("reference/cli", "reference/config", "reference/json", "reference/api")
EXPLANATION = ("statistics", "verdicts", "noise", "comparison", "limits", "scale", "performance", "figures")
PROJECT = ("CONTRIBUTING", "CHANGELOG")

SETTINGS = """\
[project]
site_name = "arena-tui"
site_description = "Is this checkpoint better than the last one, by how much, and can I trust that?"
docs_dir = "pages"
site_dir = "site"
{navigation}
[project.theme]
font = false                      # nothing is loaded from another site
features = ["navigation.sections", "content.code.copy", "toc.follow", "search.highlight"]
[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
toggle.icon = "lucide/sun"
toggle.name = "Switch to dark"
[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
toggle.icon = "lucide/moon"
toggle.name = "Switch to light"
[project.plugins.mkdocstrings.handlers.python]
paths = ["{repository}"]
[project.plugins.mkdocstrings.handlers.python.options]
show_source = false
show_bases = false
show_root_heading = true
show_root_full_path = false
separate_signature = true
show_signature_annotations = true
signature_crossrefs = false
show_attribute_values = false
heading_level = 2
"""


def main(out: Path) -> int:
    """Build the site into `out`; return 1 if a page is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "pages"
        write_pages(pages)
        settings = Path(folder) / "zensical.toml"
        settings.write_text(SETTINGS.format(navigation=navigation(pages), repository=REPOSITORY), "utf-8")
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(settings)]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if built.returncode:
            sys.stderr.write(re.sub(r"\x1b\[[0-9;]*m", "", built.stdout + built.stderr))
            return 1
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(Path(folder) / "site", out)
    return 0


def write_pages(pages: Path) -> None:
    """Write every page of the site into a folder: those of this one, the README as home page, and the reference."""
    (pages / "reference").mkdir(parents=True)
    shutil.copytree(DOCS / "pictures", pages / "pictures", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    sources = [*DOCS.glob("*.md"), REPOSITORY / "README.md", *(REPOSITORY / name for name in OUTSIDE)]
    for source in sources:
        text = source.read_text("utf-8")
        (pages / on_site(source)).write_text(LINK.sub(lambda link, of=source.parent: moved(link, of), text), "utf-8")
        for link in LINK.finditer(text):
            target = source.parent / link[1].partition("#")[0]
            if target.is_file() and target.suffix != ".md":  # a file that a reader may want as it is
                copy = pages / on_site(target)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(target, copy)
    shutil.copy(DOCS / "notebook.ipynb", pages)
    for schema in (*DOCS.glob("*.schema.json"), REPOSITORY / "arena_tui" / "config.schema.json"):
        target = pages / schema.relative_to(DOCS if schema.parent == DOCS else REPOSITORY)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(schema, target)
    for name, text in (("cli", cli_page()), ("config", config_page()), ("json", json_page()), ("api", api_page())):
        (pages / "reference" / f"{name}.md").write_text(text, "utf-8")


def on_site(path: Path) -> Path:
    """Return where a file of the repository is on the site."""
    inside = path.resolve().relative_to(REPOSITORY)
    return Path("index.md") if inside == Path("README.md") else Path(str(inside).removeprefix("docs/"))


def moved(link: re.Match[str], folder: Path) -> str:
    """Return a link of a page in `folder` as the site has it."""
    target, mark, anchor = link[1].partition("#")
    if "://" in target or not target:
        return link[0]
    return f"]({on_site(folder / target)}{mark}{anchor})"


def navigation(pages: Path) -> str:
    """Return the navigation over all pages; one that stands in no list comes under Explanation."""
    known = {*START, *HOW_TO, *REFERENCE, *EXPLANATION, *PROJECT}
    others = sorted(page.stem for page in pages.glob("*.md") if page.stem not in known)
    parts = {
        "start": START,
        "how_to": HOW_TO,
        "reference": (*REFERENCE, *GENERATED),
        "explanation": (*EXPLANATION, *others),
        "project": PROJECT,
    }
    found = {
        part: ", ".join(f'"{name}.md"' for name in names if (pages / f"{name}.md").exists())
        for part, names in parts.items()
    }
    return NAVIGATION % found


def cli_page() -> str:
    """Return the help of every command."""
    parts = ["# Command line\n\nWhat `--help` prints, for every command.\n"]
    for path, command in commands(cli, ("arena-tui",)):
        context = click.Context(command, info_name=" ".join(path), max_content_width=100, terminal_width=100)
        parts.append(f"## {' '.join(path)}\n\n```text\n{click.unstyle(command.get_help(context)).strip()}\n```\n")
    return "\n".join(parts)


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            if inner is not None and not inner.hidden:
                yield from commands(inner, (*path, name))


def config_page() -> str:
    """Return the keys of every table of `config.toml`, from the schema of the config."""
    schema = config_schema()
    parts = ["# Keys of config.toml\n\nGenerated from the code; [configuration](../configuration.md) explains them.\n"]
    for name, table in (("Top level", schema), *sorted(schema.get("$defs", {}).items())):
        if "properties" in table:
            parts.append(f"## {name.removesuffix('Config')}\n\n{_text(table)}\n\n{_keys(table, schema)}")
    return "\n".join(parts)


def json_page() -> str:
    """Return the fields of results as JSON, and of the records in the files of a bench."""
    parts = ["# JSON of results and records\n\nGenerated from the code. Fields without a default are always there.\n"]
    for title, types in (("Results", RESULTS), ("Records", RECORDS)):
        parts.append(f"## {title}\n\n{', '.join(f'[{kind.__name__}](#{kind.__name__.lower()})' for kind in types)}\n")
        _, components = msgspec.json.schema_components(types)
        for name, table in components.items():
            if "properties" in table:
                parts.append(f"### {name}\n\n{_text(table)}\n\n{_keys(table, {'$defs': components})}")
    return "\n".join(parts)


def _text(table: dict[str, Any]) -> str:
    """Return a description as Markdown: what is indented keeps its lines."""
    text = inspect.cleandoc(table.get("description") or "")
    return re.sub(r"(?m)^(?= {4})", "    ", text.replace("Attributes:", "\n```text").replace("<", "&lt;")) + (
        "\n```" if "Attributes:" in text else ""
    )


def _keys(table: dict[str, Any], schema: dict[str, Any]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = table.get("required", ())
    for name, key in table["properties"].items():
        default = "required" if name in required else _code(key["default"]) if "default" in key else ""
        meaning = " ".join((key.get("description") or "").split())
        rows.append(f"| `{name}` | {_cell(_kind(key))} | {_cell(default)} | {_cell(meaning)} |")
    return "\n".join(rows) + "\n"


def _kind(key: dict[str, Any]) -> str:
    """Return the type of a JSON schema in a few words."""
    if "$ref" in key:
        return str(key["$ref"].rsplit("/", 1)[-1]).removesuffix("Config")
    if "enum" in key:
        return ", ".join(_code(value) for value in key["enum"])
    if "const" in key:
        return _code(key["const"])
    if inner := key.get("anyOf") or key.get("oneOf"):
        return " or ".join(dict.fromkeys(_kind(each) for each in inner))
    if key.get("type") == "array":
        return f"list of {_kind(key.get('items') or {})}" if isinstance(key.get("items"), dict) else "list"
    if key.get("type") == "object" and isinstance(key.get("additionalProperties"), dict):
        return f"table of {_kind(key['additionalProperties'])}"
    return str(key.get("type", "any")).replace("object", "table")


def _code(value: Any) -> str:
    return f"`{msgspec.json.encode(value).decode()}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def api_page() -> str:
    """Return the public API: every name that `engine` exports, described from its docstring."""
    parts = ["# Python API\n\n`import engine` has these names. [An example](../notebook.ipynb) is a notebook.\n"]
    for name in engine.__all__:
        value = getattr(engine, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            parts.append(f"::: {value.__module__}.{value.__qualname__}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "site")))
