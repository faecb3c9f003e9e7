"""The tables of `config.toml` about who hears of results: notices by command or webhook, and experiment trackers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field

from engine.config import fields
from engine.config.servers import ConfigTable

NoticeKind: TypeAlias = Literal["decided", "failed", "plateaued", "ended"]
TrackerName: TypeAlias = Literal["mlflow", "wandb", "tensorboard", "trackio"]


def _once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("must not hold one name twice")
    return names


class NotifyConfig(ConfigTable):
    """`[notify]`: what is run or called when something has happened."""

    on: Annotated[list[NoticeKind], AfterValidator(_once)] = Field(default_factory=lambda: list(get_args(NoticeKind)))
    """What is worth a notice."""
    command: fields.Command | None = None
    """A program with its arguments, started without a shell; it gets the notice as JSON on stdin."""
    webhook: fields.Webhook | None = None
    """An address that gets the notice as JSON by POST; it may hold a secret and is never shown."""
    timeout: fields.Seconds = 10.0
    """Seconds that one try may take."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 3

    @property
    def is_set(self) -> bool:
        """Whether a notice would reach anything."""
        return bool(self.on) and (self.command is not None or self.webhook is not None)


class MlflowConfig(ConfigTable):
    """`[track.mlflow]`."""

    url: fields.ServiceUrl | None = None
    """The tracking server; None means MLFLOW_TRACKING_URI, else MLflow's own default."""
    run_id: str | None = Field(default=None, min_length=1)
    """An existing run that results are added to, such as that of the training; it is not ended."""


class WandbConfig(ConfigTable):
    """`[track.wandb]`."""

    url: fields.ServiceUrl | None = None
    """The address of the service; None means WANDB_BASE_URL, else wandb's own default."""
    entity: str | None = Field(default=None, min_length=1)
    run_id: str | None = Field(default=None, min_length=1)
    """A run to continue; it is made if it is missing."""


class TensorboardConfig(ConfigTable):
    """`[track.tensorboard]`."""

    folder: Path | None = Field(default=None, strict=False)
    """The log folder; None means data/<bench>/tensorboard. Relative paths count from the working directory."""


class TrackConfig(ConfigTable):
    """`[track]`: experiment trackers that get results, curves and files. Their keys come from the environment."""

    to: Annotated[list[TrackerName], AfterValidator(_once)] = Field(default_factory=list)
    project: str = Field(default="arena-tui", min_length=1, max_length=128)
    """The project; MLflow calls it an experiment."""
    run: str | None = Field(default=None, min_length=1, max_length=128)
    """The name of the tracker's run; None means the bench and the id of the run here."""
    texts: bool = False
    """Whether answers and judgments are uploaded too."""
    limit: fields.Seconds = 30.0
    """Seconds that trackers may take after the end of a run."""
    mlflow: MlflowConfig = Field(default_factory=MlflowConfig)
    wandb: WandbConfig = Field(default_factory=WandbConfig)
    tensorboard: TensorboardConfig = Field(default_factory=TensorboardConfig)
