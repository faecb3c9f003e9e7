"""What keeps the tree easy to work in: imports run one way, files have one job, a quick start, one test command."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from arena_tui.cli import cli

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("engine", "arena_tui")
UI = {"arena_tui", "textual", "rich", "click"}
HEAVY = {"polars", "numpy", "aiohttp", "tiktoken", "pydantic"}

MAX_LINES = 400  # of a file: about what one job takes, and a reader can hold


def modules(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


def imported_packages(module: Path) -> set[str]:
    """The top-level packages that a module imports anywhere, functions included."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_the_engine_imports_no_user_interface():
    offenders = {str(module): imported_packages(module) & UI for module in modules("engine")}
    assert not {module: found for module, found in offenders.items() if found}


def test_the_import_contracts_hold():
    pytest.importorskip("importlinter", reason="import-linter comes with the [dev] extra")
    check = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", check], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: [3-9] kept, 0 broken", done.stdout), done.stdout


def test_no_file_is_longer_than_one_can_keep_in_mind():
    sizes = {
        str(module.relative_to(REPOSITORY)): len(module.read_text("utf-8").splitlines())
        for package in PACKAGES
        for module in modules(package)
    }
    assert not {module: lines for module, lines in sizes.items() if lines > MAX_LINES}


def imports_of_files() -> dict[str, set[str]]:
    """By module name, the modules of the project that it imports anywhere, functions and TYPE_CHECKING included."""
    names = {
        ".".join(module.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): module
        for package in PACKAGES
        for module in modules(package)
    }
    graph: dict[str, set[str]] = {}
    for name, module in names.items():
        found = graph[name] = set()
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= inner & names.keys() or {node.module} & names.keys()
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names} & names.keys()
        found.discard(name)
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, by repeatedly removing modules without importers or imports."""
    left = {name: set(targets) for name, targets in graph.items()}
    while True:
        imported = set().union(*left.values())
        loose = {name for name, targets in left.items() if not targets or name not in imported}
        if not loose:
            return [sorted(left)] if left else []
        left = {name: targets - loose for name, targets in left.items() if name not in loose}


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_no_files_import_each_other_in_a_circle():
    assert circles(imports_of_files()) == []


def test_public_class_names_are_unique():
    places: dict[str, list[str]] = {}
    for package in PACKAGES:
        for module in modules(package):
            for node in ast.parse(module.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(str(module.relative_to(REPOSITORY)))
    assert not {name: where for name, where in places.items() if len(where) > 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--version"], "arena-tui, version "),
        (["--help"], "Usage: arena-tui "),
        (["leaderboard", "--help"], "--battles"),
    ],
)
def test_a_question_about_the_command_itself_loads_nothing_heavy(arguments: list[str], says: str):
    script = (
        "import json, sys\n"
        "from arena_tui.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    code, loaded = json.loads(done.stderr)
    assert code == 0
    assert says in done.stdout
    assert "click" in loaded  # the list of modules is a real one
    assert (HEAVY | {"textual", "rich", "msgspec", "asyncio"}).isdisjoint(loaded)


def test_the_first_frame_of_the_terminal_ui_loads_nothing_heavy():
    script = (
        "import json, sys\n"
        "import arena_tui.app, arena_tui.session.arena_session\n"
        "from arena_tui.navigation import screen_class\n"
        "screen_class('run')\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert "textual" in loaded
    assert HEAVY.isdisjoint(loaded)


def quick_start() -> list[str]:
    """The commands of the README's first section, one a line of its code blocks."""
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    section = readme.partition("## Quick start\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def test_the_quick_start_is_two_commands_the_second_of_which_is_what_ci_runs():
    demo, tests = quick_start()
    assert demo.endswith("arena-tui --demo")
    assert "pytest" in tests
    assert tests in (REPOSITORY / ".ci" / "run").read_text("utf-8").splitlines()


def pinned_versions() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_every_dependency_of_base_test_and_dev_is_pinned_and_no_registry_is_named():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    pinned = pinned_versions()
    for requirement in (*project["dependencies"], *extras["test"], *extras["dev"]):
        name = re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")
        assert name == "arena-tui" or name in pinned
    assert not [version for version in pinned.values() if not re.fullmatch(r"[0-9][0-9a-z.]*", version)]
    assert "://" not in (REPOSITORY / "constraints.txt").read_text("utf-8")


def test_the_engine_names_no_flag_or_command_of_the_command_line():
    shared_with_vllm = {
        "--host",
        "--port",
        "--help",
        "--config",
        "--seed",
        "--format",
        "--gpu-memory-utilization",
    }  # and nvidia-smi
    commands = [cli, *cli.commands.values()]
    options = {name for command in commands for option in command.params for name in option.opts}
    flags = {name for name in options if name.startswith("--")} - shared_with_vllm
    command = rf"`arena-tui(?: --[a-z-]+)* (?:{'|'.join(cli.commands)})[ `,;.)]"
    named = re.compile(rf"(?:{'|'.join(sorted(flags))})(?![\w-])|{command}")
    assert named.search("see `arena-tui run --stage judgments`")
    assert named.search("leave --soft out")
    assert named.search("`run --refresh`")
    offenders = [
        f"{module.relative_to(REPOSITORY)}: {node.value[:80]}"
        for module in modules("engine")
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and named.search(node.value)
    ]
    assert offenders == []
