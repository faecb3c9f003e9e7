"""What each tracker is called with. The libraries are extras, partly typed: imported when a tracker is opened."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from engine.reporting.metrics import ROOT, Point
from engine.reporting.wire import Begin

_STEP, _SECONDS = f"{ROOT}/step", f"{ROOT}/run/seconds"


class Backend(Protocol):
    """One open run of a tracker. Methods may block and raise."""

    def log(self, point: Point) -> None: ...

    def upload(self, path: str, name: str) -> None: ...

    def end(self, outcome: str) -> None: ...


class Mlflow:
    """A run of an MLflow experiment; one that was there is added to and not ended."""

    def __init__(self, begin: Begin) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        entities = import_module("mlflow.entities")
        settings = begin.settings
        self._client = import_module("mlflow.tracking").MlflowClient(settings.mlflow_url)
        self._metric: Callable[[str, float, int, int], Any] = entities.Metric
        self._is_ours = settings.mlflow_run_id is None
        if settings.mlflow_run_id is not None:
            self._run = self._client.get_run(settings.mlflow_run_id).info.run_id
        else:
            experiment = self._client.get_experiment_by_name(settings.project)
            folder = experiment.experiment_id if experiment else self._client.create_experiment(settings.project)
            self._run = self._client.create_run(folder, run_name=settings.run).info.run_id
            facts = [entities.Param(f"{ROOT}.{key}", value) for key, value in begin.facts.items()]
            self._client.log_batch(self._run, params=facts)

    def log(self, point: Point) -> None:
        now = int(1000 * time.time())
        found = [self._metric(name, value, now, point.at or 0) for name, value in point.values.items()]
        self._client.log_batch(self._run, metrics=found)

    def upload(self, path: str, name: str) -> None:
        folder = f"{ROOT}/{Path(name).parent}" if "/" in name else ROOT
        self._client.log_artifact(self._run, path, folder)

    def end(self, outcome: str) -> None:
        if self._is_ours:
            status = {"done": "FINISHED", "failed": "FAILED"}.get(outcome, "KILLED")
            self._client.set_terminated(self._run, status)


class Wandb:
    """A run of Weights & Biases, new or continued. Training steps are a metric of their own (`arena/step`), since steps
    of a run may only grow. Its files are where W&B keeps them (WANDB_DIR, else the working directory): with their links
    out of the folder, a bench could not be read."""

    def __init__(self, begin: Begin) -> None:
        wandb: Any = import_module("wandb")
        settings = begin.settings
        url: dict[str, Any] = {"base_url": settings.wandb_url} if settings.wandb_url else {}
        self._wandb = wandb
        self._run = wandb.init(
            project=settings.project,
            entity=settings.wandb_entity,
            id=settings.wandb_run_id,
            name=settings.run if settings.wandb_run_id is None else None,
            resume="allow" if settings.wandb_run_id else None,
            config={ROOT: begin.facts},
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                disable_code=True,
                save_code=False,
                x_disable_stats=True,
                **url,
            ),
        )
        self._run.define_metric(f"{ROOT}/*", step_metric=_STEP)
        self._run.define_metric(f"{ROOT}/run/*", step_metric=_SECONDS)

    def log(self, point: Point) -> None:
        if point.at is None:
            self._run.summary.update(point.values)
        else:
            self._run.log({**point.values, _SECONDS if point.axis == "seconds" else _STEP: point.at})

    def upload(self, path: str, name: str) -> None:
        artifact = self._wandb.Artifact(f"{self._run.id}-{name.replace('/', '-')}", type=f"{ROOT}-results")
        artifact.add_file(path, name)
        self._run.log_artifact(artifact)

    def end(self, outcome: str) -> None:
        self._run.finish(exit_code=0 if outcome == "done" else 1)


class Tensorboard:
    """An event file in a folder of the run; files are texts where they are short."""

    _longest = 1 << 16  # characters of a text

    def __init__(self, begin: Begin) -> None:
        self._writer: Any = import_module("tensorboardX").SummaryWriter(
            str(Path(begin.settings.folder, begin.settings.run.replace("/", "_")))
        )
        facts = "\n".join(f"- {key}: {value}" for key, value in begin.facts.items())
        self._writer.add_text(f"{ROOT}/run", facts)

    def log(self, point: Point) -> None:
        for name, value in point.values.items():
            self._writer.add_scalar(name, value, point.at or 0)
        self._writer.flush()

    def upload(self, path: str, name: str) -> None:
        text = Path(path).read_text("utf-8", "replace")
        if len(text) <= self._longest:
            self._writer.add_text(f"{ROOT}/{name}", f"```json\n{text}\n```")

    def end(self, outcome: str) -> None:
        self._writer.add_text(f"{ROOT}/outcome", outcome)
        self._writer.close()


class Trackio:
    """A run of Trackio, on this machine unless TRACKIO_SPACE_ID names a Space."""

    def __init__(self, begin: Begin) -> None:
        self._trackio: Any = import_module("trackio")
        self._trackio.init(
            project=begin.settings.project,
            name=begin.settings.run,
            config=dict(begin.facts),
            space_id=os.environ.get("TRACKIO_SPACE_ID") or None,
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, point: Point) -> None:
        self._trackio.log({**point.values, **({} if point.at is None else {_axis(point): point.at})}, step=point.at)

    def upload(self, path: str, name: str) -> None:
        text = Path(path).read_text("utf-8", "replace")
        self._trackio.log({f"{ROOT}/{name}": self._trackio.Markdown(f"```json\n{text[: Tensorboard._longest]}\n```")})

    def end(self, outcome: str) -> None:
        self._trackio.finish()


def _axis(point: Point) -> str:
    return _SECONDS if point.axis == "seconds" else _STEP


BACKENDS: Final[dict[str, Callable[[Begin], Backend]]] = {
    "mlflow": Mlflow,
    "wandb": Wandb,
    "tensorboard": Tensorboard,
    "trackio": Trackio,
}
