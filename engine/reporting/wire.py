"""What a run and the process of its trackers send each other: a line of JSON each."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import msgspec

from engine.config.reporting import TrackConfig, TrackerName
from engine.reporting.metrics import Point


class TrackerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[track]` as the process needs it: `folder` is that of event files."""

    project: str
    run: str
    folder: str
    mlflow_url: str | None
    mlflow_run_id: str | None
    wandb_url: str | None
    wandb_entity: str | None
    wandb_run_id: str | None


class Begin(msgspec.Struct, frozen=True, tag=True):
    """The first message: which trackers get what follows, and facts about the run."""

    to: list[TrackerName]
    settings: TrackerSettings
    facts: dict[str, str]


class Log(msgspec.Struct, frozen=True, tag=True):
    """Values; those that are not needed may be dropped if a tracker is slow."""

    point: Point
    is_needed: bool = True


class Upload(msgspec.Struct, frozen=True, tag=True):
    """A file under a name."""

    path: str
    name: str


class End(msgspec.Struct, frozen=True, tag=True):
    """Nothing more comes; the outcome of the run."""

    outcome: str


class Problem(msgspec.Struct, frozen=True, tag=True):
    """Of the process: a tracker has failed."""

    tracker: str
    text: str


TrackerMessage: TypeAlias = Begin | Log | Upload | End

encode = msgspec.json.Encoder().encode
decode: msgspec.json.Decoder[TrackerMessage] = msgspec.json.Decoder(TrackerMessage)
decode_problem: msgspec.json.Decoder[Problem] = msgspec.json.Decoder(Problem)


def settings_of(track: TrackConfig, run: str, home: str) -> TrackerSettings:
    """Return the settings of the trackers."""
    return TrackerSettings(
        project=track.project,
        run=track.run or run,
        folder=str((track.tensorboard.folder or Path(home, "tensorboard")).absolute()),
        mlflow_url=track.mlflow.url,
        mlflow_run_id=track.mlflow.run_id,
        wandb_url=track.wandb.url,
        wandb_entity=track.wandb.entity,
        wandb_run_id=track.wandb.run_id,
    )
