"""`[track]`: the real trackers get the results of a run under one set of names, and none can stop or slow it.

A tracker that is not installed here is skipped; `pip install 'arena-tui[mlflow,wandb,tensorboard,trackio]'` and, for
the server, `mlflow` itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from test_notices import run_to_end

from engine.reporting.metrics import name_part, prefixes
from engine.reporting.reporting import Reporting
from engine.reporting.trackers import _environment
from engine.run import Run
from engine.work.plan import Scope

NAMES = ("score", "score_low", "score_high", "questions", "games", "unparsed", "missing", "rank")
KEY = "planted-model-key-0123456789"


def needs(*modules: str) -> Any:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed here: {', '.join(missing)}")


def with_track(desk: Desk, *to: str, steps: bool = True, **track: Any) -> Any:
    """A config whose judged models are two checkpoints of one training, if `steps`."""
    document = desk.config(answers={"models": ["base", "good", "poor"]}).model_dump(mode="json", exclude_unset=True)
    for name, step in (("good", 2000), ("poor", 1000)) if steps else ():
        document["models"][name]["step"] = step
    for entry in document["models"].values():
        entry["endpoints"][0]["api_key"] = KEY
    return desk.parsed(document | {"track": {"to": list(to), "limit": 120.0, **track}})


def scores(desk: Desk) -> dict[int, dict[str, float]]:
    """What the leaderboard says, by step."""
    from engine.api import leaderboard

    rows = {row.model: row for row in leaderboard(desk.config()).rows}
    return {
        step: {"score": rows[model].score, "score_low": rows[model].lower, "score_high": rows[model].upper}
        for model, step in (("good", 2000), ("poor", 1000))
    }


def assert_scores(found: dict[str, dict[int, float]], desk: Desk, prefix: str = "arena/", within: float = 1e-4) -> None:
    for step, values in scores(desk).items():
        for name, value in values.items():
            assert found[prefix + name][step] == pytest.approx(value, abs=within)
    assert {prefix + name for name in NAMES} <= found.keys()


def tracking_log(desk: Desk) -> str:
    return "".join(path.read_text("utf-8") for path in (desk.bench / "runs").glob("*.track.log"))


def wandb_records(data: bytes) -> Iterator[bytes]:
    """Read the records of a .wandb file: after 7 bytes, records as in a log of LevelDB, in blocks of 32 KiB."""
    at, parts = 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """The address of a real MLflow server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "mlflow"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "files")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url + "/health", server, folder / "log")
            yield url
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, 15)
            server.wait(60)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import urllib.request

    while True:
        assert server.poll() is None, log.read_text("utf-8")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)


@needs("mlflow", "fastapi", "sqlalchemy")
async def test_an_mlflow_server_has_the_scores_by_step_the_facts_and_the_files(at_desk, mlflow_server):
    from mlflow.tracking import MlflowClient

    async with at_desk() as desk:
        config = with_track(desk, "mlflow", project="p", run="r", mlflow={"url": mlflow_server})
        run, texts = await run_to_end(config)
        assert not any("[track]" in text for text in texts), tracking_log(desk)
        client = MlflowClient(mlflow_server)
        experiment = client.get_experiment_by_name("p")
        (found,) = client.search_runs([experiment.experiment_id])
        assert (found.info.run_name, found.info.status) == ("r", "FINISHED")
        assert found.data.params["arena.bench"] == "small"
        history = {
            name: {each.step: each.value for each in client.get_metric_history(found.info.run_id, name)}
            for name in found.data.metrics
        }
        assert_scores(history, desk)
        files = {each.path for each in client.list_artifacts(found.info.run_id, "arena")}
        assert files == {"arena/leaderboard.json", f"arena/{run.id}.json"}, "and no texts"


@needs("mlflow", "fastapi", "sqlalchemy")
async def test_results_are_added_to_the_run_of_a_training_that_goes_on_and_texts_where_wanted(at_desk, mlflow_server):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(mlflow_server)
    training = client.create_run("0").info.run_id
    client.log_metric(training, "loss", 2.5, step=1000)
    async with at_desk() as desk:
        config = with_track(desk, "mlflow", texts=True, mlflow={"url": mlflow_server, "run_id": training})
        await run_to_end(config)
        found = client.get_run(training)
        assert found.info.status == "RUNNING"
        assert found.data.metrics["loss"] == 2.5
        assert "arena/score" in found.data.metrics, tracking_log(desk)
        files = {each.path for each in client.list_artifacts(training, "arena/model_answer")}
        assert files == {f"arena/model_answer/{name}.jsonl" for name in ("base", "good", "poor")}


@needs("tensorboardX", "tensorboard")
async def test_event_files_of_tensorboard_are_read_back(at_desk):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    async with at_desk() as desk:
        _, texts = await run_to_end(with_track(desk, "tensorboard", run="r"))
        assert not any("[track]" in text for text in texts), tracking_log(desk)
        events = EventAccumulator(str(desk.bench / "tensorboard" / "r"))
        events.Reload()
        scalars = {name: {each.step: each.value for each in events.Scalars(name)} for name in events.Tags()["scalars"]}
        assert_scores(scalars, desk, within=1e-3)
        assert any("leaderboard.json" in name for name in events.Tags()["tensors"])


