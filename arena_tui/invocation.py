"""The common options (config, data folder, values set, demo), and the config and results that they select.

A value of the config comes from, the first that has it: a flag of its own (`--data`, `--baseline`), `--set`, a variable
(ARENA_TUI_JUDGE__MAX_TOKENS), the file, the user's own file (for what shapes no result), the default.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from arena_tui.advice import phrase_all
from engine.errors import ConfigError, UsageProblem
from engine.places import config_folder

if TYPE_CHECKING:
    from engine.api import JudgedSource
    from engine.config.model import Config
    from engine.config.overrides import Assignment
    from engine.ratings.battles import NullGames

DEFAULT_CONFIG = Path("config.toml")
PREFIX = "ARENA_TUI_"
"""Begins the names of the variables that stand for options and for keys of the config."""


@dataclass(frozen=True)
class Invocation:
    """The common options. `config_path` None means `config.toml` in the working folder, `bench` the config's own."""

    config_path: Path | None = None
    data: Path | None = None
    no_ui: bool = False
    demo: bool = False
    bench: str | None = None
    settings: tuple[str, ...] = ()  # of --set, as they were given

    @property
    def path(self) -> Path:
        """The config file, which may not exist."""
        return self.config_path or DEFAULT_CONFIG

    def stamp(self) -> tuple[int, int] | None:
        """Return time and size of the config file; None if there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def assignments(self) -> list[Assignment]:
        """Return the values that replace those of the file: of variables, then of `--set`. Raises UsageProblem."""
        from engine.config.overrides import parse_assignment, variable_assignments

        given = [parse_assignment(text, "--set") for text in self.settings]
        return [*self._personal(), *variable_assignments(os.environ, PREFIX), *given]

    def _personal(self) -> list[Assignment]:
        """Return the values of the user's own file that the config does not have itself. Raises ConfigError."""
        personal = config_folder() / DEFAULT_CONFIG.name
        if self.demo or not personal.is_file() or (self.path.exists() and personal.samefile(self.path)):
            return []
        from engine.config.load import read_toml
        from engine.config.overrides import personal_assignments

        document = read_toml(self.path) if self.path.exists() else {}
        return personal_assignments(read_toml(personal), document, str(personal))

    def check_settings(self) -> None:
        """Raise UsageProblem if a value of `--set` cannot be read, also for a command that reads no config."""
        self.assignments()

    def config(self, *, keys: bool = True) -> Config:
        """Load the config, with `--data` instead of its data folder. Raises ConfigError and UsageProblem.

        With `keys=False`, for commands that call no server, the variables that hold API keys need not be set.
        """
        from engine.config.load import load_config

        path = self.path
        if not path.exists():
            raise UsageProblem(
                f"{path}: no such file",
                "name another one with -c, start from the config.toml of the repository, or try `arena-tui --demo`",
            )
        try:
            config = load_config(path, keys=keys, assignments=self.assignments())
        except ConfigError as error:
            raise self.all_problems(keys=keys) or error from None
        _hide_in_logs(config)
        if self.bench is not None:
            config = config.model_copy(update={"bench": self.bench})
        return config if self.data is None else config.model_copy(update={"data": self.data})

    def all_problems(self, *, keys: bool = True) -> ConfigError | None:
        """Return everything that is wrong with the config and its bench, with `keys` also unset variables of keys."""
        from engine.setup.problems import config_problems

        path = self.path
        if not path.exists():
            return None
        assignments = self.assignments()
        problems = config_problems(path, self.data, bench=self.bench, keys=keys, assignments=assignments)
        return ConfigError(str(path), problems) if problems else None

    def data_folder(self) -> Path:
        """Return the folder of benches: `--data`, else the config's, else `data`. Raises ConfigError."""
        if self.data is not None or self.lacks_config:
            return self.named_data or Path("data")
        return self.config(keys=False).data

    @property
    def named_data(self) -> Path | None:
        """The folder of benches that a flag, `--set` or a variable names, for what reads no config file."""
        set_to = [each.value for each in self.assignments() if [str(step).lower() for step in each.path] == ["data"]]
        return self.data or next((Path(value) for value in reversed(set_to) if isinstance(value, str)), None)

    @property
    def lacks_config(self) -> bool:
        """Whether no config is used: the demo, or none was named and there is no default one."""
        return self.demo or (self.config_path is None and not DEFAULT_CONFIG.exists())

    def open_source(
        self,
        battles: Path | None,
        judges: Sequence[str] = (),
        baselines: Sequence[str] = (),
        *,
        strict: bool = False,
        null_games: NullGames = "keep",
    ) -> JudgedSource:
        """Open the file of battles, if one is named, else the bench of the config; warnings are phrased.

        Raises ArenaError if there is nothing to rate.
        """
        from engine.api import open_source

        source = self.config(keys=False) if battles is None else battles
        lender = self.lender() if battles else None
        opened = open_source(source, judges, baselines, strict=strict, null_games=null_games, lender=lender)
        return replace(opened, judged=replace(opened.judged, warnings=phrase_all(opened.judged.warnings)))

    def lender(self) -> Config | None:
        """Return the config whose bench may belong to a file of battles; None where no config is named or found."""
        return self.config(keys=False) if self.config_path or DEFAULT_CONFIG.exists() else None


def _hide_in_logs(config: Config) -> None:
    """Have the secrets of a config replaced in what is logged."""
    if "arena_tui.log_output" in sys.modules:
        from arena_tui.log_output import is_on, know_secrets
        from engine.config.secrets import secrets_of

        if is_on():
            know_secrets(secrets_of(config))


def load_numpy() -> None:
    """Import numpy with one BLAS thread: a pool of threads takes a sixth of a leaderboard's CPU and saves no time.

    The environment is restored, so that servers do not inherit the setting.
    """
    name = "OPENBLAS_NUM_THREADS"
    if name not in os.environ:
        os.environ[name] = "1"
        import_module("numpy")
        del os.environ[name]
