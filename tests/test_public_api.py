"""The public API: what `engine` exports, the README's examples, and the check for a foreign `engine` at start-up."""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import os
import random
import re
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import engine
from engine.config.load import parse_config
from engine.simulator import demo_cast, running_simulator
from engine.work.progress import RunState

REPOSITORY = Path(__file__).resolve().parent.parent
QUESTIONS = 40


def readme_examples() -> list[str]:
    """The Python blocks of the README's section on the API."""
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    section = readme.partition("## Use it from Python\n")[2].partition("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def write_lines(path: Path, records: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A bench in the first published generation: `good` wins most games against `base`, `bad` few."""
    folder = tmp_path / "data" / "my-bench"
    ids = [f"q{number:02}" for number in range(QUESTIONS)]
    write_lines(folder / "question.jsonl", [{"question_id": each, "turns": [{"content": "?"}]} for each in ids])
    for model, share in (("good", 0.8), ("bad", 0.3)):
        chance = random.Random(model)
        games = [("B>A", "A>B") if chance.random() < share else ("A>B", "B>A") for _ in ids]
        records: list[dict[str, object]] = [
            {
                "question_id": each,
                "model": model,
                "judge": "judge",
                "games": [{"user_prompt": "", "judgment": f"[[{label}]]", "score": label} for label in labels],
            }
            for each, labels in zip(ids, games, strict=True)
        ]
        write_lines(folder / "model_judgment" / "judge" / f"{model}.jsonl", records)
    return folder


def run_python(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_results_example_of_the_readme_runs(bench: Path, tmp_path: Path):
    out = run_python(readme_examples()[0], tmp_path)
    assert out.startswith("1. good: ")
    assert re.search(r"^difference \d+\.\d \[\d+\.\d, \d+\.\d\], p = 0\.\d{4}$", out, re.MULTILINE)
    assert "questions detect a difference of 5 points" in out
    assert "judge: 0.0 % of the winners change with the order" in out


async def test_the_run_example_of_the_readme_runs(tmp_path: Path, starter: Path):
    cast = demo_cast()
    questions = (starter / "starter-en" / "question.jsonl").read_bytes()
    (tmp_path / "data" / "my-bench").mkdir(parents=True)
    (tmp_path / "data" / "my-bench" / "question.jsonl").write_bytes(questions)
    names = [member.name for member in (*cast.models, *cast.judges)]
    async with running_simulator(cast) as url:
        tables = "".join(f'[models."{name}"]\nendpoints = [{{ base_url = "{url}/v1" }}]\n' for name in names)
        judge = f'[judge]\nmodel = "{cast.judges[0].name}"\nbaseline = "{names[0]}"\n'
        (tmp_path / "config.toml").write_text(f'bench = "my-bench"\n{judge}{tables}', "utf-8")
        out = await asyncio.to_thread(run_python, readme_examples()[1], tmp_path)
    assert re.match(r"done: \d+ calls, 0 failed\n", out)
    assert names[0] in out


async def test_a_run_is_made_from_code_that_is_not_async_though_a_loop_runs(tmp_path: Path, starter: Path):
    cast = demo_cast()
    (tmp_path / "data" / "my-bench").mkdir(parents=True)
    (tmp_path / "data" / "my-bench" / "question.jsonl").write_bytes(
        (starter / "starter-en" / "question.jsonl").read_bytes()
    )
    names = [member.name for member in (*cast.models, *cast.judges)]
    async with running_simulator(cast) as url:
        models = {name: {"endpoints": [{"base_url": f"{url}/v1"}]} for name in names}
        document = {"bench": "my-bench", "data": str(tmp_path / "data"), "models": models}
        document["judge"] = {"model": cast.judges[0].name, "baseline": names[0]}
        run = engine.Run(parse_config(document, environ={}), engine.Scope(limit=4))

        def as_in_a_notebook() -> RunState:
            async def cell() -> RunState:
                return run.execute_sync()

            return asyncio.run(cell())

        state = await asyncio.to_thread(as_in_a_notebook)
    assert (state.phase, state.failed) == ("done", 0)
    assert state.calls >= 4


def test_results_are_frames_and_tables_of_a_notebook(bench: Path):
    board = engine.leaderboard(bench, baseline="base")
    frame = board.to_polars()
    assert frame["model"].to_list() == [row.model for row in board.rows]
    assert frame["score"].to_list() == [row.score for row in board.rows]
    pairs = engine.compare(bench, baseline="base")
    assert pairs.to_polars()["difference"].to_list() == [pair.difference for pair in pairs.pairs]
    needs = engine.plan(bench, [10.0, 5.0], baseline="base")
    assert set(needs.to_polars()["difference"]) == {10.0, 5.0}
    assert needs.to_polars()["need_questions"].min() > 0
    judges = engine.audit(bench, baseline="base")
    assert judges.to_polars()["judge"].to_list() == ["judge"]
    for result in (board, pairs, needs, judges):
        assert "<table>" in result._repr_html_()


def test_the_examples_use_only_what_engine_exports():
    for block in readme_examples():
        tree = ast.parse(block)
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert imported <= {"engine", "asyncio"}
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "engine"
        }
        assert used <= set(engine.__all__)


def test_every_export_is_imported_when_it_is_first_used_and_declared_for_type_checkers():
    declared = {
        alias.asname: node.module
        for block in ast.parse((REPOSITORY / "engine" / "__init__.py").read_text("utf-8")).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(declared) == sorted(engine.__all__)
    for name, module in declared.items():
        assert getattr(engine, name) is getattr(importlib.import_module(str(module)), name)
        assert name in (engine.__doc__ or "") or module == "engine.errors"
    done = run_python("import engine, sys; print(sorted(name for name in sys.modules if 'engine' in name))", REPOSITORY)
    assert done.strip() == "['engine', 'engine.version']"
    with pytest.raises(AttributeError, match="nonsense"):
        engine.nonsense  # type: ignore[attr-defined]  # noqa: B018


def named_types(hint: object) -> Iterator[type]:
    """Every class in an annotation."""
    if typing.get_origin(hint) is typing.Literal:
        return
    if arguments := typing.get_args(hint):
        for argument in arguments:
            yield from named_types(argument)
    elif isinstance(hint, type):
        yield hint


def test_signatures_name_only_what_engine_exports():
    functions = [value for name in engine.__all__ if isinstance(value := getattr(engine, name), types.FunctionType)]
    exported = {name: getattr(engine, name) for name in engine.__all__}
    public = {value for name in engine.__all__ if isinstance(value := getattr(engine, name), type)}
    assert len(functions) == 9
    for function in (*functions, engine.Run.__init__, engine.Run.execute):
        assert function.__doc__ or function is engine.Run.__init__
        for hint in typing.get_type_hints(function, localns=exported).values():
            private = {each for each in named_types(hint) if each.__module__.startswith("engine")} - public
            assert not private, function


def test_a_bench_a_config_a_folder_and_an_opened_source_give_the_same(bench: Path):
    document = {
        "bench": "my-bench",
        "data": str(bench.parent),
        "judge": {"model": "judge", "baseline": "base"},
        "models": {name: {} for name in ("base", "judge", "good", "bad")},
    }
    expected = engine.leaderboard(parse_config(document))
    assert [row.model for row in expected.rows] == ["good", "base", "bad"]
    assert engine.leaderboard(bench, baseline="base") == expected
    assert engine.leaderboard(engine.Bench(bench), judges="judge", baseline=["base"]) == expected
    assert engine.leaderboard(engine.open_source(str(bench), baselines="base")) == expected


def test_results_serialize_even_where_the_command_line_would_add_advice(bench: Path):
    path = bench / "model_judgment" / "judge" / "good.jsonl"
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for number, record in enumerate(records):
        record["settings"] = "first" if number % 2 else "second"
    write_lines(path, records)
    opened = engine.open_source(bench, baselines="base")
    assert any(isinstance(warning, engine.Advice) for warning in opened.judged.warnings)
    for result in (
        engine.leaderboard(opened),
        engine.compare(opened, "good", "bad"),
        engine.plan(opened),
        engine.audit(bench, baseline="base"),
    ):
        assert "other settings than the rest" in " ".join(result.warnings)
        assert msgspec.json.decode(msgspec.json.encode(result))["warnings"] == list(result.warnings)


def test_a_file_of_battles_is_a_source(bench: Path, tmp_path: Path):
    file = tmp_path / "battles.jsonl"
    winners = ["model_a", "model_b", "tie"]
    write_lines(
        file,
        [
            {"question_id": f"q{n}", "model_a": "base", "model_b": "good", "winner": winners[n % 3]}
            for n in range(QUESTIONS)
        ],
    )
    board = engine.leaderboard(file, baseline="base")
    assert [row.model for row in board.rows] == ["base", "good"]
    assert engine.audit(str(file), baseline="base").bench == "battles"
    with pytest.raises(engine.UsageProblem, match="needs the answers"):
        engine.leaderboard(file, style=["length"])
    with pytest.raises(engine.BenchError):
        engine.leaderboard(tmp_path / "absent.jsonl")


def test_style_is_controlled_for_and_a_bench_without_a_baseline_is_refused(bench: Path):
    with pytest.raises(engine.UsageProblem, match="no baseline named"):
        engine.leaderboard(bench)
    with pytest.raises(engine.RatingError):
        engine.leaderboard(bench, baseline="base", style=["length"])  # there are no answers


def foreign_engine(folder: Path) -> dict[str, str]:
    """An environment in which another package named `engine` is found first."""
    (folder / "engine").mkdir()
    (folder / "engine" / "__init__.py").write_text("raise RuntimeError('foreign code was run')\n", "utf-8")
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_a_foreign_engine_on_the_path_is_a_clear_error(tmp_path: Path):
    code = "import sys; sys.argv[0] = 'arena-tui'; from arena_tui.entry import entry; entry()"
    environment = foreign_engine(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert str(tmp_path / "engine" / "__init__.py") in done.stderr
    assert "another package named 'engine'" in done.stderr
    assert "PYTHONPATH" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "arena_tui", "--version"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"arena-tui, version {engine.__version__}\n"
    assert (REPOSITORY / "engine" / "py.typed").exists()
    assert (REPOSITORY / "arena_tui" / "py.typed").exists()