@needs("wandb")
async def test_wandb_keeps_an_offline_run_and_the_bench_can_be_read_after_it(at_desk, environment, tmp_path):
    from wandb.proto import wandb_internal_pb2

    (tmp_path / "elsewhere").mkdir()
    environment(WANDB_MODE="offline", WANDB_DIR=str(tmp_path / "elsewhere"))
    async with at_desk() as desk:
        _, texts = await run_to_end(with_track(desk, "wandb", run="r"))
        assert not any("[track]" in text for text in texts), tracking_log(desk)
        (file,) = (tmp_path / "elsewhere" / "wandb").glob("offline-run-*/run-*.wandb")
        found: dict[str, dict[int, float]] = {}
        for data in wandb_records(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            row = {"/".join(each.nested_key) or each.key: json.loads(each.value_json) for each in record.history.item}
            for name, value in row.items():
                if "arena/step" in row:
                    found.setdefault(name, {})[row["arena/step"]] = value
        assert_scores(found, desk)
        await run_to_end(desk.config())
        sent = [path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()]
        assert KEY.encode() not in b"".join(sent)


@needs("trackio")
async def test_trackio_has_the_scores_on_this_machine(at_desk, environment, tmp_path):
    environment(TRACKIO_DIR=str(tmp_path / "trackio"), HF_HUB_OFFLINE="1")
    async with at_desk() as desk:
        _, texts = await run_to_end(with_track(desk, "trackio", project="p", run="r"))
        assert not any("[track]" in text for text in texts), tracking_log(desk)
        code = "import json, trackio; print(json.dumps(trackio.sqlite_storage.SQLiteStorage.get_logs('p', 'r')))"
        command = [sys.executable, "-c", code]
        reading = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        found: dict[str, dict[int, float]] = {}
        for row in json.loads(reading.stdout.splitlines()[-1]):
            for name, value in row.items():
                if isinstance(value, int | float) and "arena/step" in row:
                    found.setdefault(name, {})[row["arena/step"]] = value
        assert_scores(found, desk)


@pytest.fixture
def environment() -> Iterator[Any]:
    """Set variables that a tracker reads, for the length of a test."""
    before = dict(os.environ)
    yield lambda **values: os.environ.update(values)
    os.environ.clear()
    os.environ.update(before)


@needs("mlflow")
async def test_a_tracker_that_is_down_is_reported_once_and_holds_up_nothing(at_desk):
    async with at_desk() as desk:
        free = await run_to_end(desk.config())
        config = with_track(desk, "mlflow", mlflow={"url": "http://127.0.0.1:9"}, limit=3.0)
        began = time.monotonic()
        run, texts = await run_to_end(config, Scope(refresh=frozenset({"stale"})))
        assert run.state.phase == "done"
        assert time.monotonic() - began < 60
        assert 1 <= len([text for text in texts if text.startswith("[track]")]) <= 2
        assert free[0].state.phase == "done"


async def test_a_tracker_that_hangs_is_killed_at_its_limit(at_desk, tmp_path, environment):
    """A library that never returns: a module of that name which sleeps on import."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "tensorboardX.py").write_text("import time\ntime.sleep(3600)\n", "utf-8")
    environment(PYTHONPATH=str(tmp_path / "lib"))
    async with at_desk() as desk:
        run, texts = await run_to_end(with_track(desk, "tensorboard", limit=1.0))
        assert run.state.phase == "done"
        assert time.time() - run.state.ended_at < 30
        assert any("[track] limit: not done 1 s after the end" in text for text in texts)


async def test_a_tracker_that_is_not_installed_names_the_extra(at_desk, tmp_path, environment):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "trackio.py").write_text("raise ModuleNotFoundError(name='trackio')\n", "utf-8")
    environment(PYTHONPATH=str(tmp_path / "lib"))
    async with at_desk() as desk:
        run, texts = await run_to_end(with_track(desk, "trackio"))
        assert run.state.phase == "done"
        assert any(
            "[track] trackio: not installed here (trackio): pip install 'arena-tui[trackio]'" in t for t in texts
        )


@needs("tensorboardX", "tensorboard")
async def test_several_runs_share_the_trackers_that_they_are_given(at_desk):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    async with at_desk() as desk:
        config = with_track(desk, "tensorboard")
        warned: list[str] = []
        async with Reporting(config, desk.bench_files(), "watch", warned.append) as shared, asyncio.timeout(120):
            for models in (("good",), ("poor",)):
                run = Run(config, Scope(models=models))
                run.reporting = shared
                await run.execute()
        assert warned == []
        (folder,) = (desk.bench / "tensorboard").iterdir()
        events = EventAccumulator(str(folder))
        events.Reload()
        assert {each.step for each in events.Scalars("arena/score")} == {1000, 2000}


async def test_the_process_of_the_trackers_gets_no_keys_of_models(at_desk, environment):
    environment(MODEL_KEY=KEY, WANDB_API_KEY=KEY, OTHER="kept")
    async with at_desk() as desk:
        found = _environment(with_track(desk, "wandb"))
        assert "MODEL_KEY" not in found
        assert (found["WANDB_API_KEY"], found["OTHER"]) == (KEY, "kept")


def test_names_are_those_of_one_training_of_several_or_of_models():
    one = prefixes({"aya-checkpoint-500": 500, "aya-checkpoint-1000": 1000, "other": None})
    assert one == {"aya-checkpoint-500": "arena", "aya-checkpoint-1000": "arena", "other": "arena/other"}
    two = prefixes({"aya-step-500": 500, "llama-step-500": 500})
    assert two == {"aya-step-500": "arena/aya", "llama-step-500": "arena/llama"}
    assert name_part("org/model:7b (ü)?") == "org_model:7b _ü_"
