"""Whole runs whose models arena-tui serves itself, with a fake `vllm` of real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest
from yard import QUESTIONS, Yard, carried_out, is_alive, listening, live_members, parent_of, until

from engine.bench.run_files import load_runs
from engine.events import CallEnded, CallStarted, ServerChanged
from engine.run import Run
from engine.serving.process import pick_port


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def notices(run: Run) -> str:
    return "\n".join(notice.text for notice in run.state.notices)


async def test_every_model_is_served_once_and_the_judge_after_them_where_there_is_room_for_one(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    run = Run(yard.config(models))
    heard = await carried_out(run)
    assert run.state.phase == "done", notices(run)
    ready = [event.server for event in heard if isinstance(event, ServerChanged) and event.status == "ready"]
    assert ready == ["base", "good", "judge"]
    running: set[str] = set()
    for event in heard:
        if isinstance(event, ServerChanged):
            (running.add if event.status == "starting" else running.discard if event.status == "stopped" else id)(
                event.server
            )
            assert len(running) <= 1, "one at a time, where each takes all the room"
    assert [len(yard.starts(name)) for name in models] == [1, 1, 1]
    assert len(yard.lines("model_judgment/judge/good.jsonl")) == QUESTIONS
    assert not yard.left()
    assert {server.status for server in run.state.servers.values()} == {"stopped"}
    assert all(server.started_in for server in run.state.servers.values())
    recorded = {each["name"]: each["started_in"] for each in load_runs(run.bench.paths.runs)[0]["servers"]}
    for made in ("model_answer", "model_judgment"):
        shutil.rmtree(yard.bench / made)
    again = Run(yard.config(models))
    heard = await carried_out(again)
    expected = {each.server: each.expected for each in heard if isinstance(each, ServerChanged) and each.expected}
    assert expected == recorded, "the start of a server is expected to take as long as the last one recorded"


async def test_the_judge_judges_beside_the_others_where_both_fit(yard):
    models = {name: yard.model(name, latency=0.3) for name in ("judge", "base", "good")}
    for entry in models.values():
        entry["serve"]["memory"] = 0.5
    models["good"]["parallel"] = 1
    run = Run(yard.config(models))
    heard = await carried_out(run)
    assert run.state.phase == "done", notices(run)
    last_answer = max(n for n, event in enumerate(heard) if isinstance(event, CallEnded) and event.model == "good")
    first_verdict = min(n for n, event in enumerate(heard) if isinstance(event, CallStarted) and event.model == "judge")
    assert first_verdict < last_answer
    assert not yard.left()


async def test_entries_that_differ_in_how_they_are_asked_share_one_server(yard):
    base = yard.model("base")
    models = {"base": base, "polite": base | {"system_prompt": "Be polite."}, "judge": yard.model("judge")}
    run = Run(yard.config(models))
    await carried_out(run)
    assert run.state.phase == "done", notices(run)
    assert len(yard.starts("base")) == 1
    assert len(yard.lines("model_judgment/judge/polite.jsonl")) == QUESTIONS


async def test_replicas_share_the_calls(yard):
    models = {name: yard.model(name, latency=0.05) for name in ("judge", "base", "good")}
    models["good"]["serve"]["replicas"] = 2
    run = Run(yard.config(models))
    await carried_out(run)
    assert run.state.phase == "done", notices(run)
    calls = [traffic.calls for (model, _), traffic in run.state.endpoints.items() if model == "good"]
    assert len(calls) == 2
    assert min(calls) > 0
    assert not yard.left()


async def test_the_key_is_in_no_command_line_and_no_file(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    models["good"]["serve"]["env"] = {"MY_TOKEN": "very-secret-token"}
    heard: list[str] = []
    run = Run(yard.config(models))
    run.listen(lambda event: heard.append(repr(event)))
    await carried_out(run)
    keys = {endpoint.api_key for server in run.servers for endpoint in [server.endpoint]}
    (key,) = keys
    assert len(key) > 20
    told = "\n".join(
        [*heard, *(file.read_text("utf-8", "replace") for file in yard.folder.rglob("*") if file.is_file())]
    )
    assert key not in told
    assert "--api-key" not in told
    assert "very-secret-token" not in told.replace('"MY_TOKEN"', "")


async def test_a_run_leaves_word_of_versions_flags_sampling_and_counts_without_a_secret(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    models["good"]["serve"] |= {"args": ["--hf-token", "hf_secret_token"], "env": {"MY_TOKEN": "very-secret-token"}}
    run = Run(yard.config(models))
    await carried_out(run)
    (file,) = (yard.bench / "runs").iterdir()
    (told,) = load_runs(yard.bench / "runs")
    assert (file.stem, told["id"], told["outcome"]) == (run.id, run.id, "done")
    (good,) = told["models"]["good"]
    assert (good["vllm"], good["root"], good["max_model_len"]) == ("0.32.0", models["good"]["model"], 8192)
    assert good["system_fingerprints"] == ["vllm-0.32.0-fake"]
    assert (good["calls"], told["calls"]) == (QUESTIONS, 4 * QUESTIONS)
    (server,) = [server for server in told["servers"] if server["name"] == "good"]
    assert server["command"][-2:] == ["--hf-token", "***"]
    assert (server["environment"], server["starts"]) == (["MY_TOKEN"], 1)
    assert server["started_in"] > 0
    digest = yard.lines("model_answer/good.jsonl")[0]["settings"]
    assert told["settings"][digest]["temperature"] == 0.0
    everything = "".join(each.read_text("utf-8", "replace") for each in yard.bench.rglob("*") if each.is_file())
    assert "hf_secret_token" not in everything
    assert "very-secret-token" not in everything


async def test_an_engine_that_is_killed_in_the_middle_costs_a_restart_and_no_call(yard):
    models = {name: yard.model(name) for name in ("judge", "base")} | {"good": yard.model("good", dies_after=2)}
    run = Run(yard.config(models))
    await carried_out(run)
    assert run.state.phase == "done", notices(run)
    assert "server exited and is restarted" in notices(run)
    assert len(yard.starts("good")) == 2
    assert len(yard.lines("model_answer/good.jsonl")) == QUESTIONS
    assert not (yard.bench / "errors.jsonl").exists()
    assert not yard.left()


async def test_a_server_that_dies_again_and_again_is_given_up_and_the_others_go_on(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    models["bad"] = yard.model("bad", dies_after=1, deaths=99)
    run = Run(yard.config(models, restarts=1))
    await carried_out(run)
    assert run.state.phase == "failed"
    assert "exited 2 times" in notices(run)
    assert run.state.servers["bad"].status in ("failed", "stopped")
    assert len(yard.starts("bad")) == 2
    assert len(yard.lines("model_judgment/judge/good.jsonl")) == QUESTIONS
    assert not yard.left()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["(Worker pid=8) ERROR [x.py:1] SafetensorError: Error while deserializing header: incomplete metadata"],
            "cannot read the weights",
        ),
        (
            [
                "ValueError: User-specified max_model_len (20000) is greater than the derived max_model_len "
                "(max_position_embeddings=8192.0 or model_max_length=None)"
            ],
            "--max-model-len 20000 exceeds the model's context of 8192",
        ),
        (["(EngineCore pid=7) ERROR [core.py:1] KeyError: 'lm_head.weight'"], "KeyError: 'lm_head.weight'"),
    ],
)
async def test_a_model_that_cannot_be_served_is_told_by_its_cause_and_the_others_go_on(yard, lines, told):
    useless = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    models["bad"] = yard.model("bad", fail=[*lines, useless])
    run = Run(yard.config(models))
    await carried_out(run)
    assert run.state.phase == "failed"
    (line,) = [text for text in notices(run).splitlines() if text.startswith("bad: ")]
    assert told in line
    assert "logs/bad.log" in line
    assert "Engine core" not in line
    assert len(yard.lines("model_judgment/judge/good.jsonl")) == QUESTIONS


async def test_memory_that_is_not_free_yet_is_tried_for_again(yard):
    free = "ValueError: Free memory on device cuda:0 (3.1/22.05 GiB) on startup is less than desired GPU memory ..."
    models = {name: yard.model(name) for name in ("judge", "base")}
    models["good"] = yard.model("good", fail=[free], fail_starts=1)
    run = Run(yard.config(models))
    await carried_out(run)
    assert run.state.phase == "done", notices(run)
    assert "only 3.1 of 22.05 GiB are free on cuda:0; trying again" in notices(run)


async def test_a_model_without_a_chat_template_is_found_before_the_first_question(yard):
    models = {name: yard.model(name) for name in ("judge", "base")} | {"good": yard.model("good", no_template=True)}
    run = Run(yard.config(models))
    await carried_out(run)
    assert "good: the model has no chat template" in notices(run)
    assert not any(model == "good" for model, _ in run.state.endpoints)
    assert not yard.left()


async def test_a_start_that_takes_too_long_is_ended_and_told_with_what_it_was_doing(yard):
    models = {name: yard.model(name) for name in ("judge", "base")} | {"good": yard.model("good", stage_seconds=30.0)}
    run = Run(yard.config(models, start_timeout=1.0))
    await carried_out(run)
    assert "good: not ready after 1 s (stage: " in notices(run)
    assert not yard.left()


async def test_a_flag_that_vllm_does_not_know_is_named(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    models["good"]["serve"]["args"] = ["--no-such-flag"]
    run = Run(yard.config(models))
    await carried_out(run)
    assert "good: this vLLM does not know --no-such-flag" in notices(run)


async def test_a_path_where_nothing_is_costs_its_model_and_no_other(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good", "other")}
    models["good"]["model"] = str(yard.folder / "nowhere")
    run = Run(yard.config(models))
    await carried_out(run)
    assert f"good: {yard.folder / 'nowhere'} not found" in notices(run)
    assert run.state.phase == "failed"
    assert len(yard.lines("model_judgment/judge/other.jsonl")) == QUESTIONS


async def test_a_missing_vllm_is_told(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    run = Run(yard.config(models, command=["no-such-vllm"]))
    await carried_out(run)
    assert "'no-such-vllm' not found" in notices(run)
    assert "[vllm] command" in notices(run)


async def test_a_port_of_the_config_that_is_taken_is_told_and_a_right_server_there_is_used(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    other = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    models["good"]["endpoints"] = [{"base_url": f"http://127.0.0.1:{port}/v1"}]
    run = Run(yard.config(models))
    async with other:
        await carried_out(run)
    assert f"good: port {port} is in use by another program" in notices(run)
    assert not yard.starts("good")
    first = await asyncio.create_subprocess_exec(
        *(*run.config.vllm.command, "serve", models["good"]["model"], "--port", str(port)),
        *("--served-model-name", models["good"]["model"]),
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    await until(lambda: yard.starts("good"))
    again = Run(yard.config(models))
    try:
        await listening(port)
        await carried_out(again)
        assert again.state.phase == "done", notices(again)
        assert "it will not be stopped" in notices(again)
        assert len(yard.starts("good")) == 1
        assert first.returncode is None, "it was left alone"
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        await first.wait()


async def test_a_server_that_serves_another_folder_by_the_right_name_is_not_taken_for_the_right_one(yard):
    models = {name: yard.model(name) for name in ("judge", "base", "good")}
    other, port = yard.model("other")["model"], pick_port()
    models["good"]["endpoints"] = [{"base_url": f"http://127.0.0.1:{port}/v1"}]
    config = yard.config(models)
    server = await asyncio.create_subprocess_exec(
        *(*config.vllm.command, "serve", other, "--port", str(port), "--served-model-name", models["good"]["model"]),
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await listening(port)
        run = Run(config)
        await carried_out(run)
        assert f"serves {other} under that name, not {models['good']['model']}" in notices(run)
        assert f"good: port {port} is in use" in notices(run)
        assert not yard.lines("model_judgment/judge/good.jsonl")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        await server.wait()


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("stage", ["starting", "ready"])
async def test_a_stop_ends_the_server_whatever_it_is_doing(yard, stage, at_once):
    models = {name: yard.model(name, latency=1.0, stage_seconds=0.1) for name in ("judge", "base", "good")}
    run = Run(yard.config(models), grace=0.5)
    ending = asyncio.create_task(carried_out(run))
    await until(lambda: any(server.status == stage for server in run.state.servers.values()))
    await until(lambda: yard.starts("base"))
    run.stop()
    if at_once:
        run.abort()
    await ending
    assert run.state.phase == "interrupted"
    assert not yard.left()
    assert not yard.starts("judge")


async def test_a_server_that_no_signal_ends_is_killed_after_a_while(yard):
    models = {name: yard.model(name, stubborn=True) for name in ("judge", "base", "good")}
    run = Run(yard.config(models), server_grace=0.5)
    await carried_out(run)
    assert run.state.phase == "done", notices(run)
    assert not yard.left()


async def test_a_warden_that_is_killed_leaves_no_server_behind_and_the_run_goes_on(yard):
    models = {name: yard.model(name) for name in ("judge", "base")} | {"good": yard.model("good", latency=0.3)}
    run = Run(yard.config(models))
    ending = asyncio.create_task(carried_out(run))
    await until(lambda: (s := run.state.servers.get("good")) and s.status == "ready")
    (server,) = yard.pids("good")
    warden = parent_of(server)
    os.kill(warden, signal.SIGKILL)
    await ending
    assert run.state.phase == "done", notices(run)
    assert not live_members([server])
    assert len(yard.starts("good")) == 2


async def test_a_warden_that_is_killed_during_a_start_costs_another_start_and_no_model(yard):
    models = {name: yard.model(name) for name in ("judge", "base")} | {"good": yard.model("good", stage_seconds=0.2)}
    run = Run(yard.config(models))
    ending = asyncio.create_task(carried_out(run))
    await until(lambda: yard.starts("good"))
    os.kill(parent_of(yard.pids("good")[0]), signal.SIGKILL)
    await ending
    assert run.state.phase == "done", notices(run)
    assert "good: the process that watches it was killed" in notices(run)
    assert len(yard.starts("good")) == 2


@pytest.mark.parametrize("apart", ["session", "clean"])
async def test_what_a_server_started_in_a_session_of_its_own_ends_with_it(yard, apart):
    models = {name: yard.model(name, apart=apart) for name in ("judge", "base", "good")}
    run = Run(yard.config(models))
    await carried_out(run)
    assert run.state.phase == "done", notices(run)
    pids = [int(line) for name in models for line in (yard.folder / "models" / name / "apart").read_text().split()]
    assert len(pids) == 3
    assert not any(map(is_alive, pids))


async def test_what_a_server_started_apart_ends_also_when_its_warden_is_killed(yard):
    models = {name: yard.model(name) for name in ("judge", "base")}
    run = Run(yard.config(models | {"good": yard.model("good", apart="session", latency=0.3)}))
    ending = asyncio.create_task(carried_out(run))
    await until(lambda: (s := run.state.servers.get("good")) and s.status == "ready")
    first = int((yard.folder / "models" / "good" / "apart").read_text())
    os.kill(parent_of(yard.pids("good")[0]), signal.SIGKILL)
    await ending
    assert run.state.phase == "done", notices(run)
    assert not is_alive(first)
