"""What was given before the command: which config, which data folder, demo or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UsageProblem

if TYPE_CHECKING:
    from engine.config.model import Config

DEFAULT_CONFIG = Path("config.toml")


@dataclass(frozen=True)
class Invocation:
    """The global options. `config_path` None means `config.toml` in the working folder."""

    config_path: Path | None = None
    data: Path | None = None
    no_ui: bool = False
    demo: bool = False

    def config(self, *, keys: bool = True) -> Config:
        """The config, with `--data` in place of its data folder. Raises ConfigError and UsageProblem.

        With `keys=False`, for commands that call no server, the variables that hold API keys need not be set.
        """
        from engine.config.load import load_config

        path = self.config_path or DEFAULT_CONFIG
        if not path.exists():
            raise UsageProblem(
                f"{path}: there is no such file",
                "name one with -c, start from the repository's config.toml, or see it work first: arena-tui --demo",
            )
        config = load_config(path, keys=keys)
        return config if self.data is None else config.model_copy(update={"data": self.data})
