"""`arena-tui import`: existing benches, files and configs of either generation, and answers of other programs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from arena_tui import console
from arena_tui.invocation import DEFAULT_CONFIG, Invocation
from engine.bench.layout import BenchPaths
from engine.errors import UsageProblem
from engine.formats.foreign_answers import convert, is_foreign
from engine.formats.importing import ImportReport, check_bench_name, import_bench
from engine.formats.original_config import import_yaml

YAML_NAMES = ("api_config", "gen_answer_config", "judge_config")


def import_command(invocation: Invocation, source: Path, name: str | None, output: Path | None) -> int:
    """Import what `source` is. Returns the exit code."""
    if not source.exists():
        raise UsageProblem(f"{source}: there is no such file or folder")
    if source.is_file() and is_foreign(source):
        _import_foreign(source, _data_folder(invocation), name)
        return console.DONE
    has_yaml, has_bench = _holds_yaml(source), _holds_bench(source)
    if not has_yaml and not has_bench:
        raise UsageProblem(
            f"{source}: neither an arena-hard bench nor a config of the original",
            "a bench holds question.jsonl, model_answer/ or model_judgment/; a config is "
            + ", ".join(f"{stem}.yaml" for stem in YAML_NAMES),
        )
    if has_yaml:
        _import_config(source, output or invocation.config_path or DEFAULT_CONFIG)
    if has_bench:
        _report(import_bench(source, _data_folder(invocation), name))
    return console.DONE


def _import_foreign(source: Path, data: Path, name: str | None) -> None:
    """Bring in a file of another program, by way of files of generation 1."""
    if name is None:
        raise UsageProblem(f"{source}: it does not say which bench it is for", "name the bench with --name")
    check_bench_name(name)
    with TemporaryDirectory(prefix="arena-tui-") as folder:
        for file in convert(source, BenchPaths(data / name), Path(folder)):
            _report(import_bench(file, data, name))


def _holds_yaml(source: Path) -> bool:
    """A clone of the original has its config files in `config/`."""
    files = [source] if source.is_file() else [*source.iterdir(), *(source / "config").glob("*")]
    return any(file.suffix in (".yaml", ".yml") for file in files)


def _holds_bench(source: Path) -> bool:
    if source.is_file():
        return source.suffix == ".jsonl"
    marks = ("question.jsonl", "model_answer", "model_judgment")
    folders = (source, *source.iterdir(), *(source / "data").glob("*"))
    return any((folder / mark).exists() for folder in folders for mark in marks)


def _data_folder(invocation: Invocation) -> Path:
    if invocation.data is not None:
        return invocation.data
    if invocation.config_path or DEFAULT_CONFIG.exists():
        return invocation.config(keys=False).data
    return Path("data")


def _import_config(source: Path, output: Path) -> None:
    """Write the config, never over another one."""
    text, notes = import_yaml(source)
    if output.exists() and output.read_text(encoding="utf-8") != text:
        raise UsageProblem(f"{output}: exists already", "name another file with --output, or move that one away")
    output.write_text(text, encoding="utf-8")
    click.echo(f"wrote {output}")
    for note in notes:
        console.say(f"note: {note}")


def _report(report: ImportReport) -> None:
    for line in report.lines():
        click.echo(console.printable(line))
    console.warn(map(str, report.problems))
