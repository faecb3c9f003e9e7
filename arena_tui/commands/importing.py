"""`arena-tui import`: existing benches, files and configs of either generation, and answers of other programs."""

from __future__ import annotations

from pathlib import Path

import click

from arena_tui import console
from arena_tui.invocation import DEFAULT_CONFIG, Invocation
from engine.bench.atomic import write_file
from engine.bench.packed import UNPACK, is_packed, packed_file
from engine.errors import UsageProblem
from engine.formats.importing import ImportReport, bench_folders, import_bench
from engine.formats.original_config import import_yaml

YAML_NAMES = ("api_config", "gen_answer_config", "judge_config")


def import_command(invocation: Invocation, source: Path, name: str | None, output: Path | None) -> int:
    """Import a bench, a config, or both. Return the exit code."""
    if not source.exists():
        raise UsageProblem(f"{source}: no such file or folder")
    if not (source.is_file() or source.is_dir()):
        raise UsageProblem(f"{source}: neither a file nor a folder")
    is_file = source.is_file()
    is_data = source.suffix in (".jsonl", ".json", ".csv") if is_file else bool(bench_folders(source))
    has_yaml = _holds_yaml(source)
    if not has_yaml and not is_data:
        packed = source if is_file and is_packed(source) else packed_file(source / "question.jsonl")
        if packed is not None:
            raise UsageProblem(f"{packed}: compressed, or a table", UNPACK)
        raise UsageProblem(
            f"{source}: neither an arena-hard bench nor a config of arena-hard-auto",
            "a bench holds question.jsonl, model_answer/ or model_judgment/; a config is "
            + ", ".join(f"{stem}.yaml" for stem in YAML_NAMES),
        )
    if has_yaml:
        _import_config(source, output or invocation.config_path or DEFAULT_CONFIG)
    if is_data:
        _report(import_bench(source, _data_folder(invocation), name))
    return console.DONE


def _holds_yaml(source: Path) -> bool:
    """Return whether there are YAML files; a clone of the original has them in `config/`."""
    files = [source] if source.is_file() else [*source.iterdir(), *(source / "config").glob("*")]
    return any(file.suffix in (".yaml", ".yml") for file in files)


def _data_folder(invocation: Invocation) -> Path:
    if invocation.data is not None:
        return invocation.data
    if invocation.config_path or DEFAULT_CONFIG.exists():
        return invocation.config(keys=False).data
    return Path("data")


def _import_config(source: Path, output: Path) -> None:
    """Write the config. Raises UsageProblem rather than overwrite another one."""
    text, notes = import_yaml(source)
    if output.is_file() and output.read_text(encoding="utf-8") != text:
        raise UsageProblem(
            f"{output}: exists with other content", "name another file with --output, or move this one away"
        )
    write_file(output, text.encode())
    click.echo(f"wrote {output}")
    for note in notes:
        console.say(f"note: {note}")


def _report(report: ImportReport) -> None:
    for line in report.lines():
        click.echo(console.printable(line))
    console.warn(map(str, report.problems))
