"""Imports whatever a path holds: a bench, answers of other programs, a config of arena-hard-auto, or all of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.bench import Bench
from engine.bench.atomic import write_file
from engine.bench.packed import UNPACK, is_packed, packed_file
from engine.config.load import load_config
from engine.errors import Advice, AdviceKind, ArenaError, UsageProblem
from engine.formats.foreign_judgments import pair_file
from engine.formats.importing import ImportReport, bench_folders, import_bench
from engine.formats.original_categories import general_rule, unlike_published
from engine.formats.original_config import import_yaml
from engine.formats.row_files import is_row_file
from engine.pairing import Pairing

YAML_NAMES = ("api_config", "gen_answer_config", "judge_config")


class Imported(msgspec.Struct, frozen=True):
    """What was imported: the benches (None without any), the config written (None without one), notes about it."""

    report: ImportReport | None = None
    config: Path | None = None
    notes: tuple[str, ...] = ()


def import_source(source: Path, config: Path, data: Callable[[], Path], name: str | None = None) -> Imported:
    """Import what `source` holds: YAML files become the file `config`, a bench or answers are copied into `data()`.

    `name` names the bench. `data` is called after the config has been written, which may name the folder. Raises
    UsageProblem if there is nothing to import or if `config` exists with other content, and the errors of
    `import_bench`.
    """
    if not source.exists():
        raise UsageProblem(f"{source}: no such file or folder")
    if not (source.is_file() or source.is_dir()):
        raise UsageProblem(f"{source}: neither a file nor a folder")
    is_file = source.is_file()
    is_data = _is_data(source) if is_file else bool(bench_folders(source))
    has_yaml = _holds_yaml(source)
    if not has_yaml and not is_data:
        packed = source if is_file and is_packed(source) else packed_file(source / "question.jsonl")
        if is_file and is_row_file(source):
            hint = Advice("questions alone are added", AdviceKind.ADD_QUESTIONS, values=(str(source),))
            raise UsageProblem(f"{source}: holds no judgments of pairs", hint)
        if packed is not None:
            raise UsageProblem(f"{packed}: compressed, or a table", UNPACK)
        raise UsageProblem(
            f"{source}: neither an arena-hard bench nor a config of arena-hard-auto",
            "a bench holds question.jsonl, model_answer/ or model_judgment/; a config is "
            + ", ".join(f"{stem}.yaml" for stem in YAML_NAMES),
        )
    notes = _import_config(source, config) if has_yaml else ()
    report = import_bench(source, data(), name) if is_data else None
    if report is not None:
        notes = (*notes, *_category_notes(report, config))
    return Imported(report, config if has_yaml else None, notes)


def _is_data(file: Path) -> bool:
    """Return whether a file may hold answers or judgments."""
    return file.suffix in (".jsonl", ".json", ".csv") or pair_file(file) is not None


def _holds_yaml(source: Path) -> bool:
    """Return whether there are YAML files; a clone of the original has them in `config/`."""
    files = [source] if source.is_file() else [*source.iterdir(), *(source / "config").glob("*")]
    return any(file.suffix in (".yaml", ".yml") for file in files)


def _category_notes(report: ImportReport, file: Path) -> Iterator[str]:
    """Yield the baselines that arena-hard-auto has for categories of the questions, where the config lacks them."""
    config = None
    with suppress(ArenaError):
        config = load_config(file, keys=False) if file.is_file() else None
    for bench in report.benches:
        if not any(imported.source.kind == "questions" for imported in bench.files):
            continue
        categories = {question.category for question in Bench(bench.root).questions().items}
        rule = general_rule(categories)
        if config is not None and config.bench == bench.root.name:
            yield from unlike_published(categories, config.judge.pairing)
        elif rule is not None:
            yield from unlike_published(categories, Pairing((rule.baseline,)))


def _import_config(source: Path, output: Path) -> tuple[str, ...]:
    """Write the config and return the notes about it. Raises UsageProblem rather than overwrite another one."""
    text, notes = import_yaml(source)
    if output.is_file() and output.read_text(encoding="utf-8") != text:
        raise UsageProblem(
            f"{output}: exists with other content",
            Advice("name another file, or move this one away", AdviceKind.CONFIG_OUT),
        )
    write_file(output, text.encode())
    return tuple(notes)
