"""Everything that is wrong with a config and its bench, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.bench import Bench
from engine.config.load import data_folder, examine, read_toml
from engine.config.overrides import Assignment, assigned
from engine.errors import BenchError, ConfigError, ConfigProblem


def config_problems(
    path: Path,
    data: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    bench: str | None = None,
    keys: bool = True,
    assignments: Sequence[Assignment] = (),
) -> list[ConfigProblem]:
    """Return every problem of a config file that keeps a run from starting, in the order of the file.

    Checks tables, values, the variables of the keys that a run needs, and whether the bench exists in `data` (None: the
    folder that the config names), all of it also where another part is wrong. `bench` is opened in place of the
    config's; without `keys`, variables of API keys need not be set; `assignments` replace values of the file.
    """
    try:
        document = read_toml(path)
    except ConfigError as error:
        return list(error.problems)
    _, found = examine(document, path, environ, keys=keys, assignments=assignments)
    problems = [each.problem for each in found]
    document = assigned(document, assignments).document
    name = document.get("bench") if bench is None else bench
    if isinstance(name, str) and all(each.path != ("bench",) for each in found):
        named = document.get("data", "data")
        folder = data if data is not None else data_folder(named if isinstance(named, str) else "data", path)
        try:
            Bench.open(folder, name)
        except BenchError as error:
            problems.insert(0, ConfigProblem("bench", error.title, error.hint))
    return problems
